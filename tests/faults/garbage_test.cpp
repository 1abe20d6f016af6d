// Bytes without a meaning, in every state of a connection.

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
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
using webshocket::Task;
using webshocket::Upgrade;
using webshocket::test::binary_frame;
using webshocket::test::Dialect;
using webshocket::test::eventually;
using webshocket::test::open_peer;
using webshocket::test::PeerError;
using webshocket::test::RawPeer;
using webshocket::test::SentFrame;
using webshocket::test::ServerFixture;
using webshocket::test::TlsPeer;
using webshocket::test::TlsWorld;
using webshocket::test::WsClient;
using namespace std::chrono_literals;

namespace {

class Echo : public Handler {
 public:
  Echo() {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
    rpc("wait", &Echo::wait);
  }
  Task<Upgrade> on_upgrade_async(webshocket::UpgradeRequest request) override {
    return request.path == "/slow" ? decide_later() : Task<Upgrade>();
  }

 private:
  Task<Upgrade> decide_later() {
    co_await webshocket::sleep_for(5ms);
    co_return Upgrade::accept();
  }
  Task<int> wait(Connection&) {
    co_await webshocket::sleep_for(5ms);
    co_return 1;
  }
};

Config settings() {
  Config config;
  config.shards = 2;
  config.close_timeout = 50ms;
  config.handshake_timeout = 200ms;
  config.compression.enabled = true;
  return config;
}

class Noise {
 public:
  std::string bytes(std::size_t size) {
    std::string noise(size, '\0');
    for (char& byte : noise) byte = static_cast<char>(random_());
    return noise;
  }
  std::size_t size() { return random_() % 4'000 + 1; }

 private:
  std::minstd_rand random_{42};
};

/// Sends what the server takes.
void pour(RawPeer& peer, std::string_view bytes) {
  try {
    peer.send(bytes);
  } catch (const PeerError&) {  // NOLINT(bugprone-empty-catch): it has had enough
  }
}

}  // namespace

TEST_CASE("in every state: the peer goes, nobody else notices, nothing is left") {
  ServerFixture server(settings(), per_shard<Echo>(), [](Server& made) {
    made.on_http("GET", "/page", [](const auto&) { return HttpResponse{.body = "page"}; });
  });
  const std::uint16_t port = server.port();
  WsClient witness(port);
  Noise noise;
  const std::string page = "GET /page HTTP/1.1\r\nHost: here\r\n\r\n";
  using Reach = std::function<std::unique_ptr<RawPeer>()>;
  const auto opened = [&](const webshocket::test::UpgradeOptions& options = {}) {
    return std::make_unique<RawPeer>(open_peer(port, options));
  };
  const std::vector<Reach> states{
      [&] { return std::make_unique<RawPeer>(port); },
      [&] {
        auto peer = std::make_unique<RawPeer>(port);
        peer->send("GET / HTTP/1.1\r\nHost: he");
        return peer;
      },
      [&] {  // between two requests
        auto peer = std::make_unique<RawPeer>(port);
        peer->send(page);
        CHECK(peer->read_http().status == 200);
        return peer;
      },
      [&] {  // while on_upgrade decides
        auto peer = std::make_unique<RawPeer>(port);
        peer->send(webshocket::test::upgrade_request({.path = "/slow"}));
        return peer;
      },
      [&] { return opened(); },
      [&] { return opened(webshocket::test::options_of(Dialect::json)); },
      [&] { return opened({.headers = {"Sec-WebSocket-Extensions: permessage-deflate"}}); },
      [&] {  // inside a message
        auto peer = opened();
        peer->send(SentFrame{.payload = "half", .fin = false});
        return peer;
      },
      [&] {  // while a call runs
        auto peer = opened();
        peer->send(
            binary_frame(R"({"source":5,"rpc":{"type":"request","method":"wait","call_id":"1"}})"));
        return peer;
      },
      [&] {  // while it closes
        auto peer = opened();
        peer->send(SentFrame{.opcode = 3});
        CHECK(peer->read_close().code == 1002);
        return peer;
      },
  };
  for (std::size_t state = 0; state < states.size(); ++state) {
    CAPTURE(state);
    for (int round = 0; round < 20; ++round) {
      const auto peer = states[state]();
      pour(*peer, noise.bytes(noise.size()));
      CHECK(witness.call("echo", "[1]") == "1");
    }
  }
  // What is a frame, with noise in it.
  for (int round = 0; round < 100; ++round) {
    const auto peer = opened();
    for (int i = 0; i < 5; ++i) pour(*peer, binary_frame(noise.bytes(noise.size())));
  }
  CHECK(witness.call("echo", "[1]") == "1");
  eventually(
      [&] {
        const auto total = server->stats().total;
        return total.connections == 1 && total.handshakes_pending == 0 &&
               total.inbound_bytes == 0 && total.parked_bytes == 0 && total.calls_in_flight == 0;
      },
      "all of them to go");
  CHECK(server->stats().total.handler_errors == 0);
}

TEST_CASE("in every state of TLS") {
  const TlsWorld world;
  Config config = settings();
  config.tls = world.server();
  ServerFixture server(config, per_shard<Echo>());
  Noise noise;
  for (int round = 0; round < 20; ++round) {
    RawPeer stranger(server.port());
    pour(stranger, noise.bytes(noise.size()));
    TlsPeer begun(server.port());
    begun.wire().send(begun.hello());
    pour(begun.wire(), noise.bytes(noise.size()));
    TlsPeer ready(server.port());
    ready.shake_hands();
    pour(ready.wire(), noise.bytes(noise.size()));
    TlsPeer open(server.port());
    open.shake_hands();
    open.send(webshocket::test::upgrade_request());
    CHECK(open.read_until("\r\n\r\n").starts_with("HTTP/1.1 101"));
    if (round % 2 == 0) {
      pour(open.wire(), noise.bytes(noise.size()));
    } else {
      pour(open.wire(), open.sealed(noise.bytes(noise.size())));
    }
  }
  eventually(
      [&] {
        const auto total = server->stats().total;
        return total.connections == 0 && total.handshakes_pending == 0;
      },
      "all of them to go");
}
