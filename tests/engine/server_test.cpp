#include <webshocket/server.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <webshocket/error.hpp>
#include <webshocket/packet.hpp>

#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Connection;
using webshocket::Handler;
using webshocket::Packet;
using webshocket::PacketError;
using webshocket::PacketSource;
using webshocket::per_shard;
using webshocket::RpcMethod;
using webshocket::Server;
using webshocket::Task;
using webshocket::UsageError;
using webshocket::WebSocketError;
using webshocket::test::Dialect;
using webshocket::test::eventually;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;
using namespace std::chrono_literals;

namespace {

class Chat : public Handler {
 public:
  Chat() {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
    rpc("join", &Chat::join).params("channel").doc("Subscribes.");
  }

 private:
  bool join(Connection& connection, std::string channel) { return connection.subscribe(channel); }
};

class Other : public Handler {
 public:
  Other() {
    rpc("add", [](int a, double b) { return a + b; }).params("a", {"b", 5});
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
  }
};

RpcMethod answer(int value) {
  return RpcMethod([value] { return value; });
}

}  // namespace

TEST_CASE("before the start and after the close, sending says no") {
  Server server({.shards = 1}, per_shard<Chat>());
  CHECK_FALSE(server.publish("room", 1));
  CHECK_FALSE(server.broadcast(1));
  CHECK(server.port() == 0);
  CHECK(server.addresses().empty());
  CHECK_THROWS_AS((void)server.describe(), WebSocketError);
  server.start();
  CHECK(server.publish("room", 1));
  CHECK(server.broadcast(1));
  server.close();
  CHECK_FALSE(server.publish("room", 1));
  CHECK_FALSE(server.broadcast(1));
  CHECK_THROWS_AS((void)server.describe(), WebSocketError);
  CHECK_THROWS_AS(server.register_rpc("x", [] { return answer(1); }), WebSocketError);
}

TEST_CASE("a packet must have the source that the call is for") {
  ServerFixture server({.shards = 1}, per_shard<Chat>());
  WsClient client(server.port());
  REQUIRE(client.call("join", R"(["room"])") == "true");
  Packet packet;
  CHECK_THROWS_AS(server->publish("room", packet), PacketError);
  CHECK_THROWS_AS(server->broadcast(packet), PacketError);
  packet.source = PacketSource::channel;
  CHECK_THROWS_AS(server->broadcast(packet), PacketError);
  CHECK(server->publish("room", packet));
  packet.source = PacketSource::broadcast;
  CHECK(server->broadcast(packet));
  CHECK(client.event() == "2 room null");
  CHECK(client.event() == "1 null");
}

TEST_CASE("what is wrong with a route is said at once") {
  Server server({.shards = 1}, per_shard<Chat>());
  CHECK_THROWS_AS(server.route("game", per_shard<Other>()), UsageError);
  CHECK_THROWS_AS(server.route("", per_shard<Other>()), UsageError);
  CHECK_THROWS_AS(server.route("/game", nullptr), UsageError);
  server.route("/game", per_shard<Other>());
  CHECK_THROWS_WITH_AS(server.route("/game", per_shard<Other>()),
                       "route(\"/game\"): it has a handler already", UsageError);
  const auto page = [](const webshocket::HttpRequest&) { return webshocket::HttpResponse(); };
  CHECK_THROWS_AS(server.on_http("GET", "page", page), UsageError);
  CHECK_THROWS_AS(server.on_http("", "/page", page), UsageError);
  CHECK_THROWS_AS(server.on_http("GET", "/page", nullptr), UsageError);
  CHECK_THROWS_AS(server.serve_files("files", "/tmp"), UsageError);
  server.start();
  CHECK_THROWS_AS(server.route("/late", per_shard<Other>()), UsageError);
  CHECK_THROWS_AS(server.on_http("GET", "/late", page), UsageError);
  CHECK_THROWS_AS(server.serve_files("/late", "/tmp"), UsageError);
}

TEST_CASE("describe tells every route's methods") {
  ServerFixture server({.shards = 2}, per_shard<Chat>(),
                       [](Server& made) { made.route("/game", per_shard<Other>()); });
  const std::string json = server->describe();
  const auto document = webshocket::from_json(json);
  const auto text = [&](const char* part) { return json.find(part) != std::string::npos; };
  CHECK_MESSAGE(document->is_map(), json);
  for (const char* part :
       {"\"join\"", "\"channel\"", "Subscribes.", "\"/game\"", "\"add\"", "\"b\""}) {
    CHECK_MESSAGE(text(part), part << " in " << json);
  }
  // From a shard's own thread too: it answers for itself.
  server->register_rpc("about", [&] { return RpcMethod([&] { return server->describe(); }); });
  WsClient client(server.port(), Dialect::json);
  CHECK(client.call("about").find("about") != std::string::npos);
}

TEST_CASE("methods are registered before the start, and while serving on every shard") {
  Server server({.shards = 4}, per_shard<Chat>());
  server.route("/game", per_shard<Other>());
  std::atomic<int> made{0};
  const auto make = [&](int value) {
    return [&made, value] {
      ++made;
      return answer(value);
    };
  };
  server.register_rpc("early", make(1));
  CHECK_THROWS_AS(server.register_rpc("early", make(1), "/nowhere"), UsageError);
  CHECK(made == 0);
  server.start();
  CHECK(made == 4);
  server.register_rpc("late", make(2));
  CHECK(made == 8);
  server.register_rpc("late", make(3), "/game");
  CHECK(made == 12);
  CHECK_THROWS_AS(server.register_rpc("late", make(1), "/nowhere"), UsageError);
  std::vector<WsClient> clients;
  for (int i = 0; i < 12; ++i) clients.emplace_back(server.port());
  for (WsClient& client : clients) {
    CHECK(client.call("early") == "1");
    CHECK(client.call("late") == "2");
  }
  WsClient game(server.port(), Dialect::json, "/game");
  CHECK(game.call("late") == "3");
  CHECK(game.call("early").starts_with("-32601"));
  server.register_rpc("late", make(4));
  for (WsClient& client : clients) CHECK(client.call("late") == "4");
  CHECK_THROWS_AS(server.register_rpc("bad", []() -> RpcMethod { throw std::logic_error("no"); }),
                  std::logic_error);
}

namespace {

class Registrar : public Handler {
 public:
  explicit Registrar(Server*& server) : server_(server) {
    rpc("add_method", &Registrar::add_method);
    rpc("add_blocking", &Registrar::add_blocking);
  }

 private:
  Task<bool> add_method(Connection&) {
    co_await server_->register_rpc_async("added", [] { return answer(7); });
    co_return true;
  }
  std::string add_blocking(Connection&) {
    try {
      server_->register_rpc("added", [] { return answer(7); });
    } catch (const UsageError& error) {
      return error.what();
    }
    return "it did not throw";
  }
  Server*& server_;
};

}  // namespace

TEST_CASE("a coroutine may register a method on all shards; the blocking form refuses there") {
  Server* self = nullptr;
  Server server({.shards = 3}, per_shard<Registrar>(std::ref(self)));
  self = &server;
  server.start();
  WsClient first(server.port());
  CHECK(first.call("added").starts_with("-32601"));
  CHECK(first.call("add_blocking") != "\"it did not throw\"");
  CHECK(first.call("add_method") == "true");
  for (int i = 0; i < 9; ++i) CHECK(WsClient(server.port()).call("added") == "7");
}

TEST_CASE("accept is for the pull style, on threads that may wait, while it serves") {
  Server push({.shards = 1}, per_shard<Chat>());
  CHECK_THROWS_AS((void)push.accept(), WebSocketError);
  push.start();
  CHECK_THROWS_AS((void)push.accept(), UsageError);
  CHECK_THROWS_AS((void)push.accept_async(), UsageError);

  Server pull({.shards = 1});
  CHECK_THROWS_AS((void)pull.accept(), WebSocketError);
  pull.start();
  CHECK_THROWS_AS((void)pull.accept(1ms), webshocket::ReceiveTimeoutError);
  pull.close();
  CHECK_THROWS_AS((void)pull.accept(), WebSocketError);
}

TEST_CASE("client_count counts all shards, and comes back to nothing") {
  ServerFixture server({.shards = 3}, per_shard<Chat>());
  CHECK(server->client_count() == 0);
  {
    auto clients = webshocket::test::connect_many(server.port(), 20);
    CHECK(server->client_count() == 20);
    clients.pop_back();
    eventually([&] { return server->client_count() == 19; }, "one to leave");
  }
  eventually([&] { return server->client_count() == 0; }, "all to leave");
}
