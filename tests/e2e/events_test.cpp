// What a handler is told, in which order, and what becomes of its exceptions.

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <webshocket/error.hpp>
#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Connection;
using webshocket::Handler;
using webshocket::OwnedPacket;
using webshocket::Packet;
using webshocket::per_shard;
using webshocket::RpcCall;
using webshocket::RpcDecision;
using webshocket::RpcOutcome;
using webshocket::Task;
using webshocket::test::Dialect;
using webshocket::test::eventually;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;

namespace {

/// A door that coroutines wait at. Each waits on a thread of the pool, so it opens at once.
class Gate {
 public:
  Task<void> pass() {
    ++waiting;
    auto work = [this] { open_.wait(false); };
    co_await webshocket::offload(work);
  }
  void open() {
    open_ = true;
    open_.notify_all();
  }
  std::atomic<int> waiting{0};

 private:
  std::atomic<bool> open_{false};
};

class SlowEvents : public Handler {
 public:
  SlowEvents(Gate& connect, Gate& receive) : connect_(connect), receive_(receive) {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
  }
  Task<void> on_connect_async(Connection& connection) override {
    if (clients().size() == 1) co_await connect_.pass();
    connection["ready"] = true;
    connection.send("ready");
  }
  Task<void> on_receive_async(Connection& connection, OwnedPacket packet) override {
    CHECK(connection.find("ready") != nullptr);
    if (packet->data.is_string() && packet->data.string() == "wait") co_await receive_.pass();
    connection.send(packet->data);
  }

 private:
  Gate& connect_;
  Gate& receive_;
};

}  // namespace

TEST_CASE("until on_connect ends, that connection's packets wait, and nobody else's") {
  Gate connect;
  Gate receive;
  ServerFixture server({.shards = 1}, per_shard<SlowEvents>(std::ref(connect), std::ref(receive)));
  WsClient slow(server.port());
  slow.send("1");
  const std::string call = slow.start("echo", "[2]");
  slow.send("3");
  eventually([&] { return connect.waiting == 1; }, "on_connect");
  WsClient quick(server.port());
  CHECK(quick.event() == "4 \"ready\"");
  for (int i = 0; i < 10; ++i) CHECK(quick.call("echo", "[7]") == "7");
  CHECK_FALSE(slow.has_response(call));
  CHECK(slow.event_count() == 0);
  connect.open();
  CHECK(slow.event() == "4 \"ready\"");
  CHECK(slow.event() == "4 1");
  CHECK(slow.answer(call) == "2");
  CHECK(slow.event() == "4 3");
}

TEST_CASE("on_receive calls of a connection never overlap; calls behind one wait too") {
  Gate connect;
  Gate receive;
  connect.open();
  ServerFixture server({.shards = 1}, per_shard<SlowEvents>(std::ref(connect), std::ref(receive)));
  WsClient slow(server.port());
  CHECK(slow.event() == "4 \"ready\"");
  slow.send("\"wait\"");
  for (int i = 0; i < 100; ++i) slow.send(std::to_string(i));
  const std::string call = slow.start("echo", "[2]");
  eventually([&] { return receive.waiting == 1; }, "on_receive");
  WsClient quick(server.port());
  for (int i = 0; i < 10; ++i) CHECK(quick.call("echo", "[7]") == "7");
  CHECK(receive.waiting == 1);
  receive.open();
  CHECK(slow.event() == "4 \"wait\"");
  for (int i = 0; i < 100; ++i) CHECK(slow.event() == "4 " + std::to_string(i));
  CHECK(slow.answer(call) == "2");
  eventually([&] { return server->stats().total.parked_bytes == 0; }, "nothing to be parked");
}

TEST_CASE("when the queue is full reading stops, and later nothing is lost") {
  Gate connect;
  Gate receive;
  connect.open();
  ServerFixture server({.shards = 1, .packet_queue_size = 4},
                       per_shard<SlowEvents>(std::ref(connect), std::ref(receive)));
  WsClient slow(server.port());
  CHECK(slow.event() == "4 \"ready\"");
  WsClient quick(server.port());
  CHECK(quick.event() == "4 \"ready\"");
  slow.send("\"wait\"");
  eventually([&] { return receive.waiting == 1; }, "on_receive");
  const std::string filler(10'000, 'f');
  constexpr int kMessages = 60;
  for (int i = 0; i < kMessages; ++i) slow.send("\"" + std::to_string(i) + filler + "\"");
  // Every turn of the loop would read from it once if it still did.
  const std::uint64_t before = server->stats().total.bytes_received;
  for (int i = 0; i < 50; ++i) CHECK(quick.call("echo", "[7]") == "7");
  const auto total = server->stats().total;
  CHECK(total.bytes_received - before < 256 * 1024 + 50 * 200);
  CHECK(total.parked_bytes < 65'536 + 256 * 1024);
  receive.open();
  CHECK(slow.event() == "4 \"wait\"");
  for (int i = 0; i < kMessages; ++i) {
    CHECK(slow.event() == "4 \"" + std::to_string(i) + filler + "\"");
  }
}

TEST_CASE("a client that leaves while its event waits is let go of") {
  Gate connect;
  Gate receive;
  ServerFixture server({.shards = 1}, per_shard<SlowEvents>(std::ref(connect), std::ref(receive)));
  {
    WsClient slow(server.port());
    eventually([&] { return connect.waiting == 1; }, "on_connect");
    slow.send("1");
    slow.peer().reset();
  }
  eventually([&] { return server->client_count() == 0; }, "the client to leave");
  connect.open();
  eventually([&] { return server->stats().total.calls_in_flight == 0; }, "the event to end");
  CHECK(server->stats().total.handler_errors == 0);
}

namespace {

class Thrower : public Handler {
 public:
  Thrower() {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
  }
  void on_connect(Connection& connection) override {
    connection.send("hello");
    if (connection.find("fail") != nullptr) fail("connect", connection);
  }
  void on_receive(Connection& connection, const Packet& packet) override {
    if (packet.data.is_string()) fail("receive", connection);
  }
  void on_message(Connection& connection, std::span<const std::byte>, webshocket::Opcode) override {
    fail("message", connection);
  }
  void on_disconnect(Connection& connection) override {
    ++disconnects;
    fail("disconnect", connection);
  }
  webshocket::Upgrade on_upgrade(const webshocket::UpgradeRequest& request) override {
    if (request.path == "/connect") return webshocket::Upgrade::accept().session("fail", 1);
    if (request.path == "/raw") return webshocket::Upgrade::accept().raw();
    return webshocket::Upgrade::accept();
  }
  static inline std::atomic<int> disconnects{0};

 private:
  static void fail(const char* event, Connection&) {
    // Not only what derives from std::exception.
    if (std::string(event) == "receive") throw 42;
    throw std::runtime_error(event);
  }
};

}  // namespace

TEST_CASE("an exception out of an event closes that connection with 1011, and is counted") {
  Thrower::disconnects = 0;
  std::mutex mutex;
  std::vector<std::string> errors;
  webshocket::Config config{.shards = 1};
  config.log = [&](webshocket::LogLevel level, std::string_view text) {
    const std::scoped_lock lock(mutex);
    if (level == webshocket::LogLevel::error) errors.emplace_back(text);
  };
  ServerFixture server(config, per_shard<Thrower>());
  WsClient witness(server.port());
  CHECK(witness.event() == "4 \"hello\"");

  WsClient connect(server.port(), Dialect::json, "/connect");
  CHECK(connect.event() == "4 \"hello\"");
  CHECK(connect.peer().read_close().code == 1011);
  WsClient receive(server.port());
  CHECK(receive.event() == "4 \"hello\"");
  receive.send("\"throw\"");
  CHECK(receive.peer().read_close().code == 1011);
  RawPeer raw = webshocket::test::open_peer(server.port(), {.path = "/raw"});
  CHECK(raw.read_message() == "hello");
  raw.send(webshocket::test::text_frame("throw"));
  CHECK(raw.read_close().code == 1011);
  for (RawPeer* peer : {&connect.peer(), &receive.peer(), &raw}) {
    peer->send(webshocket::test::close_frame(1011));
    peer->read_end();
  }
  eventually([] { return Thrower::disconnects == 3; }, "on_disconnect of each");
  CHECK(witness.call("echo", "[1]") == "1");
  // Each is counted, and logged a moment later.
  eventually(
      [&] {
        const std::scoped_lock lock(mutex);
        return errors.size() == 6;
      },
      "the errors to be logged");
  CHECK(server->stats().total.handler_errors == 6);
  const std::scoped_lock lock(mutex);
  CHECK(errors[0].find("on_connect failed") != std::string::npos);
  CHECK(errors[0].find("connect") != std::string::npos);
}

TEST_CASE("a log function that throws harms nobody") {
  webshocket::Config config{.shards = 1};
  config.log = [](webshocket::LogLevel, std::string_view) { throw std::runtime_error("log"); };
  ServerFixture server(config, per_shard<Thrower>());
  WsClient client(server.port());
  client.send("\"throw\"");
  CHECK(client.event() == "4 \"hello\"");
  CHECK(client.peer().read_close().code == 1011);
  CHECK(WsClient(server.port()).call("echo", "[1]") == "1");
}

namespace {

class Hooked : public Handler {
 public:
  struct Seen {
    std::mutex mutex;
    std::vector<std::string> after;
  };
  explicit Hooked(Seen& seen) : seen_(seen) {
    rpc("add", [](int a, int b) { return a + b; }).params("a", "b");
    rpc("slow", &Hooked::slow);
    rpc("fail", [] { throw webshocket::RpcError("no"); });
    rpc("vip", [] { return 1; }).require(webshocket::Is("vip"));
    rpc("login", [](Connection& c, std::string name) { c.session<User>().name = name; });
    rpc("me", [](Connection& c) { return c.find<User>()->name; }).require(webshocket::Has<User>());
    rpc("set", [](Connection& c, std::string key, std::int64_t value) { c[key] = value; });
    rpc("get", [](Connection& c, std::string key) {
      const auto* value = c.find(key);
      return value != nullptr ? *value : webshocket::Scalar("none");
    });
  }
  RpcDecision before_rpc(const RpcCall& call) override {
    if (call.method.name() == "add" && !call.args.empty() && call.args[0].integer() == 13) {
      return RpcDecision::reject("unlucky");
    }
    return RpcDecision::proceed();
  }
  void after_rpc(const RpcCall& call, const RpcOutcome& outcome) override {
    const std::scoped_lock lock(seen_.mutex);
    seen_.after.push_back(
        call.method.name() + " " +
        (outcome.error ? std::to_string(static_cast<int>(*outcome.error)) : "ok") +
        (outcome.cancelled ? " cancelled" : ""));
    if (call.method.name() == "fail") throw std::runtime_error("after");
  }

 private:
  struct User {
    std::string name;
  };
  Task<int> slow(Connection&) {
    co_await webshocket::sleep_for(std::chrono::hours(1));
    co_return 1;
  }
  Seen& seen_;
};

}  // namespace

TEST_CASE("before_rpc may refuse, after_rpc hears how each call ended") {
  Hooked::Seen seen;
  ServerFixture server({.shards = 1}, per_shard<Hooked>(std::ref(seen)));
  {
    WsClient client(server.port());
    CHECK(client.call("add", "[1,2]") == "3");
    CHECK(client.call("add", "[13,2]") == "-32002 unlucky");
    CHECK(client.call("fail") == "-32001 no");
    CHECK(client.call("add", "[1]").starts_with("-32602"));
    CHECK(client.call("vip").starts_with("-32002"));
    CHECK(client.call("nothing").starts_with("-32601"));
    client.start("slow");
    CHECK(client.call("add", "[2,2]") == "4");
    client.peer().reset();
  }
  eventually([&] { return server->client_count() == 0; }, "the client to leave");
  eventually(
      [&] {
        const std::scoped_lock lock(seen.mutex);
        return seen.after.size() == 7;
      },
      "after_rpc of every call");
  CHECK(seen.after == std::vector<std::string>{"add ok", "add -32002", "fail -32001", "add -32602",
                                               "vip -32002", "add ok", "slow ok cancelled"});
  CHECK(server->stats().total.handler_errors == 1);
}

TEST_CASE("sessions, typed and by key, are a connection's own") {
  Hooked::Seen seen;
  ServerFixture server({.shards = 1}, per_shard<Hooked>(std::ref(seen)));
  WsClient ann(server.port());
  WsClient bob(server.port());
  CHECK(ann.call("me").starts_with("-32002"));
  CHECK(ann.call("login", R"(["ann"])") == "null");
  CHECK(bob.call("login", R"(["bob"])") == "null");
  CHECK(ann.call("me") == "\"ann\"");
  CHECK(bob.call("me") == "\"bob\"");
  CHECK(ann.call("set", R"(["x",5])") == "null");
  CHECK(ann.call("get", R"(["x"])") == "5");
  CHECK(bob.call("get", R"(["x"])") == "\"none\"");
}

namespace {

class Leaky : public Handler {
 public:
  explicit Leaky(std::atomic<Connection*>& out) : out_(out) {}
  void on_connect(Connection& connection) override {
    handler = this;
    out_ = &connection;
    out_.notify_all();
  }
  static inline std::atomic<Leaky*> handler{nullptr};

 private:
  std::atomic<Connection*>& out_;
};

}  // namespace

TEST_CASE("another thread's call throws, and names what to use instead") {
  std::atomic<Connection*> leaked{nullptr};
  ServerFixture server({.shards = 1}, per_shard<Leaky>(std::ref(leaked)));
  WsClient client(server.port());
  leaked.wait(nullptr);
  Connection& connection = *leaked;
  Leaky& handler = *Leaky::handler;
  using webshocket::WrongThreadError;
  CHECK_THROWS_AS(connection.send(1), WrongThreadError);
  CHECK_THROWS_AS(connection.close(), WrongThreadError);
  CHECK_THROWS_AS((void)connection.subscribe("x"), WrongThreadError);
  CHECK_THROWS_AS(connection.unsubscribe("x"), WrongThreadError);
  CHECK_THROWS_AS((void)connection.session(), WrongThreadError);
  CHECK_THROWS_AS((void)handler.publish("x", 1), WrongThreadError);
  CHECK_THROWS_AS((void)handler.broadcast(1), WrongThreadError);
  CHECK_THROWS_AS((void)handler.clients(), WrongThreadError);
  CHECK_THROWS_AS(handler.defer([] {}), WrongThreadError);
  try {
    connection.send(1);
  } catch (const WrongThreadError& error) {
    CHECK(std::string(error.what()).find("peer()") != std::string::npos);
  }
  CHECK(server->client_count() == 1);
  // What this thread has looked at may be freed from here on: the thread sanitizer wants to see it.
  CHECK(server->broadcast("bye"));
  CHECK(client.event() == "1 \"bye\"");
}
