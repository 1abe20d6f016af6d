// What a client may cost.

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Connection;
using webshocket::Handler;
using webshocket::per_shard;
using webshocket::SendStatus;
using webshocket::test::binary_frame;
using webshocket::test::Close;
using webshocket::test::close_of;
using webshocket::test::Dialect;
using webshocket::test::eventually;
using webshocket::test::Frame;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;

namespace {

class Talker : public Handler {
 public:
  Talker() {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
    rpc("join", [](Connection& c, std::string name) { return c.subscribe(name); });
    rpc("blob", [](std::size_t n) { return std::string(n, 'b'); });
    rpc("flood", &Talker::flood).params("count", "size");
    rpc("statuses", &Talker::statuses).params("size");
  }
  webshocket::Upgrade on_upgrade(const webshocket::UpgradeRequest& request) override {
    auto upgrade = webshocket::Upgrade::accept();
    if (request.path == "/raw") upgrade = std::move(upgrade).raw();
    return upgrade;
  }
  void on_message(Connection& connection, std::span<const std::byte>, webshocket::Opcode) override {
    flood(connection, 1'000, 10'000);
  }

 private:
  /// Messages to the caller itself; how many were not dropped.
  int flood(Connection& connection, int count, std::size_t size) {
    const std::string text(size, 'f');
    int sent = 0;
    while (sent < count && connection.send(text) != SendStatus::dropped) ++sent;
    return sent;
  }
  std::vector<int> statuses(Connection& connection, std::size_t size) {
    std::vector<int> list;
    const std::string text(size, 's');
    for (int i = 0; i < 2; ++i) list.push_back(static_cast<int>(connection.send(text)));
    return list;
  }
};

/// Reads everything up to the end, and returns the CLOSE that must be the last frame.
Close last_words(RawPeer& peer) {
  for (;;) {
    const Frame frame = peer.read_frame();
    if (frame.opcode == webshocket::test::kClose) {
      const Close close = close_of(frame);
      peer.send(webshocket::test::close_frame(close.code));
      peer.read_end();
      return close;
    }
  }
}

bool all_gauges_are_zero(webshocket::Server& server) {
  const auto total = server.stats().total;
  return total.outbox_bytes == 0 && total.inbound_bytes == 0 && total.parked_bytes == 0 &&
         total.connections == 0;
}

}  // namespace

TEST_CASE("a slow consumer of publishes is closed with 1013, and the others get everything") {
  ServerFixture server({.shards = 2, .outbox_limit = 200'000, .outbox_low_mark = 10'000},
                       per_shard<Talker>());
  std::optional<WsClient> slow(server.port());
  REQUIRE(slow->call("join", R"(["room"])") == "true");
  auto quick = webshocket::test::connect_many(server.port(), 4);
  for (auto& client : quick) REQUIRE(client->call("join", R"(["room"])") == "true");

  const std::string text(50'000, 'x');
  int published = 0;
  while (server->stats().total.slow_consumers == 0) {
    REQUIRE(published < 2'000);
    REQUIRE(server->publish("room", text));
    ++published;
    // They keep up with the publisher, which is what makes them quick.
    for (auto& client : quick) CHECK(client->event().size() == 9 + text.size());
  }
  CHECK(server->stats().total.slow_consumers == 1);
  CHECK(server->stats().total.deliveries_dropped >= 1);
  for (auto& client : quick) CHECK(client->call("echo", "[1]") == "1");
  // What it did get is whole.
  CHECK(last_words(slow->peer()).code == 1013);
  slow.reset();
  eventually([&] { return server->client_count() == 4; }, "the slow one to leave");
  quick.clear();
  eventually([&] { return all_gauges_are_zero(*server); }, "all memory to be given back");
}

TEST_CASE("a client that does not read what it is sent alone is closed too; nothing leaks") {
  ServerFixture server({.shards = 1, .outbox_limit = 100'000, .outbox_low_mark = 10'000},
                       per_shard<Talker>());
  for (int round = 0; round < 5; ++round) {
    RawPeer peer(server.port());
    peer.upgrade({.path = "/raw"});
    peer.send(binary_frame("go"));
    eventually(
        [&] {
          return server->stats().total.slow_consumers == static_cast<std::uint64_t>(round) + 1;
        },
        "it to be found out");
    CHECK(last_words(peer).code == 1013);
  }
  eventually([&] { return all_gauges_are_zero(*server); }, "all memory to be given back");
}

TEST_CASE("and if it never reads at all, it is cut off in the end") {
  ServerFixture server({.shards = 1,
                        .close_timeout = std::chrono::milliseconds(50),
                        .outbox_limit = 100'000,
                        .outbox_low_mark = 10'000},
                       per_shard<Talker>());
  RawPeer peer(server.port());
  peer.upgrade({.path = "/raw"});
  peer.send(binary_frame("go"));
  eventually([&] { return server->stats().total.slow_consumers == 1; }, "it to be found out");
  eventually([&] { return all_gauges_are_zero(*server); }, "all memory to be given back");
}

TEST_CASE("an empty outbox takes any one message, however large; send says when it is too much") {
  ServerFixture server({.shards = 1, .outbox_limit = 10'000, .outbox_low_mark = 1'000},
                       per_shard<Talker>());
  WsClient client(server.port());
  CHECK(client.call("blob", "[3000000]").size() == 3'000'002);
  CHECK(client.call("join", R"(["room"])") == "true");
  const std::string large(2'000'000, 'x');
  CHECK(server->publish("room", large));
  CHECK(client.event().size() == 9 + large.size());
  // Far below the limit all is well.
  CHECK(client.call("statuses", "[10]") == "[0,0]");
  CHECK(client.event().size() == 2 + 12);
  CHECK(client.event().size() == 2 + 12);
  CHECK(client.call("echo", "[1]") == "1");
  // What a socket took a part of is counted by what it left.
  eventually([&] { return server->stats().total.outbox_bytes == 0; }, "an empty outbox");
}

TEST_CASE("replies are never dropped: calls wait until the client has read") {
  ServerFixture server({.shards = 1, .outbox_limit = 50'000, .outbox_low_mark = 10'000},
                       per_shard<Talker>());
  WsClient client(server.port());
  std::vector<std::string> calls;
  for (int i = 0; i < 300; ++i) calls.push_back(client.start("blob", "[40000]"));
  for (const std::string& call : calls) CHECK(client.answer(call).size() == 40'002);
  CHECK(server->stats().total.slow_consumers == 0);
}

TEST_CASE("a message over max_message is refused with 1009, one of exactly that size is not") {
  ServerFixture server({.shards = 1, .max_message = 100'000}, per_shard<Talker>());
  WsClient witness(server.port());
  for (const bool fragmented : {false, true}) {
    CAPTURE(fragmented);
    const auto send = [&](WsClient& client, std::size_t size) {
      const std::string payload(size, ' ');
      if (!fragmented) return client.peer().send(binary_frame(payload));
      using webshocket::test::SentFrame;
      client.peer().send(SentFrame{.payload = payload.substr(0, 60'000), .fin = false});
      client.peer().send(
          SentFrame{.opcode = webshocket::test::kContinuation, .payload = payload.substr(60'000)});
    };
    WsClient fits(server.port());
    send(fits, 100'000);
    CHECK(fits.call("echo", "[1]") == "1");
    WsClient large(server.port());
    send(large, 100'001);
    CHECK(large.peer().read_close().code == 1009);
  }
  CHECK(server->stats().total.protocol_errors == 2);
  CHECK(witness.call("echo", "[1]") == "1");
}

TEST_CASE("half-received messages have a bound together, by shard and by process") {
  constexpr std::size_t kLimit = 300'000;
  constexpr std::size_t kHalf = 140'000;
  for (const std::string limit : {"inbound_total_limit", "memory_limit"}) {
    CAPTURE(limit);
    webshocket::Config config{.shards = 1};
    (limit == "memory_limit" ? config.memory_limit : config.inbound_total_limit) = kLimit;
    ServerFixture server(config, per_shard<Talker>());
    const auto inbound = [&] { return server->stats().total.inbound_bytes; };
    std::vector<RawPeer> peers;
    const std::string frame = binary_frame(std::string(kHalf + 5'000, ' '));
    for (std::size_t i = 0; i < 3; ++i) {
      peers.push_back(webshocket::test::open_peer(server.port()));
      peers.back().send(std::string_view(frame).substr(0, kHalf));
      if (i == 2) break;
      // All of it but the frame's header, or one of these two could be the one too many.
      eventually([&] { return inbound() == (i + 1) * (kHalf - 14); }, "half a message");
    }
    // `memory_limit` is looked at between turns: the next byte is the one too many.
    const auto refused = [&] { return server->stats().total.protocol_errors == 1; };
    // All of what was sent, so that the byte comes in a turn of its own.
    eventually([&] { return inbound() == 3 * (kHalf - 14) || refused(); }, "the limit");
    peers[2].send(std::string_view(frame).substr(kHalf, 1));
    CHECK(peers[2].read_close() == Close{1013, limit + " reached"});
    eventually([&] { return inbound() <= kLimit; }, "what was refused to be dropped");
    peers[0].send(std::string_view(frame).substr(kHalf));
    eventually([&] { return server->stats().total.messages_received == 1; }, "a whole message");
    CHECK(refused());
    peers.clear();
    eventually([&] { return all_gauges_are_zero(*server); }, "all memory to be given back");
  }
}

TEST_CASE("names and patterns are limited together, a list is all or nothing") {
  ServerFixture server({.shards = 1, .max_subscribed_channels = 2, .max_channel_name = 10},
                       per_shard<Talker>());
  WsClient client(server.port());
  CHECK(client.call("join", R"(["0123456789a"])") == "false");
  CHECK(client.call("join", R"(["0123456789"])") == "true");
  CHECK(client.call("join", R"(["*"])") == "true");
  CHECK(client.call("join", R"(["*"])") == "true");
  CHECK(client.call("join", R"(["b"])") == "false");
  CHECK(server->publish("b", 1));
  CHECK(client.event() == "2 b 1");
}

TEST_CASE("all shards have a bound together: who keeps more than its part gives way") {
  ServerFixture server({.shards = 2,
                        .outbox_limit = 0,
                        .outbox_total_limit = 0,
                        .inbox_limit = 0,
                        .memory_limit = 3'000'000},
                       per_shard<Talker>());
  RawPeer slow(server.port());
  slow.upgrade({.path = "/raw"});
  slow.send(binary_frame("go"));
  WsClient quick(server.port());
  eventually([&] { return server->stats().total.slow_consumers == 1; }, "it to be found out");
  CHECK(last_words(slow) == Close{1013, "memory_limit reached"});
  CHECK(quick.call("echo", "[1]") == "1");
}

TEST_CASE("outboxes have a bound together: the longest goes, and no other") {
  constexpr std::size_t kLimit = 3'000'000;
  constexpr std::size_t kShort = 500'000;
  for (const std::string limit : {"outbox_total_limit", "memory_limit"}) {
    CAPTURE(limit);
    webshocket::Config config{.shards = 1, .outbox_limit = 0, .inbox_limit = 0};
    (limit == "memory_limit" ? config.memory_limit : config.outbox_total_limit) = kLimit;
    ServerFixture server(config, per_shard<Talker>());
    WsClient shorter(server.port());
    WsClient longer(server.port());
    REQUIRE(shorter.call("join", R"(["short"])") == "true");
    REQUIRE(longer.call("join", R"(["long"])") == "true");

    const std::string text(50'000, 'x');
    const auto total = [&] { return server->stats().total; };
    std::uint64_t published = 0;
    const auto publish_until = [&](std::string_view channel, auto enough) {
      while (!enough()) {
        REQUIRE(published < 2'000);
        REQUIRE(server->publish(channel, text));
        ++published;
        eventually([&] { return total().deliveries == published || enough(); }, "a delivery");
      }
    };
    publish_until("short", [&] { return total().outbox_bytes >= kShort; });
    const std::uint64_t for_the_shorter = published;
    publish_until("long", [&] { return total().slow_consumers != 0; });
    eventually([&] { return total().outbox_bytes <= kLimit; }, "room");
    CHECK(last_words(longer.peer()) == Close{1013, limit + " reached"});
    CHECK(shorter.call("echo", "[1]") == "1");
    CHECK(shorter.take_events().size() == for_the_shorter);
    CHECK(total().slow_consumers == 1);
  }
}
