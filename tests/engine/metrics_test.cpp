#include <doctest/doctest.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Connection;
using webshocket::Handler;
using webshocket::Packet;
using webshocket::per_shard;
using webshocket::Stats;
using webshocket::test::connect_many;
using webshocket::test::Dialect;
using webshocket::test::eventually;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;

namespace {

class Counted : public Handler {
 public:
  Counted() {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
    rpc("fail", [] { throw webshocket::RpcError("no"); });
    rpc("join", [](Connection& c) { return c.subscribe("room"); });
  }
  void on_receive(Connection&, const Packet& packet) override {
    if (packet.data.is_string() && packet.data.string() == "throw") throw std::runtime_error("x");
  }
  webshocket::Upgrade on_upgrade(const webshocket::UpgradeRequest& request) override {
    if (request.path == "/no") return webshocket::Upgrade::reject(403);
    return webshocket::Upgrade::accept();
  }
};

/// One after the other, so that a field that is left out of the sum is seen.
std::vector<std::uint64_t> fields(const Stats::Shard& s) {
  return {s.connections,
          s.handshakes_pending,
          s.connections_total,
          s.http_requests,
          s.upgrades_rejected,
          s.handshakes_timed_out,
          s.proxy_headers_rejected,
          s.messages_received,
          s.bytes_received,
          s.messages_inflated,
          s.inflate_bytes_in,
          s.inflate_bytes_out,
          s.messages_sent,
          s.bytes_sent,
          s.messages_deflated,
          s.deflate_bytes_in,
          s.deflate_bytes_out,
          s.packets_unknown,
          s.packets_too_deep,
          s.packets_too_large,
          s.messages_limited,
          s.messages_timed_out,
          s.receives_paused,
          s.subscriptions_refused,
          s.rpc_calls,
          s.rpc_errors,
          s.calls_parked,
          s.calls_in_flight,
          s.deliveries,
          s.deliveries_dropped,
          s.deliveries_written,
          s.deliveries_discarded,
          s.deliveries_waiting,
          s.dropped_new,
          s.dropped_old,
          s.dropped_conflated,
          s.dropped_disconnect,
          s.sends_dropped,
          s.conflated,
          s.ticks_early,
          s.slow_consumers,
          s.writes_timed_out,
          s.protocol_errors,
          s.handler_errors,
          s.predicate_errors,
          s.allocation_failures,
          s.slow_callbacks,
          s.pings_unanswered,
          s.keep_alives_refused,
          s.keep_alives_timed_out,
          s.closes_timed_out,
          s.drains_cut_off,
          s.accepts_refused,
          s.inbox_refused,
          s.outbox_bytes,
          s.inbound_bytes,
          s.parked_bytes,
          s.tick_bytes,
          s.tls_handshakes,
          s.tls_resumptions,
          s.tls_handshake_failures,
          s.tls_handshakes_waiting};
}

}  // namespace

static_assert(sizeof(Stats::Shard) == 62 * sizeof(std::uint64_t) + sizeof(Stats::Shard::turns),
              "a field is missing above");

TEST_CASE("the total is the sum of the shards, each field") {
  ServerFixture server({.shards = 3}, per_shard<Counted>(), [](webshocket::Server& made) {
    made.on_http("GET", "/page", [](const auto&) { return webshocket::HttpResponse(); });
  });
  auto clients = connect_many(server.port(), 12);
  for (auto& client : clients) {
    REQUIRE(client->call("join") == "true");
    REQUIRE(client->call("fail").starts_with("-32001"));
    REQUIRE(client->call("nothing").starts_with("-32601"));
    client->send_payload("{");
  }
  CHECK(server->publish("room", 1));
  for (auto& client : clients) CHECK(client->event() == "2 room 1");
  for (auto& client : clients) REQUIRE(client->call("echo", "[1]") == "1");

  RawPeer page(server.port());
  page.send("GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(page.read_http().status == 200);
  RawPeer refused(server.port());
  CHECK(refused.request({.path = "/no"}).status == 403);
  WsClient wrong(server.port());
  wrong.peer().send(webshocket::test::SentFrame{.opcode = 3});
  CHECK(wrong.peer().read_close().code == 1002);
  WsClient thrower(server.port());
  thrower.send(R"("throw")");
  CHECK(thrower.peer().read_close().code == 1011);
  eventually([&] { return server->stats().total.handler_errors == 1; }, "the error to count");

  const Stats stats = server->stats();
  REQUIRE(stats.shards.size() == 3);
  auto turns = decltype(Stats::Shard::turns){};
  std::vector<std::uint64_t> sums(fields(stats.total).size(), 0);
  for (const Stats::Shard& shard : stats.shards) {
    const auto values = fields(shard);
    for (std::size_t i = 0; i < values.size(); ++i) sums[i] += values[i];
    for (std::size_t i = 0; i < turns.size(); ++i) turns[i] += shard.turns[i];
  }
  CHECK(turns == stats.total.turns);
  CHECK(sums == fields(stats.total));
  CHECK(stats.total.connections_total == 14);
  CHECK(stats.total.http_requests == 1);
  CHECK(stats.total.upgrades_rejected == 1);
  CHECK(stats.total.rpc_calls == 12 * 4);
  CHECK(stats.total.rpc_errors == 12 * 2);
  CHECK(stats.total.packets_unknown == 12);
  CHECK(stats.total.deliveries == 12);
  CHECK(stats.total.deliveries_dropped == 0);
  CHECK(stats.total.protocol_errors == 1);
  CHECK(stats.total.handler_errors == 1);
  CHECK(stats.total.messages_received == 12 * 5 + 1);
  CHECK(stats.total.messages_sent == 12 * 5);
  CHECK(stats.accepted == 12 + 4);
  CHECK(stats.refused == 0);
  CHECK(stats.accept_errors == 0);
}

TEST_CASE("gauges come back to nothing when all have gone") {
  ServerFixture server({.shards = 2}, per_shard<Counted>());
  {
    auto clients = connect_many(server.port(), 10);
    const std::string large(100'000, 'x');
    for (auto& client : clients) {
      REQUIRE(client->call("join") == "true");
      // Half a message each.
      const auto frame = webshocket::test::binary_frame(large);
      client->peer().send(frame.substr(0, frame.size() / 2));
    }
    eventually([&] { return server->stats().total.inbound_bytes >= 10 * 40'000; }, "half messages");
    CHECK(server->publish("room", large));
    const RawPeer waiting(server.port());
    eventually([&] { return server->stats().total.handshakes_pending == 1; }, "a handshake");
    CHECK(server->stats().total.connections == 10);
  }
  eventually(
      [&] {
        const auto total = server->stats().total;
        return total.connections == 0 && total.handshakes_pending == 0 &&
               total.inbound_bytes == 0 && total.outbox_bytes == 0 && total.parked_bytes == 0 &&
               total.calls_in_flight == 0;
      },
      "every gauge to be 0");
  server->close();
  const Stats after = server->stats();
  CHECK(after.total.connections_total == 10);
}
