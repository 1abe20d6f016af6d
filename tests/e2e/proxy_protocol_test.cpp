// The PROXY protocol in front of a connection.

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
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
using webshocket::HttpRequest;
using webshocket::HttpResponse;
using webshocket::LogLevel;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::test::eventually;
using webshocket::test::from_hex;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::text_frame;
using webshocket::test::TlsPeer;
using webshocket::test::TlsWorld;
using webshocket::test::upgrade_request;
using namespace std::chrono_literals;

namespace {

class Watcher : public Handler {
 public:
  webshocket::Upgrade on_upgrade(const webshocket::UpgradeRequest&) override {
    return webshocket::Upgrade::accept().raw();
  }
  void on_message(Connection& connection, std::span<const std::byte>, webshocket::Opcode) override {
    connection.send(connection.remote_address());
  }
};

class Fixture {
 public:
  explicit Fixture(Config config = {})
      : server_(with_log(std::move(config)), per_shard<Watcher>(), prepare) {}

  std::uint16_t port() const { return server_.port(); }
  ServerFixture& server() { return server_; }
  std::uint64_t rejected() { return server_->stats().total.proxy_headers_rejected; }
  bool has_logged(std::string_view text) {
    const std::scoped_lock lock(mutex_);
    return std::ranges::any_of(
        log_, [text](const std::string& line) { return line.find(text) != std::string::npos; });
  }

 private:
  Config with_log(Config config) {
    config.shards = 2;
    config.proxy_protocol = true;
    config.log = [this](LogLevel, std::string_view text) {
      const std::scoped_lock lock(mutex_);
      log_.emplace_back(text);
    };
    return config;
  }
  static void prepare(Server& server) {
    server.on_http("GET", "/where", [](const HttpRequest& request) {
      return HttpResponse{.body = request.remote_address};
    });
  }

  std::mutex mutex_;
  std::vector<std::string> log_;
  ServerFixture server_;
};

std::string own_address(const RawPeer& peer) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(peer.fd(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
}

const std::string kRequest = "GET /where HTTP/1.1\r\nHost: here\r\n\r\n";
const std::string kLine = "PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n";
const std::string kSignature = from_hex("0D0A0D0A000D0A515549540A");
const std::string kBlock = kSignature + from_hex("21 11 000C CB007107 C0000201 DC04 01BB");
const std::string kBlockWithTlvs =
    kSignature + from_hex(
                     "21 21 002B 20010DB8000000000000000000000007"
                     "00000000000000000000000000000001 DC04 01BB 03 0004 01020304");
const std::string kLocal = kSignature + from_hex("20 00 0000");
const std::string kOfUnix = kSignature + from_hex("21 31 00D8") + std::string(216, 'u');

struct Case {
  std::string header;
  std::string source;  ///< empty: the socket's own
};

const std::vector<Case>& cases() {
  static const std::vector<Case> list{
      {kLine, "203.0.113.7:56324"},
      {"PROXY TCP6 2001:db8::7 ::1 56324 443\r\n", "[2001:db8::7]:56324"},
      {"PROXY UNKNOWN\r\n", ""},
      {"PROXY UNKNOWN 1.1.1.1 2.2.2.2 3 4\r\n", ""},
      {kBlock, "203.0.113.7:56324"},
      {kBlockWithTlvs, "[2001:db8::7]:56324"},
      {kLocal, ""},
      {kOfUnix, "unix"},
  };
  return list;
}

}  // namespace

TEST_CASE("the header names the client, for plain requests and WebSockets") {
  Fixture fixture;
  for (const Case& c : cases()) {
    CAPTURE(c.header);
    RawPeer plain(fixture.port());
    plain.send(c.header + kRequest + kRequest);
    const std::string source = c.source.empty() ? own_address(plain) : c.source;
    CHECK(plain.read_http().body == source);
    CHECK(plain.read_http().body == source);

    RawPeer socket(fixture.port());
    socket.send(c.header);
    socket.upgrade();
    socket.send(text_frame("?"));
    CHECK(socket.read_message() == (c.source.empty() ? own_address(socket) : c.source));
  }
  CHECK(fixture.rejected() == 0);
}

TEST_CASE("it may come in any two parts, and byte by byte") {
  Fixture fixture;
  for (const std::string& header : {kLine, kBlockWithTlvs}) {
    const std::string source = header == kLine ? "203.0.113.7:56324" : "[2001:db8::7]:56324";
    const std::string bytes = header + kRequest;
    for (std::size_t cut = 1; cut < header.size() + 3; ++cut) {
      CAPTURE(cut);
      RawPeer peer(fixture.port());
      peer.send_split(bytes, cut);
      REQUIRE(peer.read_http().body == source);
    }
    RawPeer peer(fixture.port());
    for (const char c : bytes) peer.send({&c, 1});
    CHECK(peer.read_http().body == source);
  }
}

TEST_CASE("a message right behind the request behind the header gets its answer") {
  Fixture fixture;
  RawPeer peer(fixture.port());
  peer.send(kBlock + upgrade_request() + text_frame("?"));
  CHECK(peer.read_http().status == 101);
  CHECK(peer.read_message() == "203.0.113.7:56324");
}

TEST_CASE("TLS begins right behind it, in the same segment or byte by byte") {
  const TlsWorld world;
  Fixture fixture(world.config());
  for (const Case& c : cases()) {
    CAPTURE(c.header);
    for (const bool in_bytes : {false, true}) {
      RawPeer wire(fixture.port());
      const std::string source = c.source.empty() ? own_address(wire) : c.source;
      if (in_bytes) wire.send(c.header.substr(0, c.header.size() - 1));
      TlsPeer peer(std::move(wire));
      const std::string hello = peer.hello();
      if (in_bytes) {
        for (const char byte : c.header.back() + hello) peer.wire().send({&byte, 1});
      } else {
        peer.wire().send(c.header + hello);
      }
      peer.shake_hands();
      peer.send(kRequest);
      CHECK(peer.read_until(source).find("200 OK") != std::string::npos);
    }
  }
  CHECK(fixture.rejected() == 0);
}

TEST_CASE("in front of TLS it is required too, and its failures are no handshakes'") {
  const TlsWorld world;
  Fixture fixture(world.config());
  TlsPeer without(fixture.port());
  CHECK_THROWS_AS(without.shake_hands(), webshocket::test::PeerError);
  eventually([&] { return fixture.rejected() == 1; }, "the counter");
  CHECK(fixture.server()->stats().total.tls_handshake_failures == 0);

  Fixture hasty([&] {
    Config config = world.config();
    config.handshake_timeout = 50ms;
    return config;
  }());
  RawPeer slow(hasty.port());
  slow.send(kLine.substr(0, 5));
  CHECK(slow.read_end() != RawPeer::End::none);
  eventually([&] { return hasty.rejected() == 1; }, "the counter");
  CHECK(hasty.has_logged("takes too long"));
  CHECK(hasty.server()->stats().total.tls_handshake_failures == 0);
}

TEST_CASE("without a header, or with a malformed one, it is hung up on, counted and told") {
  struct Bad {
    std::string bytes;
    std::string_view why;
  };
  const Bad bad[] = {
      {kRequest, "it does not begin with a PROXY header"},
      {"\x16\x03\x01\x02", "it does not begin with a PROXY header"},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 3 4\n", "its line does not end with CR LF"},
      {"PROXY TCP4 ::1 ::1 3 4\r\n", "an address of it is malformed"},
      {"PROXY UNKNOWN " + std::string(200, 'x'), "its line is longer than 107 bytes"},
      {kSignature + from_hex("11 11 000C"), "its version is not 2"},
      {kSignature + from_hex("21 11 000B"), "its addresses are cut off"},
  };
  for (const Bad& c : bad) {
    CAPTURE(c.why);
    Fixture fixture;
    RawPeer peer(fixture.port());
    peer.send(c.bytes);
    CHECK(peer.read_end() != RawPeer::End::none);
    eventually([&] { return fixture.rejected() == 1; }, "the counter");
    CHECK(fixture.has_logged(c.why));
    CHECK(fixture.server()->stats().total.upgrades_rejected == 0);
    eventually([&] { return fixture.server()->stats().total.handshakes_pending == 0; },
               "the handshake to be forgotten");
  }
}

TEST_CASE("who hangs up without a word only looked; who does so within the header did not") {
  Fixture fixture;
  { const RawPeer looker(fixture.port()); }
  RawPeer cut(fixture.port());
  cut.send(kBlock.substr(0, 20));
  cut.half_close();
  CHECK(cut.read_end() != RawPeer::End::none);
  eventually([&] { return fixture.rejected() == 1; }, "the counter");
  CHECK(fixture.has_logged("cut off"));
  eventually([&] { return fixture.server()->stats().total.handshakes_pending == 0; },
             "both to be forgotten");
  CHECK(fixture.rejected() == 1);
}

TEST_CASE("the time for the handshake counts for the header") {
  Fixture fixture({.handshake_timeout = 50ms});
  for (const std::string& bytes : {std::string(), kLine.substr(0, 9), kBlock.substr(0, 17)}) {
    RawPeer peer(fixture.port());
    peer.send(bytes);
    CHECK(peer.read_end() != RawPeer::End::none);
  }
}

TEST_CASE("with a list of proxies, nobody else may connect") {
  Fixture fixture({.trusted_proxies = {"10.0.0.0/8", "::1"}});
  RawPeer peer(fixture.port());
  CHECK(peer.read_end() != RawPeer::End::none);
  eventually([&] { return fixture.rejected() == 1; }, "the counter");
  CHECK(fixture.has_logged("it is not in trusted_proxies"));

  Fixture open({.trusted_proxies = {"127.0.0.1"}});
  RawPeer proxy(open.port());
  proxy.send(kLine + kRequest);
  CHECK(proxy.read_http().body == "203.0.113.7:56324");
}

TEST_CASE("a header behind the header is believed if the client is a trusted proxy itself") {
  Fixture fixture({.trusted_proxies = {"127.0.0.1", "203.0.113.0/24"}});
  const std::string request =
      "GET /where HTTP/1.1\r\nHost: here\r\nX-Forwarded-For: 6.6.6.6, 1.1.1.1\r\n\r\n";
  RawPeer proxied(fixture.port());
  proxied.send(kLine + request);
  CHECK(proxied.read_http().body == "1.1.1.1:0");
  RawPeer client(fixture.port());
  client.send("PROXY TCP4 8.8.8.8 192.0.2.1 88 443\r\n" + request);
  CHECK(client.read_http().body == "8.8.8.8:88");
  // Who passes on what it does not read has not written it, though it is trusted.
  RawPeer unnamed(fixture.port());
  unnamed.send("PROXY UNKNOWN\r\n" + request);
  CHECK(unnamed.read_http().body == own_address(unnamed));
}

TEST_CASE("each listener decides for itself") {
  Config config{.shards = 1};
  config.listeners = {{.proxy_protocol = true}, {}};
  ServerFixture server(std::move(config), per_shard<Watcher>());
  const auto addresses = server->addresses();
  REQUIRE(addresses.size() == 2);
  const auto port_of = [&](std::size_t i) {
    return static_cast<std::uint16_t>(std::stoi(addresses[i].substr(addresses[i].rfind(':') + 1)));
  };
  RawPeer proxied(port_of(0));
  proxied.send(kLine);
  proxied.upgrade();
  RawPeer plain(port_of(1));
  plain.upgrade();
  RawPeer wrong(port_of(1));
  wrong.send(kLine);
  CHECK(wrong.read_http().status == 400);
}
