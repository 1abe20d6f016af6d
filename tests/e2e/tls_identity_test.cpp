// Who is who over TLS: clients that prove who they are, sessions that are taken up again,
// certificates that are renewed while the server runs.

#include <doctest/doctest.h>
#include <openssl/ssl.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <webshocket/client.hpp>
#include <webshocket/client_loop.hpp>
#include <webshocket/server.hpp>

#include "tests/e2e/tls_world.hpp"
#include "tests/support/sanitized.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/server_process.hpp"
#include "tests/support/tls_peer.hpp"

using webshocket::Client;
using webshocket::ClientCertificate;
using webshocket::ClientConfig;
using webshocket::ClientLoop;
using webshocket::Config;
using webshocket::Connection;
using webshocket::ConnectionFailedError;
using webshocket::Handler;
using webshocket::HttpRequest;
using webshocket::HttpResponse;
using webshocket::LogLevel;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::ServerTls;
using webshocket::Upgrade;
using webshocket::UpgradeRequest;
using webshocket::UsageError;
using webshocket::test::eventually;
using webshocket::test::Identity;
using webshocket::test::make_identity;
using webshocket::test::PeerError;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::ServerProcess;
using webshocket::test::TlsPeer;
using webshocket::test::TlsPeerOptions;
using webshocket::test::TlsWorld;
using webshocket::test::upgrade_request;
using webshocket::test::wss;
using namespace std::chrono_literals;

namespace {

/// What handlers have seen, by all shards.
class Seen {
 public:
  void add(std::string text) {
    const std::scoped_lock lock(mutex_);
    lines_.push_back(std::move(text));
  }
  bool has(std::string_view text) const {
    const std::scoped_lock lock(mutex_);
    return std::ranges::find(lines_, text) != lines_.end();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

std::string name_of(const std::optional<ClientCertificate>& certificate) {
  return certificate ? certificate->common_name : "nobody";
}

/// The path may say that the connection is to live elsewhere.
class Door : public Handler {
 public:
  explicit Door(Seen& seen) : seen_(seen) {
    rpc("who", [](Connection& c) { return name_of(c.client_certificate()); });
  }
  Upgrade on_upgrade(const UpgradeRequest& request) override {
    seen_.add("asks: " + name_of(request.client_certificate));
    if (name_of(request.client_certificate) == "banned") return Upgrade::reject(403);
    return request.path == "/pin" ? Upgrade::accept().pin("all") : Upgrade::accept();
  }
  void on_connect(Connection& c) override { seen_.add("came: " + name_of(c.client_certificate())); }
  void on_disconnect(Connection& c) override {
    seen_.add("left: " + name_of(c.client_certificate()));
  }

 private:
  Seen& seen_;
};

struct Fixture {
  Fixture(const TlsWorld& from, ServerTls tls)
      : world(from), server(world.config(std::move(tls)), per_shard<Door>(std::ref(seen))) {}

  std::string who(const webshocket::ClientConfig& config, const std::string& path = {}) const {
    Client client(wss(server.port(), path), config);
    client.connect();
    return client.call<std::string>("who");
  }
  std::string refusal(const webshocket::ClientConfig& config) const {
    try {
      who(config);
    } catch (const ConnectionFailedError& error) {
      return error.what();
    }
    return "none";
  }

  const TlsWorld& world;
  Seen seen;
  ServerFixture server;
};

/// A ticket, from a connection that has come and gone.
std::shared_ptr<SSL_SESSION> session_from(std::uint16_t port, TlsPeerOptions options = {}) {
  TlsPeer peer(port, options);
  peer.shake_hands().send(upgrade_request());
  peer.read_until("\r\n\r\n");
  return peer.session();
}

bool resumes(std::uint16_t port, TlsPeerOptions options) {
  TlsPeer peer(port, options);
  peer.shake_hands().send(upgrade_request());
  CHECK(peer.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
  return peer.is_resumed();
}

std::string server_name(std::uint16_t port) { return TlsPeer(port).shake_hands().server(); }

}  // namespace

// --- clients that prove who they are ------------------------------------------------------------

TEST_CASE("a client's certificate is seen by the handler, from the first to the last") {
  const TlsWorld world;
  const Fixture fixture(world, world.asking());
  const Identity ann = make_identity({.name = "ann"}, world.authority);
  CHECK(fixture.who(world.client(ann)) == "ann");
  for (const char* line : {"asks: ann", "came: ann", "left: ann"}) {
    eventually([&] { return fixture.seen.has(line); }, line);
  }
  for (int i = 0; i < 8; ++i) CHECK(fixture.who(world.client(ann), "/pin") == "ann");

  const Identity banned = make_identity({.name = "banned"}, world.authority);
  CHECK(fixture.refusal(world.client(banned)).find("403") != std::string::npos);
}

TEST_CASE("who has none, or a wrong one, is told why") {
  const TlsWorld world;
  Fixture fixture(world, world.asking());
  CHECK(fixture.refusal(world.client()).find("by a TLS alert: certificate required") !=
        std::string::npos);
  CHECK(
      fixture.refusal(world.client(make_identity({.name = "stranger"}))).find("by a TLS alert: ") !=
      std::string::npos);
  CHECK(fixture
            .refusal(world.client(
                make_identity({.name = "old", .from = -2h, .to = -1h}, world.authority)))
            .find("by a TLS alert: certificate expired") != std::string::npos);
  // The alert is on its way before the failure is counted.
  eventually([&] { return fixture.server->stats().total.tls_handshake_failures >= 3; },
             "the counter");
  CHECK(fixture.server->stats().total.tls_handshake_failures == 3);
  CHECK_FALSE(fixture.seen.has("asks: nobody"));
}

TEST_CASE("who need not have one may have none, but no wrong one") {
  const TlsWorld world;
  ServerTls tls = world.asking();
  tls.client_certificate_optional = true;
  const Fixture fixture(world, tls);
  CHECK(fixture.who(world.client()) == "nobody");
  CHECK(fixture.who(world.client(make_identity({.name = "ann"}, world.authority))) == "ann");
  CHECK(
      fixture.refusal(world.client(make_identity({.name = "stranger"}))).find("by a TLS alert: ") !=
      std::string::npos);
}

TEST_CASE("pages know it too") {
  const TlsWorld world;
  Seen seen;
  const ServerFixture server(world.config(world.asking()), per_shard<Door>(std::ref(seen)),
                             [](Server& made) {
                               made.on_http("GET", "/who", [](const HttpRequest& request) {
                                 return HttpResponse{.body = name_of(request.client_certificate)};
                               });
                             });
  TlsPeer peer(server.port(), {.identity = make_identity({.name = "ann"}, world.authority)});
  peer.shake_hands().send("GET /who HTTP/1.1\r\nHost: a\r\n\r\n");
  peer.read_until("\r\n\r\n");
  CHECK(peer.read(3) == "ann");
}

// --- sessions that are taken up again -----------------------------------------------------------

TEST_CASE("a ticket is taken up, on every shard, and after a reload") {
  TlsWorld world;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    Fixture fixture(world, world.server());
    const auto session = session_from(fixture.server.port(), {.max_version = version});
    const TlsPeerOptions again{.max_version = version, .session = session};
    for (int i = 0; i < 8; ++i) CHECK(resumes(fixture.server.port(), again));
    world.renew({.name = "renewed"});
    fixture.server->reload_tls();
    CHECK(resumes(fixture.server.port(), again));
    CHECK(fixture.server->stats().total.tls_resumptions == 9);
    CHECK(fixture.server->stats().total.tls_handshakes == 10);
  }
}

TEST_CASE("who takes up a session is still who he was; with other authorities he must say again") {
  const TlsWorld world;
  Fixture fixture(world, world.asking());
  const TlsPeerOptions ann{.identity = make_identity({.name = "ann"}, world.authority)};
  TlsPeerOptions again = ann;
  again.session = session_from(fixture.server.port(), ann);
  CHECK(resumes(fixture.server.port(), again));
  CHECK(fixture.seen.has("came: ann"));
  CHECK_FALSE(fixture.seen.has("came: nobody"));

  static_cast<void>(
      world.folder.write("ca.pem", webshocket::test::make_authority("Other").certificate_pem() +
                                       world.authority.certificate_pem()));
  fixture.server->reload_tls();
  CHECK_FALSE(resumes(fixture.server.port(), again));
}

// --- renewal ------------------------------------------------------------------------------------

TEST_CASE("a reload, with connections that go on as they are") {
  TlsWorld world;
  Fixture fixture(world, world.server());
  const ClientLoop loop;
  const auto settings = std::make_shared<const ClientConfig>(world.client());
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < (webshocket::test::kSanitized ? 100 : 1000); ++i) {
    clients.push_back(std::make_unique<Client>(wss(fixture.server.port()), settings, loop));
    clients.back()->connect();
  }
  TlsPeer half(fixture.server.port());  // the server has said who it is already
  half.wire().send(half.hello());
  half.wire().wait_for_input();

  std::atomic<bool> is_over{false};
  std::thread caller([&] {
    while (!is_over) {
      for (const auto& client : clients) static_cast<void>(client->call<std::string>("who"));
    }
  });
  CHECK(server_name(fixture.server.port()) == "localhost");
  for (int i = 0; i < 10; ++i) {
    const std::string name = "renewed " + std::to_string(i);
    world.renew({.name = name});
    fixture.server->reload_tls();
    CHECK(server_name(fixture.server.port()) == name);
  }
  is_over = true;
  caller.join();
  CHECK(half.shake_hands().server() == "localhost");
  for (const auto& client : clients) CHECK(client->call<std::string>("who") == "nobody");
  CHECK(fixture.server->stats().total.connections == clients.size());
  CHECK(fixture.server->stats().total.tls_handshake_failures == 0);
}

TEST_CASE("a reload of what cannot be used changes nothing") {
  TlsWorld world;
  Fixture fixture(world, world.server());
  world.renew({.name = "renewed"});
  world.folder.write("server.key", "nonsense");
  CHECK_THROWS_WITH_AS(fixture.server->reload_tls(),
                       doctest::Contains("Config::tls.certificates[0].key_file = \""), UsageError);
  CHECK(server_name(fixture.server.port()) == "localhost");
  world.renew({.name = "renewed"});
  fixture.server->reload_tls();
  CHECK(server_name(fixture.server.port()) == "renewed");
}

TEST_CASE("all listeners change, or none does") {
  TlsWorld one;
  TlsWorld two;
  Config config;
  config.listeners = {{.tls = one.server()}, {.tls = two.server()}};
  Seen seen;
  ServerFixture server(config, per_shard<Door>(std::ref(seen)));
  const std::string address = server->addresses()[1];
  const auto other = static_cast<std::uint16_t>(std::stoi(address.substr(address.find(':') + 1)));
  one.renew({.name = "new one"});
  two.folder.write("server.pem", "nonsense");
  CHECK_THROWS_WITH_AS(
      server->reload_tls(),
      doctest::Contains("Config::listeners[1].tls.certificates[0].certificate_file = \""),
      UsageError);
  CHECK(server_name(server.port()) == "localhost");
  two.renew({.name = "new two"});
  server->reload_tls();
  CHECK(server_name(server.port()) == "new one");
  CHECK(server_name(other) == "new two");
}

TEST_CASE("what cannot be used is refused before the start") {
  const TlsWorld world;
  Config config = world.config();
  config.tls.certificates.front().key_file = "/nowhere";
  CHECK_THROWS_WITH_AS(Server(config, per_shard<Handler>()),
                       doctest::Contains("Config::tls.certificates[0].key_file = \"/nowhere\": "),
                       UsageError);
}

TEST_CASE("a server without TLS has nothing to read again") {
  ServerFixture server({.shards = 1}, per_shard<Handler>());
  CHECK_NOTHROW(server->reload_tls());
}

TEST_CASE("SIGHUP") {
  TlsWorld world;
  ServerProcess server(WEBSHOCKET_BIN_DIR "/conformance_server",
                       {"--port", "0", "--cert", world.certificate.certificate_file, "--key",
                        world.certificate.key_file});
  TlsPeer before(server.port());
  before.shake_hands().send(upgrade_request());
  before.read_until("\r\n\r\n");
  CHECK(before.server() == "localhost");
  world.renew({.name = "renewed"});
  server.signal(SIGHUP);
  eventually([&] { return server_name(server.port()) == "renewed"; }, "the new certificate");
  before.send(webshocket::test::close_frame(1000));
  CHECK(before.read(4).substr(2) == "\x03\xE8");
  CHECK(server.terminate() == 0);
}
