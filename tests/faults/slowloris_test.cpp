// One byte at a time, never finished: whatever it is, a limit of its own ends it.

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

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
using webshocket::Handler;
using webshocket::HttpResponse;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::Stats;
using webshocket::test::binary_frame;
using webshocket::test::eventually;
using webshocket::test::kGuard;
using webshocket::test::open_peer;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::TlsPeer;
using webshocket::test::TlsWorld;
using webshocket::test::upgrade_request;
using webshocket::test::WsClient;
using namespace std::chrono_literals;

namespace {

class Echo : public Handler {
 public:
  Echo() {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
  }
};

struct Fixture {
  explicit Fixture(Config config)
      : server(two_shards(std::move(config)), per_shard<Echo>(), [](Server& made) {
          made.on_http("POST", "/take", [](const auto&) { return HttpResponse(); });
        }) {}
  static Config two_shards(Config config) {
    config.shards = 2;
    return config;
  }
  Stats::Shard total() { return server->stats().total; }
  std::uint16_t port() const { return server.port(); }
  ServerFixture server;
};

/// Sends byte after byte, over and over, until the server has had enough.
void drip(RawPeer& peer, std::string_view bytes) {
  const auto until = std::chrono::steady_clock::now() + kGuard;
  for (std::size_t i = 0; peer.absorb(); i = (i + 1) % bytes.size()) {
    REQUIRE(std::chrono::steady_clock::now() < until);
    const char byte = bytes[i];
    if (::send(peer.fd(), &byte, 1, MSG_NOSIGNAL) <= 0) return;
    pollfd entry{peer.fd(), POLLIN, 0};
    ::poll(&entry, 1, 2);
  }
}

const std::string kForever(10'000, 'x');

}  // namespace

TEST_CASE("a request's head: handshake_timeout") {
  Fixture f({.handshake_timeout = 100ms});
  WsClient other(f.port());
  RawPeer peer(f.port());
  drip(peer, "GET / HTTP/1.1\r\nHost: here\r\nX: " + kForever);
  eventually([&] { return f.total().handshakes_timed_out == 1; }, "it to count");
  RawPeer silent(f.port());
  silent.read_end();
  eventually([&] { return f.total().handshakes_timed_out == 2; }, "it to count");
  CHECK(f.total().handshakes_pending == 0);
  CHECK(other.call("echo", "[1]") == "1");
}

TEST_CASE("a request's body: handshake_timeout") {
  Fixture f({.handshake_timeout = 100ms});
  RawPeer peer(f.port());
  peer.send("POST /take HTTP/1.1\r\nHost: here\r\nContent-Length: 100000\r\n\r\n");
  drip(peer, kForever);
  eventually([&] { return f.total().handshakes_timed_out == 1; }, "it to count");
  RawPeer chunked(f.port());
  chunked.send("POST /take HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n");
  drip(chunked, "1\r\nx\r\n");
  eventually([&] { return f.total().handshakes_timed_out == 2; }, "it to count");
  CHECK(f.total().http_requests == 0);
}

TEST_CASE("the second request of a connection: http_keep_alive") {
  Fixture f({.http_keep_alive = 100ms});
  RawPeer peer(f.port());
  peer.send("POST /take HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\n\r\nx");
  CHECK(peer.read_http().status == 200);
  drip(peer, "POST /take HTTP/1.1\r\nX: " + kForever);
  CHECK(f.total().http_requests == 1);
  CHECK(f.total().handshakes_timed_out == 0);
  eventually([&] { return f.total().keep_alives_timed_out == 1; }, "it to count");
}

TEST_CASE("a TLS hello: handshake_timeout") {
  const TlsWorld world;
  Config config = world.config();
  config.handshake_timeout = 100ms;
  Fixture f(config);
  TlsPeer peer(f.port());
  const std::string hello = peer.hello();
  drip(peer.wire(), hello.substr(0, hello.size() - 1));
  eventually([&] { return f.total().handshakes_timed_out == 1; }, "it to count");
  eventually([&] { return f.total().handshakes_pending == 0; }, "it to go");
}

TEST_CASE("a request over TLS: handshake_timeout") {
  const TlsWorld world;
  Config config = world.config();
  config.handshake_timeout = 300ms;
  Fixture f(config);
  TlsPeer peer(f.port());
  peer.shake_hands();
  peer.send("GET / HTTP/1.1\r\nHost: here\r\n");
  peer.read_end();
  eventually([&] { return f.total().handshakes_timed_out == 1; }, "it to count");
}

TEST_CASE("a PROXY header: handshake_timeout") {
  Fixture f({.proxy_protocol = true, .handshake_timeout = 100ms});
  RawPeer peer(f.port());
  drip(peer, "PROXY TCP4 203.0.113.7 192.0.2.1 5");
  eventually([&] { return f.total().proxy_headers_rejected == 1; }, "it to count");
  RawPeer silent(f.port());
  silent.read_end();
  eventually([&] { return f.total().handshakes_timed_out == 2; }, "both to count");
}

TEST_CASE("a frame, or a message in frames: message_timeout") {
  Fixture f({.message_timeout = 100ms});
  WsClient other(f.port());
  RawPeer frame = open_peer(f.port());
  const std::string bytes = binary_frame(std::string(60'000, 'x'));
  frame.send(bytes.substr(0, 1));
  drip(frame, bytes.substr(1));
  CHECK(frame.read_close().reason == "The message takes too long (message_timeout)");
  RawPeer fragments = open_peer(f.port());
  using webshocket::test::SentFrame;
  fragments.send(SentFrame{.payload = "x", .fin = false});
  drip(fragments, SentFrame{.opcode = webshocket::test::kContinuation, .fin = false}.bytes());
  CHECK(fragments.read_close().code == 1008);
  CHECK(f.total().messages_timed_out == 2);
  CHECK(other.call("echo", "[1]") == "1");
}

TEST_CASE("the answer to CLOSE: close_timeout") {
  Fixture f({.close_timeout = 100ms});
  RawPeer peer = open_peer(f.port());
  peer.send(webshocket::test::SentFrame{.opcode = 3});
  CHECK(peer.read_close().code == 1002);
  eventually([&] { return f.total().connections == 0; }, "it to be cut off");
  CHECK(f.total().closes_timed_out == 1);
}
