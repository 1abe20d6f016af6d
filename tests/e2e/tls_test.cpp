// A server's own TLS: everything goes through it as without.

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <webshocket/client.hpp>
#include <webshocket/server.hpp>

#include "tests/e2e/tls_world.hpp"
#include "tests/support/sanitized.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/server_process.hpp"
#include "tests/support/tls_peer.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Client;
using webshocket::ClientConfig;
using webshocket::CloseCode;
using webshocket::Config;
using webshocket::Connection;
using webshocket::ConnectionClosedError;
using webshocket::Format;
using webshocket::Handler;
using webshocket::HttpRequest;
using webshocket::HttpResponse;
using webshocket::Opcode;
using webshocket::OwnedPacket;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::Stream;
using webshocket::Upgrade;
using webshocket::UpgradeRequest;
using webshocket::test::close_frame;
using webshocket::test::eventually;
using webshocket::test::kSanitized;
using webshocket::test::SentFrame;
using webshocket::test::ServerFixture;
using webshocket::test::ServerProcess;
using webshocket::test::text_frame;
using webshocket::test::TlsPeer;
using webshocket::test::TlsPeerOptions;
using webshocket::test::TlsWorld;
using webshocket::test::upgrade_request;
using webshocket::test::WsClient;
using webshocket::test::wss;
using namespace std::chrono_literals;

namespace {

class Worker : public Handler {
 public:
  Worker() {
    rpc("add", [](int a, int b) { return a + b; }).params("a", "b");
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
    rpc("count", &Worker::count).params("n");
    rpc("shard", [this] { return shard(); });
    rpc("join", [](Connection& c) { return c.subscribe("room"); });
    rpc("say", [this](std::string text) { return publish("room", text); });
    rpc("push", &Worker::push).params("n");
  }
  Upgrade on_upgrade(const UpgradeRequest& request) override {
    Upgrade upgrade = Upgrade::accept().header("X-Secure", request.is_secure ? "yes" : "no");
    if (const auto key = request.query_value("pin")) upgrade = std::move(upgrade).pin(*key);
    if (request.query_value("raw")) upgrade = std::move(upgrade).raw();
    return upgrade;
  }
  void on_message(Connection& connection, std::span<const std::byte> message, Opcode) override {
    connection.send(message);
  }

 private:
  Stream<int> count(Connection&, int n) {
    for (int i = 0; i < n; ++i) co_yield i;
  }
  void push(Connection& connection, int n) {
    for (int i = 0; i < n; ++i) static_cast<void>(connection.send(i));
  }
};

std::string request_of(std::string_view path, std::string_view more = {}) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(more) +
         "\r\n";
}

/// The next frame's first byte, and its payload.
std::pair<unsigned char, std::string> read_frame(TlsPeer& peer) {
  const std::string head = peer.read(2);
  auto size = static_cast<std::size_t>(static_cast<unsigned char>(head[1]));
  const std::size_t more = size == 126 ? 2 : size == 127 ? 8 : 0;
  if (more != 0) size = 0;
  for (const char byte : peer.read(more)) size = size << 8U | static_cast<unsigned char>(byte);
  return {static_cast<unsigned char>(head[0]), peer.read(size)};
}

/// The head of an answer and its body, which is `size` bytes long.
std::string answer(TlsPeer& peer, std::size_t size) {
  const std::string head = peer.read_until("\r\n\r\n");
  return head.substr(9, 3) + ' ' + peer.read(size);
}

}  // namespace

TEST_CASE("calls, a stream, publishes, in every format") {
  const TlsWorld world;
  const ServerFixture server(world.config(), per_shard<Worker>());
  for (const Format format : {Format::msgpack, Format::json}) {
    ClientConfig config = world.client();
    config.format = format;
    Client client("wss://localhost:" + std::to_string(server.port()), config);
    client.connect();
    CHECK(client.call<int>("add", 1, 2) == 3);
    int expected = 0;
    for (const int n : client.stream<int>("count", 10'000)) CHECK(n == expected++);
    CHECK(expected == 10'000);
    CHECK(client.call<bool>("join"));

    Client other(wss(server.port()), config);
    other.connect();
    CHECK(other.call<bool>("say", "hello"));
    CHECK(client.recv()->data.string() == "hello");
    other.close();
    client.close();
  }
}

TEST_CASE("16 MiB there and back, and many small packets") {
  const TlsWorld world;
  const ServerFixture server(world.config(), per_shard<Worker>());
  ClientConfig config = world.client();
  config.packet_queue_size = 0;
  Client client(wss(server.port()), config);
  client.connect();
  std::string text(16 * 1024 * 1024, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
  CHECK(client.call<std::string>("echo", text) == text);
  client.call<void>("push", 20'000);
  for (int i = 0; i < 20'000; ++i) {
    const OwnedPacket packet = client.recv();
    REQUIRE(packet->data.as<int>() == i);
  }
}

TEST_CASE("what one turn has to say leaves in few records") {
  const TlsWorld world;
  ServerFixture server(world.config(), per_shard<Worker>());
  TlsPeer peer(server.port());
  peer.shake_hands().send(upgrade_request({.path = "/?raw=1"}));
  peer.read_until("\r\n\r\n");
  const std::size_t before = peer.records();
  std::string frames;
  for (int i = 0; i < 100; ++i) frames += text_frame("hello");
  peer.send(frames);
  peer.read(100 * 7);
  CHECK(peer.records() - before == 1);
}

TEST_CASE("a slow consumer gets what has begun to leave, and 1013") {
  const TlsWorld world;
  Config config = world.config();
  config.outbox_limit = 256 * 1024;
  ServerFixture server(config, per_shard<Worker>());
  TlsPeer peer(server.port());
  peer.shake_hands().send(upgrade_request({.path = "/?raw=1"}));
  peer.read_until("\r\n\r\n");
  const std::string text(50'000, 'x');
  eventually(
      [&] {
        server->broadcast(text);
        return server->stats().total.slow_consumers == 1;
      },
      "the end of patience");
  auto [kind, payload] = read_frame(peer);
  for (; kind != 0x88; std::tie(kind, payload) = read_frame(peer)) CHECK(payload == text);
  CHECK(payload == webshocket::test::close_body(1013, "outbox_limit reached"));
}

TEST_CASE("an idle connection keeps no buffers" * doctest::skip(kSanitized)) {
  constexpr std::size_t kCount = 400;
  const TlsWorld world;
  const ServerProcess server(
      WEBSHOCKET_BIN_DIR "/conformance_server",
      {"--port", "0", "--shards", "1", "--cert", world.certificate.certificate_file, "--key",
       world.certificate.key_file});
  const std::string message = SentFrame{.payload = std::string(40'000, 'x')}.bytes();
  std::vector<std::unique_ptr<TlsPeer>> peers;
  const auto open_many = [&] {
    for (std::size_t i = 0; i < kCount; ++i) {
      TlsPeer& peer = *peers.emplace_back(std::make_unique<TlsPeer>(server.port()));
      peer.shake_hands().send(upgrade_request({.path = "/raw/echo"}));
      peer.read_until("\r\n\r\n");
      peer.send(message);
      peer.read(message.size() - 4);  // without a mask
    }
  };
  peers.reserve(2 * kCount);
  open_many();  // what the process needs once is there now
  const std::size_t before = server.resident_bytes();
  open_many();
  CHECK(server.resident_bytes() < before + kCount * 20 * 1024);
}

TEST_CASE("a pin key takes it to another shard, TLS and all") {
  const TlsWorld world;
  const ServerFixture server(world.config(), per_shard<Worker>());
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 16; ++i) {
    clients.push_back(std::make_unique<Client>(wss(server.port(), "/?pin=ann"), world.client()));
    clients.back()->connect();
  }
  const auto home = clients.front()->call<std::size_t>("shard");
  for (const auto& client : clients) {
    CHECK(client->call<std::size_t>("shard") == home);
    CHECK(client->call<std::string>("echo", std::string(100'000, 'x')).size() == 100'000);
  }
}

TEST_CASE("what comes right behind the request moves along") {
  const TlsWorld world;
  ServerFixture server(world.config(), per_shard<Worker>());
  for (int i = 0; i < 16; ++i) {
    TlsPeer peer(server.port());
    peer.shake_hands().send(upgrade_request({.path = "/?raw=1&pin=ann"}) + text_frame("early"));
    peer.say_farewell();  // which the shard that reads it keeps for the other one
    peer.read_until("\r\n\r\n");
    CHECK(peer.read(7) ==
          "\x82\x05"
          "early");
    CHECK(peer.read_end());
  }
  eventually([&] { return server->stats().total.connections == 0; }, "the end of all");
}

TEST_CASE("the request may come with the end of the handshake") {
  const TlsWorld world;
  const ServerFixture server(world.config(), per_shard<Worker>());
  TlsPeer peer(server.port());
  peer.wire().send(peer.hello());
  const std::string finished = peer.finish();
  peer.wire().send(finished + peer.sealed(upgrade_request()));
  CHECK(peer.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
}

TEST_CASE("pages over https: kept alive, in a row, with a body that is asked for") {
  const TlsWorld world;
  world.folder.write("page.txt", std::string(300'000, 'p'));
  const ServerFixture server(world.config(), per_shard<Worker>(), [&](Server& made) {
    made.on_http("GET", "/who", [](const HttpRequest& request) {
      return HttpResponse{.body = request.is_secure ? "secure" : "plain"};
    });
    made.on_http("POST", "/echo",
                 [](const HttpRequest& request) { return HttpResponse{.body = request.body}; });
    made.serve_files("/files", world.folder.path().string());
  });
  TlsPeer peer(server.port());
  peer.shake_hands().send(request_of("/who"));
  CHECK(answer(peer, 6) == "200 secure");
  peer.send(request_of("/who") + request_of("/files/page.txt") + request_of("/who"));
  CHECK(answer(peer, 6) == "200 secure");
  CHECK(answer(peer, 300'000) == "200 " + std::string(300'000, 'p'));
  CHECK(answer(peer, 6) == "200 secure");

  peer.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  CHECK(peer.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  peer.send("hello");
  CHECK(answer(peer, 5) == "200 hello");

  // Its last question, and nothing more to say.
  peer.send(request_of("/who"));
  peer.say_farewell();
  CHECK(answer(peer, 6) == "200 secure");
  CHECK(peer.read_end());
}

TEST_CASE("a farewell after the last word") {
  const TlsWorld world;
  const ServerFixture server(world.config(), per_shard<Worker>());
  TlsPeer peer(server.port());
  peer.shake_hands().send(upgrade_request());
  CHECK(peer.read_until("\r\n\r\n").find("\r\nX-Secure: yes\r\n") != std::string::npos);
  peer.send(close_frame(1000));
  CHECK(peer.read(4) == std::string("\x88\x02\x03\xE8", 4));
  CHECK(peer.read_end());
}

TEST_CASE("a drain says 1001 over TLS as well") {
  const TlsWorld world;
  ServerFixture server(world.config(), per_shard<Worker>());
  Client client(wss(server.port()), world.client());
  client.connect();
  server->close();
  try {
    static_cast<void>(client.recv());
    FAIL("it has received something");
  } catch (const ConnectionClosedError& error) {
    CHECK(error.code() == CloseCode::going_away);
  }
}

TEST_CASE("with and without, side by side; and on a unix socket") {
  const TlsWorld world;
  const std::string path = world.folder.write("x", "") + ".sock";
  Config config;
  config.listeners = {{}, {.tls = world.server()}, {.unix_path = path, .tls = world.server()}};
  config.shards = 1;
  ServerFixture server(config, per_shard<Worker>());
  CHECK(WsClient(server.port()).call("add", "[1,2]") == "3");

  const std::string secure = server->addresses()[1];
  Client client("wss://" + secure, world.client());
  client.connect();
  CHECK(client.call<int>("add", 1, 2) == 3);

  ClientConfig local = world.client();
  local.unix_path = path;
  Client neighbour("wss://localhost", local);
  neighbour.connect();
  CHECK(neighbour.call<int>("add", 1, 2) == 3);
  CHECK(server->stats().total.tls_handshakes == 2);
  CHECK(server->stats().total.connections_total == 3);
}
