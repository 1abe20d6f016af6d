// Who may come in, where, and as what.

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <webshocket/server.hpp>

#include "shards/socket.hpp"
#include "tests/support/raw_echo.hpp"
#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Connection;
using webshocket::Handler;
using webshocket::Opcode;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::Task;
using webshocket::Upgrade;
using webshocket::UpgradeRequest;
using webshocket::test::Dialect;
using webshocket::test::HttpAnswer;
using webshocket::test::open_peer;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::text_frame;
using webshocket::test::WsClient;
using namespace std::chrono_literals;

namespace {

/// The path says what is to become of the request.
Upgrade answer_of(const UpgradeRequest& request) {
  if (request.path == "/teapot") {
    return Upgrade::reject(418, "short and stout").header("X-Why", "tea");
  }
  if (request.path == "/moved") return Upgrade::reject(302).header("Location", "/chat");
  if (request.path == "/throw") throw std::runtime_error("no");
  Upgrade upgrade = Upgrade::accept();
  if (const auto user = request.query_value("user")) {
    upgrade = std::move(upgrade).session("user", *user).header("X-User", *user);
  }
  if (const auto key = request.query_value("pin")) upgrade = std::move(upgrade).pin(*key);
  if (request.query_value("raw")) upgrade = std::move(upgrade).raw();
  return upgrade;
}

class Door : public Handler {
 public:
  Door() {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
    rpc("shard", [this] { return shard(); });
    rpc("user", [](Connection& c) {
      const auto* user = c.find("user");
      return user != nullptr ? *user : webshocket::Scalar();
    });
    rpc("uid", [](Connection& c) { return c.uid().to_string(); });
    rpc("here", [this] { return clients().size(); });
    rpc("join", [](Connection& c) { return c.subscribe("room"); });
    rpc("shout", [this](std::string text) { return broadcast(text); });
    rpc("say", [this](std::string text) { return publish("room", text); });
  }
  Upgrade on_upgrade(const UpgradeRequest& request) override { return answer_of(request); }
  void on_message(Connection& connection, std::span<const std::byte> message,
                  Opcode opcode) override {
    webshocket::test::echo(connection, message, opcode);
  }
};

class AsyncDoor : public Door {
 public:
  Task<Upgrade> on_upgrade_async(UpgradeRequest request) override {
    co_await webshocket::sleep_for(1ms);
    co_return answer_of(request);
  }
};

webshocket::HandlerFactory door(bool async) {
  return async ? per_shard<AsyncDoor>() : per_shard<Door>();
}

}  // namespace

TEST_CASE("accepted with headers and first session values; or refused with status and body") {
  for (const bool async : {false, true}) {
    CAPTURE(async);
    const ServerFixture server({.shards = 2}, door(async));
    RawPeer peer(server.port());
    CHECK(peer.upgrade({.path = "/?user=ann"}).header("X-User") == "ann");
    CHECK(WsClient(server.port(), Dialect::json, "/?user=bob").call("user") == "\"bob\"");
    CHECK(WsClient(server.port()).call("user") == "null");

    RawPeer teapot(server.port());
    const HttpAnswer no = teapot.request({.path = "/teapot"});
    CHECK(no.status == 418);
    CHECK(no.body == "short and stout");
    CHECK(no.header("X-Why") == "tea");
    CHECK(teapot.read_end() == RawPeer::End::fin);
    CHECK(RawPeer(server.port()).request({.path = "/moved"}).header("Location") == "/chat");
    CHECK(RawPeer(server.port()).request({.path = "/throw"}).status == 500);
  }
}

TEST_CASE("a client that leaves while its upgrade is decided is no trouble") {
  ServerFixture server({.shards = 1}, per_shard<AsyncDoor>());
  for (int i = 0; i < 50; ++i) {
    RawPeer peer(server.port());
    peer.send(webshocket::test::upgrade_request({.path = "/?pin=x"}));
    if (i % 2 == 0) {
      peer.reset();
    } else {
      peer.half_close();
    }
  }
  CHECK(WsClient(server.port()).call("echo", "[1]") == "1");
  webshocket::test::eventually([&] { return server->client_count() == 0; }, "all to leave");
  CHECK(server->stats().total.handshakes_pending == 0);
}

TEST_CASE("all connections with one pin key live on one shard, and keep their own uids") {
  for (const bool async : {false, true}) {
    CAPTURE(async);
    ServerFixture server({.shards = 4}, door(async));
    std::set<std::string> shards;
    std::set<std::string> uids;
    std::vector<WsClient> clients;
    for (int i = 0; i < 12; ++i) {
      clients.emplace_back(server.port(), Dialect::msgpack, "/?pin=ann&user=ann");
      shards.insert(clients.back().call("shard"));
      uids.insert(clients.back().call("uid"));
      CHECK(clients.back().call("user") == "\"ann\"");
    }
    CHECK(shards.size() == 1);
    CHECK(uids.size() == 12);
    // The hash is seeded anew by each server, so how many keys it takes is chance; that a thousand
    // leave a shard out is not.
    std::set<std::string> others;
    for (int i = 0; i < 1000 && others.size() < 4; ++i) {
      WsClient client(server.port(), Dialect::json, "/?pin=user" + std::to_string(i));
      others.insert(client.call("shard"));
    }
    CHECK(others.size() == 4);
    CHECK(server->stats().total.handshakes_pending == 0);
  }
}

TEST_CASE("a message in the same segment as the request is not lost, moved or not") {
  for (const bool async : {false, true}) {
    CAPTURE(async);
    const ServerFixture server({.shards = 4}, door(async));
    for (int i = 0; i < 24; ++i) {
      const std::string path = "/?pin=key" + std::to_string(i);
      RawPeer peer(server.port());
      const std::string call =
          text_frame(R"({"source":5,"rpc":{"type":"request","method":"echo","args":[1],)"
                     R"("call_id":"a"}})");
      peer.send(webshocket::test::upgrade_request({path, "webshocket.v1.json"}) + call + call +
                call.substr(0, 5));
      CHECK(peer.read_http().status == 101);
      CHECK(peer.read_message().find(R"("response":1)") != std::string::npos);
      CHECK(peer.read_message().find(R"("response":1)") != std::string::npos);
      peer.send(std::string_view(call).substr(5));
      CHECK(peer.read_message().find(R"("response":1)") != std::string::npos);
    }
  }
}

TEST_CASE("raw connections: by the handler, or by the path") {
  const ServerFixture server({.raw_paths = {"/plain"}, .shards = 2}, per_shard<Door>());
  for (const char* path : {"/plain", "/x?raw=1", "/x?raw=1&pin=a", "/x?raw=1&pin=b"}) {
    CAPTURE(path);
    RawPeer peer(server.port());
    const HttpAnswer answer = peer.upgrade({.path = path, .subprotocol = "webshocket.v1"});
    CHECK_FALSE(answer.header("Sec-WebSocket-Protocol").has_value());
    peer.send(text_frame("not a packet"));
    auto frame = peer.read_frame();
    CHECK(frame.opcode == webshocket::test::kText);
    CHECK(frame.payload == "not a packet");
    peer.send(webshocket::test::binary_frame(std::string("\0\xFF", 2)));
    frame = peer.read_frame();
    CHECK(frame.opcode == webshocket::test::kBinary);
    CHECK(frame.payload == std::string("\0\xFF", 2));
  }
}

TEST_CASE("a handler per path: clients and broadcast are a route's, channels are the server's") {
  ServerFixture server({.shards = 3}, per_shard<Door>(),
                       [](Server& made) { made.route("/game", per_shard<Door>()); });
  std::vector<std::unique_ptr<WsClient>> chat;
  std::vector<std::unique_ptr<WsClient>> game;
  for (int i = 0; i < 8; ++i) {
    chat.push_back(std::make_unique<WsClient>(server.port(), Dialect::msgpack, "/any"));
    game.push_back(std::make_unique<WsClient>(server.port(), Dialect::json, "/game"));
  }
  for (auto& client : chat) REQUIRE(client->call("join") == "true");
  for (auto& client : game) REQUIRE(client->call("join") == "true");
  CHECK(server->client_count() == 16);
  std::map<std::string, int> per_shard_count;
  for (auto& client : chat) ++per_shard_count[client->call("shard")];
  for (auto& client : chat) {
    CHECK(client->call("here") == std::to_string(per_shard_count[client->call("shard")]));
  }

  REQUIRE(game[0]->call("shout", R"(["game only"])") == "true");
  REQUIRE(chat[0]->call("say", R"(["all of you"])") == "true");
  CHECK(server->broadcast("everybody"));
  for (auto& client : game) {
    // Broadcast and publish come from different threads, in no order.
    std::multiset<std::string> seen{client->event(), client->event(), client->event()};
    CHECK(seen == std::multiset<std::string>{"1 \"game only\"", "2 room \"all of you\"",
                                             "1 \"everybody\""});
  }
  for (auto& client : chat) {
    std::multiset<std::string> seen{client->event(), client->event()};
    CHECK(seen == std::multiset<std::string>{"2 room \"all of you\"", "1 \"everybody\""});
    CHECK(client->events_before_now().empty());
  }
}

TEST_CASE("several listeners, each with its paths; one of them a unix socket") {
  std::string folder = (std::filesystem::temp_directory_path() / "webshocket_XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  webshocket::Config config{.shards = 2, .close_timeout = 50ms};
  config.listeners = {{.paths = {"/a"}}, {.paths = {"/b"}}, {.unix_path = folder + "/s"}};
  ServerFixture server(config, per_shard<Door>(),
                       [](Server& made) { made.route("/game", per_shard<Door>()); });
  const auto addresses = server->addresses();
  REQUIRE(addresses.size() == 3);
  const auto port_of = [](const std::string& address) {
    return static_cast<std::uint16_t>(std::stoi(address.substr(address.find(':') + 1)));
  };
  const std::uint16_t first = port_of(addresses[0]);
  const std::uint16_t second = port_of(addresses[1]);
  CHECK(server.port() == first);
  CHECK(addresses[2] == "unix:" + folder + "/s");
  CHECK(RawPeer(first).request({.path = "/a"}).status == 101);
  CHECK(RawPeer(first).request({.path = "/b"}).status == 404);
  CHECK(RawPeer(second).request({.path = "/b?x=1"}).status == 101);
  CHECK(RawPeer(second).request({.path = "/a"}).status == 404);
  CHECK(RawPeer(second).request({.path = "/game"}).status == 101);

  const webshocket::shards::Socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = folder + "/s";
  std::memcpy(address.sun_path, path.data(), path.size());
  REQUIRE(::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  const std::string request = webshocket::test::upgrade_request({.path = "/anything"});
  REQUIRE(::send(socket.fd(), request.data(), request.size(), 0) ==
          static_cast<ssize_t>(request.size()));
  std::array<char, 12> status{};
  REQUIRE(::recv(socket.fd(), status.data(), status.size(), MSG_WAITALL) == 12);
  CHECK(std::string_view(status.data(), status.size()) == "HTTP/1.1 101");
  server->close();
  std::filesystem::remove_all(folder);
}

TEST_CASE("the last place is given once, and given back") {
  ServerFixture server({.shards = 3, .max_connections = 4}, per_shard<Door>());
  auto clients = webshocket::test::connect_many(server.port(), 4);
  RawPeer fifth(server.port());
  const HttpAnswer answer = fifth.request();
  CHECK(answer.status == 503);
  CHECK(answer.body == "Server is full, try again later.");
  CHECK(RawPeer(server.port()).request({.path = "/teapot"}).status == 503);
  clients.pop_back();
  webshocket::test::eventually([&] { return server->client_count() == 3; }, "a place");
  // Refused by the handler: the place is free again.
  CHECK(RawPeer(server.port()).request({.path = "/teapot"}).status == 418);
  CHECK(RawPeer(server.port()).request({.path = "/throw"}).status == 500);
  CHECK(RawPeer(server.port()).request().status == 101);
}
