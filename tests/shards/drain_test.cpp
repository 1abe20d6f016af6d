// Who leaves when: a shard that is turned by hand, under a clock that stands still.

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shards/shard.hpp"
#include "shards/uid.hpp"
#include "tests/support/raw_echo.hpp"
#include "tests/support/raw_peer.hpp"
#include "tests/support/stepped_clock.hpp"

using webshocket::Config;
using webshocket::shards::Bus;
using webshocket::shards::OffloadPool;
using webshocket::shards::Shard;
using webshocket::shards::Site;
using webshocket::shards::Slot;
using webshocket::shards::Socket;
using webshocket::test::Close;
using webshocket::test::Frame;
using webshocket::test::RawEcho;
using webshocket::test::RawPeer;
using webshocket::test::SteppedClock;
using namespace std::chrono_literals;

namespace {

/// Between those that leave and the next ones.
constexpr auto kPause = 10ms;

/// A client, and whether it has been told to go.
struct Client {
  RawPeer peer;
  std::optional<Close> close = {};
};

/// One shard on this thread, and those who are connected to it. Nothing waits: what is not there
/// after its turns does not come.
class TurnedShard {
 public:
  explicit TurnedShard(Config config) : site_(std::move(config)) {
    SteppedClock::reset();
    site_.listeners.emplace_back();
    site_.routes.push_back({"", webshocket::per_shard<RawEcho>()});
    site_.bus = std::make_shared<Bus>(1, 0, webshocket::shards::Framing{.fragment_size = 65'536});
    site_.pool = std::make_unique<OffloadPool>(1, 0);
    shard_ = std::make_unique<Shard>(site_, 0);
    shard_->begin();
  }
  ~TurnedShard() {
    bool is_quiet = false;
    if (!is_draining_) drain(0ms);
    post([](Shard& shard) { shard.hurry(); });
    turn_until([&] { return has_drained_; });
    post([&](Shard& shard) { shard.quiesce([&] { is_quiet = true; }); });
    turn_until([&] { return is_quiet; });
    post([](Shard& shard) { shard.end(); });
    turn_until([&] { return shard_->has_ended(); });
    site_.bus->close();
    shard_->finish();
    SteppedClock::release();
  }
  TurnedShard(const TurnedShard&) = delete;
  TurnedShard& operator=(const TurnedShard&) = delete;

  void connect(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      std::array<int, 2> ends{};
      REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) ==
              0);
      clients_.push_back({RawPeer::adopt(ends[1])});
      shard_->adopt(
          {Socket(ends[0]), webshocket::shards::mint_uid(), {}, 0, Slot::take(site_.handshakes)});
      clients_.back().peer.send(webshocket::test::upgrade_request());
    }
    rest();
    for (Client& client : clients_) {
      REQUIRE(client.peer.absorb());
      REQUIRE(client.peer.unread() != 0);
      REQUIRE(client.peer.read_http().status == 101);
    }
  }
  void drain(std::chrono::milliseconds timeout) {
    is_draining_ = true;
    post([this, timeout](Shard& shard) { shard.drain(timeout, [this] { has_drained_ = true; }); });
  }

  /// Turns until there is nothing left to do at this time.
  void rest() {
    int turns = 0;
    while (turns < kMostTurns && shard_->turn()) ++turns;
    CHECK(turns < kMostTurns);
  }
  void advance(std::chrono::nanoseconds step) {
    SteppedClock::advance(step);
    rest();
  }
  /// How many clients have been told to go.
  std::size_t gone() {
    return static_cast<std::size_t>(std::ranges::count_if(clients_, [](Client& client) {
      const std::optional<Frame> frame = next_frame(client);
      if (frame) client.close = webshocket::test::close_of(*frame);
      return client.close == Close{1001, ""};
    }));
  }
  /// Those who have not been told to go are served.
  void check_service() {
    for (Client& client : clients_) {
      if (!client.close) client.peer.send(webshocket::test::text_frame("hello"));
    }
    rest();
    for (Client& client : clients_) {
      if (client.close) continue;
      CHECK(next_frame(client).value_or(Frame{}).payload == "hello");
    }
  }

 private:
  static constexpr int kMostTurns = 10'000;

  static std::optional<Frame> next_frame(Client& client) {
    client.peer.absorb();
    return client.peer.take_frame();
  }
  void post(std::function<void(Shard&)> task) {
    CHECK(site_.bus->post_control(0, [this, task = std::move(task)] { task(*shard_); }));
  }
  template <class Condition>
  void turn_until(Condition condition) {
    int turns = 0;
    for (; turns < kMostTurns && !condition(); ++turns) shard_->turn();
    CHECK(turns < kMostTurns);
  }

  Site site_;
  std::unique_ptr<Shard> shard_;
  std::vector<Client> clients_;
  bool is_draining_ = false;
  bool has_drained_ = false;
};

/// How many have gone at first, and after each pause, until nobody is left.
std::string departures(Config config, std::size_t clients, std::chrono::milliseconds timeout) {
  TurnedShard shard(std::move(config));
  shard.connect(clients);
  shard.drain(timeout);
  shard.rest();
  std::size_t gone = shard.gone();
  std::string all = std::to_string(gone);
  for (int pauses = 0; gone < clients && pauses < 20; ++pauses) {
    shard.check_service();
    shard.advance(kPause - 1ns);
    CHECK(shard.gone() == gone);
    shard.advance(1ns);
    gone = shard.gone();
    all += " " + std::to_string(gone);
  }
  return all;
}

}  // namespace

TEST_CASE("a few are sent away at a time, and the others are served until then") {
  const std::string gone = departures({}, 40, 10s);
  CHECK(gone == "16 32 40");
}

TEST_CASE("so many at a time that all have gone within the spread, and half of the timeout") {
  const std::string in_spread = departures({.drain_spread = 30ms}, 200, 10s);
  CHECK(in_spread == "51 102 153 200");
  const std::string in_half = departures({.drain_spread = 10s}, 200, 60ms);
  CHECK(in_half == "51 102 153 200");
}

TEST_CASE("without a spread, or without time, all are sent away at once") {
  const std::string without_spread = departures({.drain_spread = 0ms}, 200, 10s);
  CHECK(without_spread == "200");
  const std::string without_time = departures({}, 200, 0ms);
  CHECK(without_time == "200");
}
