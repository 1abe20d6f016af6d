// The TLS handshake at a server: what is refused and why, its time, its share of a turn.

#include <doctest/doctest.h>
#include <openssl/ssl.h>

#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/e2e/tls_world.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/tls_peer.hpp"

using webshocket::Config;
using webshocket::Connection;
using webshocket::Handler;
using webshocket::LogLevel;
using webshocket::Peer;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::ServerTls;
using webshocket::Task;
using webshocket::TlsVersion;
using webshocket::Upgrade;
using webshocket::test::eventually;
using webshocket::test::PeerError;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::text_frame;
using webshocket::test::TlsPeer;
using webshocket::test::TlsPeerOptions;
using webshocket::test::TlsWorld;
using webshocket::test::upgrade_request;
using namespace std::chrono_literals;

namespace {

class Echo : public Handler {
 public:
  Upgrade on_upgrade(const webshocket::UpgradeRequest&) override { return Upgrade::accept().raw(); }
  void on_message(Connection& connection, std::span<const std::byte> message,
                  webshocket::Opcode) override {
    connection.send(message);
  }
};

/// What a server logs, from all its threads.
class Log {
 public:
  explicit Log(Config& config) {
    config.log = [this](LogLevel level, std::string_view text) {
      const std::scoped_lock lock(mutex_);
      lines_.push_back((level == LogLevel::debug ? "debug: " : "louder: ") + std::string(text));
    };
  }
  bool has(std::string_view text) const {
    const std::scoped_lock lock(mutex_);
    for (const std::string& line : lines_) {
      if (line.starts_with("debug: no TLS with 127.0.0.1:") && line.ends_with(text)) return true;
    }
    return false;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

struct Fixture {
  explicit Fixture(ServerTls tls) : config(world.config(std::move(tls))) {}
  Fixture() : config(world.config()) {}

  ServerFixture& server() {
    if (server_ == nullptr) server_ = std::make_unique<ServerFixture>(config, per_shard<Echo>());
    return *server_;
  }
  std::uint16_t port() { return server().port(); }
  void expect_failure(std::string_view why, std::size_t count = 1) {
    eventually([&] { return log.has(why); }, "the log to say: " + std::string(why));
    eventually([&] { return server()->stats().total.tls_handshake_failures == count; },
               "the counter");
    eventually([&] { return server()->stats().total.handshakes_pending == 0; }, "the end");
    CHECK(server()->stats().total.tls_handshakes == 0);
  }

  TlsWorld world;
  Config config;
  Log log{config};

 private:
  std::unique_ptr<ServerFixture> server_;
};

std::string refusal(std::uint16_t port, const TlsPeerOptions& options) {
  TlsPeer peer(port, options);
  CHECK_THROWS_AS(peer.shake_hands(), PeerError);
  CHECK(peer.wire().read_end() == RawPeer::End::fin);
  try {
    TlsPeer(port, options).shake_hands();
  } catch (const PeerError& error) {
    return error.what();
  }
  return "nothing";
}

void expect_echo(TlsPeer& peer) {
  peer.send(upgrade_request());
  CHECK(peer.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
  peer.send(text_frame("hello"));
  CHECK(peer.read(7).substr(2) == "hello");
}

}  // namespace

// --- refused ------------------------------------------------------------------------------------

TEST_CASE("HTTP without TLS is hung up on") {
  Fixture fixture;
  RawPeer peer(fixture.port());
  peer.send(upgrade_request());
  CHECK(peer.read_end() == RawPeer::End::fin);
  fixture.expect_failure(": the client speaks HTTP without TLS");
}

TEST_CASE("a client that has gone") {
  Fixture fixture;
  RawPeer(fixture.port()).half_close();
  fixture.expect_failure(": the client hung up during the TLS handshake");
  RawPeer(fixture.port()).reset();
  fixture.expect_failure(": Connection reset by peer", 2);
}

TEST_CASE("old versions are refused by an alert") {
  Fixture fixture;
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
    CAPTURE(version);
    CHECK(refusal(fixture.port(), {.min_version = version, .max_version = version}) ==
          "tlsv1 alert protocol version");
  }
  fixture.expect_failure(": TLS has failed: unsupported protocol", 4);

  Fixture strict({.certificates = {fixture.world.certificate}, .min_version = TlsVersion::tls_1_3});
  CHECK(refusal(strict.port(), {.max_version = TLS1_2_VERSION}) == "tlsv1 alert protocol version");
}

TEST_CASE("HTTP/1.1 is chosen, and who offers only others is refused") {
  Fixture fixture;
  CHECK(refusal(fixture.port(), {.protocols = {"h2", "h3"}}) ==
        "tlsv1 alert no application protocol");
  fixture.expect_failure(": TLS has failed: no application protocol", 2);
  TlsPeer both(fixture.port(), {.protocols = {"h2", "http/1.1"}});
  CHECK(both.shake_hands().protocol() == "http/1.1");
  expect_echo(both);
}

TEST_CASE("versions and ciphers that are chosen") {
  Fixture fixture;
  TlsPeer newest(fixture.port());
  CHECK(newest.shake_hands().version() == "TLSv1.3");
  CHECK(newest.cipher() == "TLS_AES_128_GCM_SHA256");
  expect_echo(newest);
  TlsPeer older(fixture.port(), {.max_version = TLS1_2_VERSION});
  CHECK(older.shake_hands().version() == "TLSv1.2");
  CHECK(older.cipher() == "ECDHE-ECDSA-AES128-GCM-SHA256");
  expect_echo(older);
  TlsPeer slow(fixture.port(), {.max_version = TLS1_2_VERSION,
                                .ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305:"
                                           "ECDHE-ECDSA-AES128-GCM-SHA256"});
  CHECK(slow.shake_hands().cipher() == "ECDHE-ECDSA-CHACHA20-POLY1305");  // it knows why
}

TEST_CASE("a client cannot begin anew") {
  Fixture fixture;
  TlsPeer peer(fixture.port(), {.max_version = TLS1_2_VERSION});
  peer.shake_hands();
  CHECK_FALSE(peer.renegotiates());
}

TEST_CASE("the name chooses the certificate") {
  TlsWorld other({.name = "other", .other_names = "DNS:other.example, DNS:*.other.example"});
  Fixture fixture;
  fixture.config.tls.certificates.push_back(other.certificate);
  const auto chosen = [&](const std::string& name) {
    return TlsPeer(fixture.port(), {.name = name}).shake_hands().server();
  };
  CHECK(chosen("localhost") == "localhost");
  CHECK(chosen("other.example") == "other");
  CHECK(chosen("www.other.example") == "other");
  CHECK(chosen("elsewhere") == "localhost");
  CHECK(chosen("") == "localhost");
}

// --- time ---------------------------------------------------------------------------------------

TEST_CASE("who takes too long is hung up on, wherever he stops") {
  Fixture fixture;
  fixture.config.handshake_timeout = 50ms;
  SUBCASE("before the first byte") {
    RawPeer peer(fixture.port());
    CHECK(peer.read_end() == RawPeer::End::fin);
    fixture.expect_failure(": the client takes too long");
  }
  SUBCASE("in its hello") {
    TlsPeer peer(fixture.port());
    peer.wire().send(peer.hello().substr(0, 20));
    CHECK(peer.wire().read_end() == RawPeer::End::fin);
    fixture.expect_failure(": the client takes too long");
  }
  SUBCASE("before its request") {
    TlsPeer peer(fixture.port());
    CHECK(peer.shake_hands().read_end());
    CHECK(fixture.server()->stats().total.tls_handshakes == 1);
    CHECK(fixture.server()->stats().total.tls_handshake_failures == 0);
  }
}

TEST_CASE("byte by byte") {
  Fixture fixture;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsPeer peer(fixture.port(), {.max_version = version});
    for (const char byte : peer.hello()) peer.wire().send(std::string_view(&byte, 1));
    for (const char byte : peer.finish()) peer.wire().send(std::string_view(&byte, 1));
    peer.shake_hands();
    for (const char byte : peer.sealed(upgrade_request())) {
      peer.wire().send(std::string_view(&byte, 1));
    }
    CHECK(peer.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
  }
}

// --- many ---------------------------------------------------------------------------------------

namespace {

/// Tells, some turns after it was asked, how many handshakes wait.
class Watcher : public Handler {
 public:
  explicit Watcher(Server* const& server) : server_(server) {}
  Upgrade on_upgrade(const webshocket::UpgradeRequest&) override { return Upgrade::accept().raw(); }
  void on_message(Connection& connection, std::span<const std::byte>, webshocket::Opcode) override {
    spawn(tell(connection.peer()));
  }

 private:
  Task<void> tell(Peer asker) {
    // A timer that is started in one turn fires in the next one, or later.
    for (int turn = 0; turn < 4; ++turn) co_await webshocket::sleep_for(1us);
    asker.send(std::to_string(server_->stats().total.tls_handshakes_waiting));
  }

  Server* const& server_;
};

}  // namespace

TEST_CASE("a storm of handshakes does not keep the others waiting") {
  constexpr std::size_t kStorm = 400;
  const TlsWorld world;
  Config config = world.config();
  config.shards = 1;
  config.tls_budget = 1ms;
  config.handshake_timeout = 1h;
  Server* made = nullptr;
  ServerFixture server(config, per_shard<Watcher>(std::ref(made)),
                       [&](Server& self) { made = &self; });

  TlsPeer established(server.port());
  established.shake_hands().send(upgrade_request());
  established.read_until("\r\n\r\n");
  std::vector<std::unique_ptr<TlsPeer>> storm;
  for (std::size_t i = 0; i < kStorm; ++i) {
    storm.push_back(std::make_unique<TlsPeer>(server.port()));
  }
  eventually([&] { return server->stats().total.handshakes_pending == kStorm; }, "all of them");

  // While the shard is held up, all of it comes in: the next turn sees everything at once.
  std::promise<void> held;
  std::promise<void> go;
  std::thread holder([&] {
    server->register_rpc("x", [&]() -> webshocket::RpcMethod {
      held.set_value();
      go.get_future().wait();
      return webshocket::RpcMethod([] {});
    });
  });
  held.get_future().wait();
  for (const auto& peer : storm) peer->wire().send(peer->hello());
  established.send(text_frame("how many?"));
  go.set_value();
  holder.join();

  const auto size = static_cast<std::size_t>(established.read(2)[1]);
  const std::size_t waiting = std::stoul(established.read(size));
  CHECK(waiting > 0);
  CHECK(waiting < kStorm);
  for (const auto& peer : storm) peer->shake_hands();
  eventually([&] { return server->stats().total.tls_handshakes == kStorm + 1; }, "all of them");
  CHECK(server->stats().total.tls_handshakes_waiting == 0);
}

TEST_CASE("who leaves while he waits is no trouble, nor is the end of the server") {
  constexpr std::size_t kStorm = 200;
  const TlsWorld world;
  Config config = world.config();
  config.shards = 1;
  config.tls_budget = 1ms;
  ServerFixture server(config, per_shard<Echo>());
  std::vector<std::unique_ptr<TlsPeer>> storm;
  for (std::size_t i = 0; i < kStorm; ++i) {
    storm.push_back(std::make_unique<TlsPeer>(server.port()));
    storm.back()->wire().send(storm.back()->hello());
    if (i % 3 == 0) storm.back()->wire().reset();
    if (i % 3 == 1) storm.back()->wire().half_close();
  }
  server->close();
  CHECK(server->stats().total.handshakes_pending == 0);
}
