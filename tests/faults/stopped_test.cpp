// Clients that are stopped (SIGSTOP) while they are sent to, and go on later, or never.

#include <doctest/doctest.h>

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>

#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Connection;
using webshocket::Handler;
using webshocket::OutboxPolicy;
using webshocket::per_shard;
using webshocket::test::eventually;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;
using namespace std::chrono_literals;

namespace {

class Rooms : public Handler {
 public:
  Rooms() {
    rpc("join", [](Connection& c, std::string name) { return c.subscribe(name); });
    rpc("echo", [](webshocket::Value x) { return x; });
  }
};

/// A process that subscribes to `room` and reads what comes until its connection ends.
class Reader {
 public:
  explicit Reader(std::uint16_t port) {
    WsClient client(port);
    client.call("join", R"(["room"])");
    const auto fd = static_cast<unsigned>(client.peer().fd());
    pid_ = ::fork();
    if (pid_ == 0) read_to_the_end(fd);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  void stop() const {
    ::kill(pid_, SIGSTOP);
    ::waitpid(pid_, nullptr, WUNTRACED);
  }
  void go_on() const { ::kill(pid_, SIGCONT); }
  /// Until it has seen the end of its connection.
  void wait_for_end() {
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  // The server's threads have not come along: nothing that may hold a lock is called.
  [[noreturn]] static void read_to_the_end(unsigned fd) {
    // Its sockets have: they would stay open.
    ::close_range(3, fd - 1, 0);
    ::close_range(fd + 1, ~0U, 0);
    std::array<char, 4096> bytes;
    pollfd readable{.fd = static_cast<int>(fd), .events = POLLIN, .revents = 0};
    for (;;) {
      ::poll(&readable, 1, -1);
      const ssize_t count = ::read(readable.fd, bytes.data(), bytes.size());
      if (count == 0 || (count < 0 && errno != EAGAIN)) ::_exit(0);
    }
  }

  pid_t pid_ = 0;
};

const std::string kText(50'000, 'x');

template <class Enough>
void publish_until(ServerFixture& server, Enough enough) {
  eventually(
      [&] {
        server->publish("room", kText);
        return enough();
      },
      "enough to be published");
}

}  // namespace

TEST_CASE("a stopped client is closed, and the others go on") {
  ServerFixture server({.shards = 1, .outbox_limit = 300'000}, per_shard<Rooms>());
  Reader stopped(server.port());
  WsClient running(server.port());
  REQUIRE(running.call("join", R"(["room"])") == "true");
  stopped.stop();
  for (int published = 0; server->stats().total.slow_consumers == 0; ++published) {
    REQUIRE(published < 5'000);
    REQUIRE(server->publish("room", kText));
    CHECK(running.event().size() == 9 + kText.size());
  }
  stopped.go_on();
  stopped.wait_for_end();
  eventually([&] { return server->stats().total.connections == 1; }, "its end");
  CHECK(running.call("echo", "[1]") == "1");
  CHECK(server->stats().total.slow_consumers == 1);
  CHECK(server->stats().total.deliveries_waiting == 0);
}

TEST_CASE("a stopped client that never goes on is cut off") {
  ServerFixture server(
      {.shards = 1, .ping_interval = 0ms, .write_timeout = 200ms, .outbox_limit = 0},
      per_shard<Rooms>());
  Reader stopped(server.port());
  stopped.stop();
  publish_until(server, [&] { return server->stats().total.outbox_bytes != 0; });
  eventually([&] { return server->stats().total.connections == 0; }, "its end");
  CHECK(server->stats().total.writes_timed_out == 1);
  eventually([&] { return server->stats().total.outbox_bytes == 0; }, "its memory");
}

TEST_CASE("under drop_old a stopped client stays, and gets on with what is new") {
  ServerFixture server(
      {.shards = 1, .outbox_limit = 300'000, .outbox_policy = OutboxPolicy::drop_old},
      per_shard<Rooms>());
  Reader stopped(server.port());
  stopped.stop();
  publish_until(server, [&] { return server->stats().total.dropped_old >= 10; });
  stopped.go_on();
  eventually([&] { return server->stats().total.deliveries_waiting == 0; }, "it to catch up");
  const auto total = server->stats().total;
  CHECK(total.connections == 1);
  CHECK(total.deliveries == total.deliveries_written + total.deliveries_dropped);
}
