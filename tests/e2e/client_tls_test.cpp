// The client on wss://: whom it trusts, who it is, and whether anything gets lost in between.

#include <doctest/doctest.h>
#include <openssl/ssl.h>

#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/client.hpp>
#include <webshocket/server.hpp>

#include "tests/support/certificates.hpp"
#include "tests/support/raw_server.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/tls_forwarder.hpp"

using webshocket::Client;
using webshocket::ClientConfig;
using webshocket::ClientLoop;
using webshocket::ClientTls;
using webshocket::CloseCode;
using webshocket::Config;
using webshocket::Connection;
using webshocket::ConnectionClosedError;
using webshocket::ConnectionFailedError;
using webshocket::Format;
using webshocket::Handler;
using webshocket::Packet;
using webshocket::per_shard;
using webshocket::Retry;
using webshocket::Stream;
using webshocket::Task;
using webshocket::UsageError;
using webshocket::test::eventually;
using webshocket::test::Identity;
using webshocket::test::IdentityOptions;
using webshocket::test::make_authority;
using webshocket::test::make_identity;
using webshocket::test::make_tls_server;
using webshocket::test::PeerError;
using webshocket::test::play;
using webshocket::test::RawPeer;
using webshocket::test::RawServer;
using webshocket::test::ServerFixture;
using webshocket::test::TemporaryFolder;
using webshocket::test::TlsForwarder;
using namespace std::chrono_literals;

namespace {

using Cut = TlsForwarder::Cut;

constexpr std::size_t kMebibyte = 1024 * 1024;
constexpr Retry kThreeTries{.attempts = 3, .interval = 1ms, .max_interval = 1ms, .jitter = 0ms};

class Worker : public Handler {
 public:
  Worker() {
    rpc("add", [](int a, int b) { return a + b; }).params("a", "b");
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
    rpc("count", &Worker::count).params("n");
    rpc("push", &Worker::push).params("n");
    rpc("leave", [](Connection& connection) {
      connection.close(static_cast<CloseCode>(4001), "logged in elsewhere");
    });
    rpc("forever", &Worker::forever);
  }

 private:
  Stream<int> count(Connection&, int n) {
    for (int i = 0; i < n; ++i) co_yield i;
  }
  void push(Connection& connection, int n) {
    for (int i = 0; i < n; ++i) static_cast<void>(connection.send(i));
  }
  Task<int> forever(Connection&) {
    co_await webshocket::sleep_for(24h);
    co_return 1;
  }
};

Config server_config() {
  return {.shards = 1, .max_message = 32 * kMebibyte, .outbox_limit = 64 * kMebibyte};
}

/// A server, TLS in front of it, and an authority that a client trusts.
struct World {
  explicit World(const IdentityOptions& options = {})
      : World(make_identity(options, authority())) {}
  explicit World(const Identity& identity, bool asks_back = false)
      : context(make_tls_server(identity, asks_back ? &authority() : nullptr)),
        ca_file(folder.write("ca.pem", authority().certificate_pem())) {}

  static const Identity& authority() {
    static const Identity made = make_authority();
    return made;
  }
  TlsForwarder& forwarder() {
    if (!forwarder_) forwarder_ = std::make_unique<TlsForwarder>(context, server.port());
    return *forwarder_;
  }
  /// Trusts the authority, and is patient.
  ClientConfig config() const {
    ClientConfig config;
    config.tls.ca_file = ca_file;
    config.connect_timeout = 1h;
    config.call_timeout = 1h;
    config.ping_interval = 0ms;
    config.max_message = 32 * kMebibyte;
    config.outbox_limit = 32 * kMebibyte;
    return config;
  }
  ClientConfig config(ClientTls tls) const {
    ClientConfig result = config();
    result.tls = std::move(tls);
    return result;
  }

  TemporaryFolder folder;
  std::shared_ptr<SSL_CTX> context;
  std::string ca_file;
  ServerFixture server{server_config(), per_shard<Worker>()};

 private:
  std::unique_ptr<TlsForwarder> forwarder_;
};

std::vector<std::string> failures(Client& client, const Retry& retry = kThreeTries) {
  try {
    client.connect(retry);
  } catch (const ConnectionFailedError& error) {
    return error.tries();
  }
  return {"it has connected"};
}

std::vector<std::string> failures(const std::string& uri, const ClientConfig& config) {
  Client client(uri, config);
  return failures(client);
}

/// Whatever comes.
void read_to_the_end(RawPeer& peer) { CHECK_THROWS_AS(peer.read(std::string::npos), PeerError); }

using Texts = std::vector<std::string>;

}  // namespace

// --- it works -----------------------------------------------------------------------------------

TEST_CASE("calls, a stream, and a farewell, by TLS 1.2 and 1.3") {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const Format format : {Format::msgpack, Format::json}) {
      World world;
      SSL_CTX_set_max_proto_version(world.context.get(), version);
      ClientConfig config = world.config();
      config.format = format;
      Client client(world.forwarder().uri("localhost"), config);
      client.connect();
      CHECK(client.call<int>("add", 1, 2) == 3);
      int expected = 0;
      for (const int n : client.stream<int>("count", 10'000)) CHECK(n == expected++);
      CHECK(expected == 10'000);
      CHECK(world.forwarder().names() == Texts{"localhost"});
      client.close();
      eventually([&] { return world.server->stats().total.connections == 0; }, "the end");
    }
  }
}

TEST_CASE("an address that the certificate is for") {
  World world;
  Client client(world.forwarder().uri(), world.config());
  client.connect();
  CHECK(client.call<int>("add", 1, 2) == 3);
  CHECK(world.forwarder().names() == Texts{""});
}

TEST_CASE("16 MiB in one message, there and back") {
  World world;
  std::vector<std::byte> blob(16 * kMebibyte);
  for (std::size_t i = 0; i < blob.size(); ++i) blob[i] = static_cast<std::byte>(i * 31 % 251);
  Client client(world.forwarder().uri(), world.config());
  client.connect();
  for (int i = 0; i < 2; ++i) CHECK(client.call<std::vector<std::byte>>("echo", blob) == blob);
  CHECK(client.stats().bytes_sent > 32 * kMebibyte);
  CHECK(client.stats().bytes_received > 32 * kMebibyte);
}

TEST_CASE("who does not take his packets slows the server, and misses nothing") {
  constexpr int kPackets = 20'000;
  World world;
  ClientConfig config = world.config();
  config.packet_queue_size = 3;
  Client client(world.forwarder().uri(), config);
  client.connect();
  auto pushed = client.loop().spawn(client.call_async<void>("push", kPackets));
  for (int i = 0; i < kPackets; ++i) REQUIRE(client.recv(1h)->data.as<int>() == i);
  pushed.get();
}

TEST_CASE("two hundred clients on one loop") {
  constexpr int kClients = 200;
  World world;
  const ClientLoop loop;
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<Client>(world.forwarder().uri(), world.config(), loop));
  }
  std::vector<std::future<int>> sums;
  for (int i = 0; i < kClients; ++i) {
    const auto talk = [](Client& client, int number) -> Task<int> {
      auto connected = client.connect_async();
      co_await std::move(connected);
      auto sum = client.call_async<int>("add", number, 1);
      co_return co_await std::move(sum);
    };
    sums.push_back(loop.spawn(talk(*clients[static_cast<std::size_t>(i)], i)));
  }
  for (int i = 0; i < kClients; ++i) CHECK(sums[static_cast<std::size_t>(i)].get() == i + 1);
  CHECK(world.server->stats().total.connections == kClients);
}

// --- whom it trusts -----------------------------------------------------------------------------

TEST_CASE("a server that is not to be trusted is not tried again") {
  SUBCASE("nobody knows who has signed") {
    World world;
    const std::string other = world.folder.write("other.pem", make_authority().certificate_pem());
    const auto refused = failures(world.forwarder().uri(), world.config({.ca_file = other}));
    REQUIRE(refused.size() == 1);
    CHECK(refused[0].starts_with("the server's certificate is not trusted: "));
    CHECK(failures(world.forwarder().uri(), world.config({})) ==
          Texts{"the server's certificate is not trusted: unable to get local issuer certificate"});
  }
  SUBCASE("its own signature") {
    World world(make_identity());
    CHECK(failures(world.forwarder().uri(), world.config()) ==
          Texts{"the server's certificate is not trusted: self-signed certificate"});
  }
  SUBCASE("too old") {
    World world({.from = -2h, .to = -1h});
    CHECK(failures(world.forwarder().uri(), world.config()) ==
          Texts{"the server's certificate is not trusted: certificate has expired"});
  }
  SUBCASE("another name") {
    World world({.other_names = "DNS:example.com"});
    CHECK(failures(world.forwarder().uri("localhost"), world.config()) ==
          Texts{"the server's certificate is for another name: example.com, but not localhost"});
    CHECK(failures(world.forwarder().uri(), world.config()) ==
          Texts{"the server's certificate is for another name: example.com, but not 127.0.0.1"});
    CHECK(world.server->stats().total.connections == 0);
    // Unless that is the name that is wanted.
    ClientConfig config = world.config();
    config.tls.server_name = "example.com";
    Client client(world.forwarder().uri(), config);
    client.connect();
    CHECK(world.forwarder().names().back() == "example.com");
  }
}

TEST_CASE("without verification, anybody will do") {
  World world(make_identity({.name = "nobody", .other_names = {}, .from = -2h, .to = -1h}));
  Client client(world.forwarder().uri(), world.config({.verify = false}));
  client.connect();
  CHECK(client.call<int>("add", 1, 2) == 3);
}

TEST_CASE("files that cannot be read are told where they are named, and only if they matter") {
  const ClientConfig config{.tls = {.ca_file = "/nowhere/ca.pem"}};
  CHECK_THROWS_WITH_AS(Client("wss://localhost", config),
                       "ClientConfig::tls.ca_file = \"/nowhere/ca.pem\": No such file or directory",
                       UsageError);
  CHECK_NOTHROW(Client("ws://localhost", config));
}

// --- who it is ----------------------------------------------------------------------------------

TEST_CASE("a server that wants to know who we are") {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    World world(make_identity({}, World::authority()), true);
    SSL_CTX_set_max_proto_version(world.context.get(), version);
    const auto tls_of = [&world](const Identity& identity) {
      return ClientTls{.ca_file = world.ca_file,
                       .certificate_file = world.folder.write("me.pem", identity.certificate_pem()),
                       .key_file = world.folder.write("key.pem", identity.key_pem())};
    };
    {
      const Identity known = make_identity({.name = "known"}, World::authority());
      Client client(world.forwarder().uri(), world.config(tls_of(known)));
      client.connect();
      CHECK(client.call<int>("add", 1, 2) == 3);
    }
    CHECK(failures(world.forwarder().uri(),
                   world.config(tls_of(make_identity({.name = "stranger"})))) ==
          Texts{"the server refuses, by a TLS alert: unknown ca"});
    const std::string none =
        version == TLS1_2_VERSION ? "handshake failure" : "certificate required";
    CHECK(failures(world.forwarder().uri(), world.config()) ==
          Texts{"the server refuses, by a TLS alert: " + none});
  }
}

// --- what goes wrong ----------------------------------------------------------------------------

TEST_CASE("a handshake that never ends, ends with the time for a connection") {
  RawServer server;
  ClientConfig config;
  config.connect_timeout = 50ms;
  Client client("wss://127.0.0.1:" + std::to_string(server.port()), config);
  CHECK(failures(client, {.attempts = 1}) == Texts{"no TLS handshake within 50 ms"});
  // One that sends, but never enough.
  auto served = play([&] {
    RawPeer silent = server.accept();
    RawPeer peer = server.accept();
    peer.send("\x16\x03\x03\x40");
    read_to_the_end(peer);
  });
  CHECK(failures(client, {.attempts = 1}) == Texts{"no TLS handshake within 50 ms"});
  served.get();
}

TEST_CASE("a server that goes during the handshake is tried again") {
  RawServer server;
  Client client("wss://127.0.0.1:" + std::to_string(server.port()), ClientConfig());
  SUBCASE("by a reset") {
    auto served = play([&] {
      for (int i = 0; i < 3; ++i) {
        RawPeer peer = server.accept();
        peer.read(5);
        peer.reset();
      }
    });
    CHECK(failures(client) == Texts(3, "Connection reset by peer (during the TLS handshake)"));
    served.get();
  }
  SUBCASE("by hanging up") {
    auto served = play([&] {
      for (int i = 0; i < 3; ++i) {
        RawPeer peer = server.accept();
        peer.half_close();
        read_to_the_end(peer);
      }
    });
    CHECK(failures(client) == Texts(3, "the server hung up during the TLS handshake"));
    served.get();
  }
}

TEST_CASE("a server without TLS is not tried again") {
  World world;
  const std::string port = std::to_string(world.server.port());
  CHECK(failures("wss://127.0.0.1:" + port, world.config()) ==
        Texts{"the server does not speak TLS"});
}

TEST_CASE("close() in the middle of a handshake") {
  RawServer server;
  ClientConfig config;
  config.connect_timeout = 1h;
  Client client("wss://127.0.0.1:" + std::to_string(server.port()), config);
  auto connected = client.loop().spawn(client.connect_async());
  RawPeer peer = server.accept();
  peer.read(5);
  client.close();
  CHECK_THROWS_AS(connected.get(), ConnectionClosedError);
}

// --- the end ------------------------------------------------------------------------------------

TEST_CASE("a call that waits learns at once that the server has gone") {
  for (const Cut how : {Cut::fin, Cut::reset}) {
    World world;
    Client client(world.forwarder().uri(), world.config());
    client.connect();
    auto call = client.loop().spawn(client.call_async<int>("forever"));
    auto packet = client.loop().spawn(client.recv_async(1h));
    eventually([&] { return world.server->stats().total.calls_in_flight == 1; }, "the call");
    world.forwarder().cut_all(how);
    CHECK_THROWS_WITH_AS(call.get(), "the connection was lost", ConnectionClosedError);
    CHECK_THROWS_AS(packet.get(), ConnectionClosedError);
  }
}

TEST_CASE("what the server says at the end arrives") {
  World world;
  Client client(world.forwarder().uri(), world.config());
  client.connect();
  try {
    client.call<void>("leave");
    client.recv(1h);
    FAIL("it has not left");
  } catch (const ConnectionClosedError& error) {
    CHECK(error.code() == static_cast<CloseCode>(4001));
    CHECK(error.reason() == "logged in elsewhere");
  }
}

TEST_CASE("it comes back as often as it is lost") {
  World world;
  ClientConfig config = world.config();
  config.reconnect = Retry{.attempts = 0, .interval = 1ms, .max_interval = 1ms, .jitter = 0ms};
  Client client(world.forwarder().uri(), config);
  client.connect();
  for (std::uint64_t i = 1; i <= 5; ++i) {
    CHECK(client.stats().connects == i);
    world.forwarder().cut_all(i % 2 == 0 ? Cut::fin : Cut::reset);
    eventually([&] { return client.stats().connects == i + 1; }, "the next connection");
    client.wait_connected(1h);
    CHECK(client.call<int>("add", 1, 2) == 3);
  }
}
