// Delivery ticks: what is published waits, leaves together, and the newest of a key is enough.

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <future>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/error.hpp>
#include <webshocket/server.hpp>

#include "tests/support/server_fixture.hpp"

using namespace std::chrono_literals;
using namespace webshocket;
using webshocket::test::eventually;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;

namespace {

/// A raw peer is in the channel that its path names.
class Rooms : public Handler {
 public:
  Upgrade on_upgrade(const UpgradeRequest& request) override {
    return Upgrade::accept().raw().session("room", std::string(request.path.substr(1)));
  }
  void on_connect(Connection& connection) override {
    connection.subscribe(*connection.find("room")->get<std::string>());
  }
  void on_message(Connection& connection, std::span<const std::byte>, Opcode) override {
    connection.send("at once");
  }
};

/// The tick whose next time is the farthest away: what waits for it leaves for another reason.
std::chrono::milliseconds never() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  std::chrono::milliseconds farthest = 60s;
  for (std::chrono::milliseconds tick = 60s; tick > 30s; tick -= 1s) {
    if (tick - now % tick > farthest - now % farthest) farthest = tick;
  }
  return farthest;
}

RawPeer join(ServerFixture& server, const std::string& room) {
  RawPeer peer = webshocket::test::open_peer(server.port(), {.path = "/" + room});
  // It answers when it has subscribed.
  peer.send(webshocket::test::text_frame("?"));
  REQUIRE(peer.read_message() == "at once");
  return peer;
}

/// What it still gets until it is told to go; then it has gone.
std::vector<std::string> rest(RawPeer& peer) {
  RawPeer leaving = std::move(peer);
  std::vector<std::string> messages;
  for (;;) {
    const auto frame = leaving.read_frame();
    if (frame.opcode == webshocket::test::kClose) return messages;
    messages.push_back(frame.payload);
  }
}

}  // namespace

TEST_CASE("what is published waits for its tick, and what is sent does not") {
  for (const std::size_t shards : {1UL, 2UL}) {
    CAPTURE(shards);
    ServerFixture server({.shards = shards, .tick = never()}, per_shard<Rooms>());
    RawPeer peer = join(server, "room");
    server->publish("room", "one");
    server->broadcast("two");
    server->publish("room", "three");
    eventually([&] { return server->stats().total.tick_bytes != 0; }, "what waits");
    peer.send(webshocket::test::text_frame("?"));
    CHECK(peer.read_message() == "at once");
    // To the end of the server, and then it leaves in order.
    auto closing = std::async(std::launch::async, [&] { server->close(); });
    CHECK(rest(peer) == std::vector<std::string>{"one", "two", "three"});
  }
}

TEST_CASE("ticks come") {
  ServerFixture server({.shards = 2, .tick = 2ms}, per_shard<Rooms>());
  RawPeer a = join(server, "room");
  RawPeer b = join(server, "room");
  for (int i = 0; i < 50; ++i) {
    const std::string text = std::to_string(i);
    server->publish("room", text);
    CHECK(a.read_message() == text);
    CHECK(b.read_message() == text);
  }
  eventually([&] { return server->stats().total.tick_bytes == 0; }, "nothing to wait");
  CHECK(server->stats().total.ticks_early == 0);
}

TEST_CASE("a channel's own tick: the first rule that matches it counts") {
  ServerFixture server(
      {.shards = 1, .tick = never(), .channel_ticks = {{"game.chat", 0ms}, {"game.*", 1ms}}},
      per_shard<Rooms>());
  RawPeer chat = join(server, "game.chat");
  RawPeer moves = join(server, "game.moves");
  RawPeer other = join(server, "other");
  server->publish("other", "waits");
  server->publish({"game.chat", "game.moves"}, "comes");
  CHECK(chat.read_message() == "comes");
  CHECK(moves.read_message() == "comes");
  CHECK(server->stats().total.tick_bytes != 0);
  other.send(webshocket::test::text_frame("?"));
  CHECK(other.read_message() == "at once");
}

TEST_CASE("of those with the same key the newest leaves, in the order of the newest") {
  ServerFixture server({.shards = 1, .tick = never()}, per_shard<Rooms>());
  RawPeer peer = join(server, "room");
  RawPeer elsewhere = join(server, "elsewhere");
  const auto move = [&](std::string_view player, std::string_view to) {
    server->publish("room", to, PublishOptions{.key = player});
  };
  move("ann", "ann 1");
  move("bob", "bob 1");
  server->publish("room", "no key");
  server->publish("elsewhere", "ann elsewhere", PublishOptions{.key = "ann"});
  move("ann", "ann 2");
  move("ann", "ann 3");
  server->publish("room", "not for all", PublishOptions{.predicate = Has("room"), .key = "ann"});
  server->publish("room", "no key");
  // Of what comes with the end of the server, nothing waits.
  eventually([&] { return server->stats().total.conflated == 2; }, "those with the same key");
  auto closing = std::async(std::launch::async, [&] { server->close(); });
  CHECK(rest(peer) ==
        std::vector<std::string>{"bob 1", "no key", "ann 3", "not for all", "no key"});
  CHECK(rest(elsewhere) == std::vector<std::string>{"ann elsewhere"});
}

TEST_CASE("a key that changes all the time takes no more room, and no other route's place") {
  ServerFixture server({.shards = 1, .tick = never(), .tick_limit = 100'000}, per_shard<Rooms>());
  RawPeer peer = join(server, "room");
  server->broadcast("to all", PublishOptions{.key = "state"});
  for (int i = 0; i < 5'000; ++i) {
    server->publish("room", std::to_string(i), PublishOptions{.key = "state"});
  }
  eventually([&] { return server->stats().total.conflated == 4'999; }, "all of them");
  auto closing = std::async(std::launch::async, [&] { server->close(); });
  CHECK(rest(peer) == std::vector<std::string>{"to all", "4999"});
  CHECK(server->stats().total.ticks_early == 0);
}

TEST_CASE("more than may wait does not: the tick is now") {
  ServerFixture server({.shards = 1, .tick = never(), .tick_limit = 10'000}, per_shard<Rooms>());
  RawPeer peer = join(server, "room");
  const std::string large(4'000, 'x');
  for (int i = 0; i < 3; ++i) server->publish("room", large);
  for (int i = 0; i < 3; ++i) CHECK(peer.read_message() == large);
  const auto total = server->stats().total;
  CHECK(total.ticks_early == 1);
  CHECK(total.tick_bytes == 0);
}

TEST_CASE("a tick that cannot be is refused, by name") {
  const auto start = [](Config config) { ServerFixture(std::move(config), per_shard<Rooms>()); };
  CHECK_THROWS_WITH_AS(start({.tick = -1ms}), doctest::Contains("tick"), UsageError);
  CHECK_THROWS_WITH_AS(start({.tick = 2min}), doctest::Contains("at most a minute"), UsageError);
  CHECK_THROWS_WITH_AS(start({.channel_ticks = {{"", 1ms}}}),
                       doctest::Contains("channel_ticks.channels"), UsageError);
  CHECK_THROWS_WITH_AS(start({.channel_ticks = {{"a", -1ms}}}),
                       doctest::Contains("channel_ticks.tick"), UsageError);
}
