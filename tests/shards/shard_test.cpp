#include "shards/shard.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <webshocket/error.hpp>

#include "api/pull.hpp"
#include "shards/uid.hpp"
#include "tests/support/raw_echo.hpp"
#include "tests/support/raw_peer.hpp"

using webshocket::Config;
using webshocket::Handler;
using webshocket::HandlerFactory;
using webshocket::shards::Adoption;
using webshocket::shards::Bus;
using webshocket::shards::OffloadPool;
using webshocket::shards::Shard;
using webshocket::shards::Site;
using webshocket::shards::Slot;
using webshocket::shards::Socket;
using webshocket::test::RawEcho;
using namespace std::chrono_literals;

namespace {

/// One shard, without an engine around it.
class Fixture {
 public:
  explicit Fixture(HandlerFactory factory, Config config = {}) : site_(std::move(config)) {
    site_.listeners.emplace_back();
    site_.routes.push_back({"", std::move(factory)});
    site_.accept_queue = std::make_shared<webshocket::detail::AcceptQueue>(1);
    site_.bus = std::make_shared<Bus>(1, 0, webshocket::shards::Framing{.fragment_size = 65'536});
    site_.pool = std::make_unique<OffloadPool>(1, 0);
    shard_ = std::make_unique<Shard>(site_, 0);
  }
  ~Fixture() {
    if (!started_) return;
    drain(0ms);
    std::promise<void> quiet;
    post([&] { shard_->quiesce([&] { quiet.set_value(); }); });
    quiet.get_future().wait();
    post([&] { shard_->end(); });
    shard_->join();
  }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  void start() {
    shard_->start();
    started_ = true;
  }
  void post(std::function<void()> fn) { CHECK(site_.bus->post_control(0, std::move(fn))); }
  void run(const std::function<void()>& fn) {
    std::promise<void> done;
    post([&] {
      fn();
      done.set_value();
    });
    REQUIRE(done.get_future().wait_for(20s) == std::future_status::ready);
  }
  /// Waits until the last connection has gone.
  void drain(std::chrono::milliseconds timeout) {
    std::promise<void> drained;
    post([&] { shard_->drain(timeout, [&] { drained.set_value(); }); });
    REQUIRE(drained.get_future().wait_for(20s) == std::future_status::ready);
  }
  /// The client's end of a new connection.
  Socket adopt() {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()) == 0);
    const auto adoption = std::make_shared<Adoption>();
    adoption->socket = Socket(fds[0]);
    adoption->uid = webshocket::shards::mint_uid();
    adoption->handshake = Slot::take(site_.handshakes);
    post([this, adoption] { shard_->adopt(std::move(*adoption)); });
    return Socket(fds[1]);
  }
  Site& site() { return site_; }
  Shard& shard() { return *shard_; }

 private:
  Site site_;
  std::unique_ptr<Shard> shard_;
  bool started_ = false;
};

void send(const Socket& socket, std::string_view bytes) {
  REQUIRE(::send(socket.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(bytes.size()));
}

/// Up to and with `end`; or all there is to the end of the connection.
std::string read_until(const Socket& socket, std::string_view end) {
  std::string text;
  while (end.empty() || !text.ends_with(end)) {
    pollfd event{socket.fd(), POLLIN, 0};
    REQUIRE(::poll(&event, 1, 20'000) == 1);
    char c = 0;
    if (::recv(socket.fd(), &c, 1, 0) != 1) break;
    text += c;
  }
  return text;
}

}  // namespace

TEST_CASE("a shard takes a socket, speaks to it, and drains") {
  Fixture f([] { return std::make_unique<RawEcho>(); });
  f.start();
  const Socket client = f.adopt();
  send(client, webshocket::test::upgrade_request());
  CHECK(read_until(client, "\r\n\r\n").starts_with("HTTP/1.1 101"));
  send(client, webshocket::test::binary_frame("hello"));
  CHECK(read_until(client, "hello") == "\x82\x05hello");
  f.run([&] {
    CHECK(f.shard().client_count() == 1);
    CHECK(f.site().handshakes.used() == 0);
    CHECK(f.site().connections.used() == 1);
  });
  std::thread drainer([&] { f.drain(10s); });
  CHECK(read_until(client, "\x03\xE9") == "\x88\x02\x03\xE9");
  send(client, webshocket::test::close_frame(1001));
  drainer.join();
  CHECK(f.site().connections.used() == 0);
  CHECK(f.shard().counters().connections.get() == 0);

  // What comes now is hung up on.
  const Socket late = f.adopt();
  CHECK(read_until(late, "").empty());
  CHECK(f.site().handshakes.used() == 0);
}

TEST_CASE("clients that say nothing are drained too") {
  Fixture f([] { return std::make_unique<RawEcho>(); });
  f.start();
  const Socket silent = f.adopt();
  const Socket halfway = f.adopt();
  send(halfway, "GET / HT");
  const Socket open = f.adopt();
  send(open, webshocket::test::upgrade_request());
  CHECK(read_until(open, "\r\n\r\n").starts_with("HTTP/1.1 101"));
  f.drain(50ms);
  CHECK(read_until(silent, "").empty());
  CHECK(read_until(halfway, "").empty());
  CHECK(read_until(open, "") == "\x88\x02\x03\xE9");
}

TEST_CASE("a handler that cannot be made: start throws what it threw") {
  Fixture f([]() -> std::unique_ptr<Handler> { throw std::domain_error("no"); });
  CHECK_THROWS_WITH_AS(f.start(), "no", std::domain_error);
  Fixture nothing([] { return std::unique_ptr<Handler>(); });
  CHECK_THROWS_AS(nothing.start(), webshocket::UsageError);
}

TEST_CASE("a shard that never started ends") {
  const Fixture f([] { return std::make_unique<RawEcho>(); });
}
