// A connection that is reset, in every phase: the server counts it out, and nobody else notices.

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/e2e/tls_world.hpp"
#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/tls_peer.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Config;
using webshocket::Connection;
using webshocket::Handler;
using webshocket::HttpResponse;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::Stats;
using webshocket::Task;
using webshocket::Upgrade;
using webshocket::test::binary_frame;
using webshocket::test::eventually;
using webshocket::test::RawPeer;
using webshocket::test::SentFrame;
using webshocket::test::ServerFixture;
using webshocket::test::TlsPeer;
using webshocket::test::TlsWorld;
using webshocket::test::upgrade_request;
using webshocket::test::WsClient;
using namespace std::chrono_literals;

namespace {

class Busy : public Handler {
 public:
  Busy() {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
    rpc("wait", &Busy::wait);
    rpc("blob", [] { return std::string(5'000'000, 'b'); });
  }
  Task<Upgrade> on_upgrade_async(webshocket::UpgradeRequest request) override {
    return request.path == "/slow" ? decide_later() : Task<Upgrade>();
  }
  void on_connect(Connection& connection) override { connection.subscribe("room"); }

 private:
  Task<Upgrade> decide_later() {
    co_await webshocket::sleep_for(20ms);
    co_return Upgrade::accept();
  }
  Task<int> wait(Connection&) {
    co_await webshocket::sleep_for(1h);
    co_return 1;
  }
};

void serve_pages(Server& server) {
  server.on_http("GET", "/large",
                 [](const auto&) { return HttpResponse{.body = std::string(5'000'000, 'l')}; });
}

std::string call(std::string_view method) {
  return binary_frame(R"({"source":5,"rpc":{"type":"request","method":")" + std::string(method) +
                      R"(","call_id":"1"}})");
}

const std::string kHead = "HTTP/1.1\r\nHost: here\r\n";
const std::string kOpen = upgrade_request();

/// What a client has said, and what it has read (up to there), when the line is cut.
struct Phase {
  const char* what;
  std::string said;
  std::string_view until;
  std::string said_then;
};

const std::vector<Phase>& phases() {
  static const std::vector<Phase> list{
      {"silent", "", "", ""},
      {"half a request", "GET / HTTP/1.1\r\nHo", "", ""},
      {"half a body", "POST /large " + kHead + "Content-Length: 100\r\n\r\nhalf", "", ""},
      {"an answer that is not read", "GET /large " + kHead + "\r\n", "\r\n\r\n", ""},
      {"pipelined answers", "GET /large " + kHead + "\r\nGET /large " + kHead + "\r\n", "", ""},
      {"an upgrade that is being decided", upgrade_request({.path = "/slow"}), "", ""},
      {"an upgrade whose answer is not read", kOpen, "", ""},
      {"open", kOpen, "\r\n\r\n", ""},
      {"half a frame", kOpen, "\r\n\r\n", binary_frame("whatever").substr(0, 5)},
      {"half a message", kOpen, "\r\n\r\n", SentFrame{.payload = "half", .fin = false}.bytes()},
      {"a call that runs", kOpen, "\r\n\r\n", call("wait")},
      {"a reply that is not read", kOpen, "\r\n\r\n", call("blob")},
      {"closing", kOpen, "\r\n\r\n", SentFrame{.opcode = 3}.bytes()},
      {"closed by itself", kOpen, "\r\n\r\n", webshocket::test::close_frame(1000)},
  };
  return list;
}

bool only_the_witness_is_left(Server& server) {
  const Stats::Shard total = server.stats().total;
  return total.connections == 1 && total.handshakes_pending == 0 && total.outbox_bytes == 0 &&
         total.inbound_bytes == 0 && total.parked_bytes == 0 && total.calls_in_flight == 0;
}

constexpr int kRounds = 10;

}  // namespace

TEST_CASE("plain: in every phase") {
  ServerFixture server({.shards = 2}, per_shard<Busy>(), serve_pages);
  WsClient witness(server.port());
  for (const Phase& phase : phases()) {
    CAPTURE(phase.what);
    for (int round = 0; round < kRounds; ++round) {
      RawPeer peer(server.port());
      if (!phase.said.empty()) peer.send(phase.said);
      if (!phase.until.empty()) peer.read_until(phase.until);
      if (!phase.said_then.empty()) peer.send(phase.said_then);
      peer.reset();
      CHECK(witness.call("echo", "[1]") == "1");
    }
    eventually([&] { return only_the_witness_is_left(*server); }, phase.what);
  }
  CHECK(server->publish("room", 1));
  CHECK(witness.event() == "2 room 1");
  CHECK(server->stats().total.handler_errors == 0);
}

TEST_CASE("TLS: in every phase, and in those of its own") {
  const TlsWorld world;
  ServerFixture server(world.config(), per_shard<Busy>(), serve_pages);
  const auto is_empty = [&] {
    const Stats::Shard total = server->stats().total;
    return total.connections == 0 && total.handshakes_pending == 0 && total.outbox_bytes == 0 &&
           total.inbound_bytes == 0 && total.parked_bytes == 0 && total.calls_in_flight == 0;
  };
  for (const Phase& phase : phases()) {
    CAPTURE(phase.what);
    for (int round = 0; round < kRounds; ++round) {
      TlsPeer peer(server.port());
      peer.shake_hands();
      if (!phase.said.empty()) peer.send(phase.said);
      if (!phase.until.empty()) peer.read_until(phase.until);
      if (!phase.said_then.empty()) peer.send(phase.said_then);
      peer.wire().reset();
    }
    eventually(is_empty, phase.what);
  }
  for (int round = 0; round < kRounds; ++round) {
    TlsPeer half(server.port());
    const std::string hello = half.hello();
    half.wire().send(hello.substr(0, hello.size() / 2));
    half.wire().reset();
    TlsPeer whole(server.port());
    whole.wire().send(whole.hello());
    whole.wire().reset();
  }
  eventually(is_empty, "half handshakes");
  TlsPeer after(server.port());
  after.shake_hands();
  after.send(kOpen);
  CHECK(after.read_until("\r\n\r\n").starts_with("HTTP/1.1 101"));
}
