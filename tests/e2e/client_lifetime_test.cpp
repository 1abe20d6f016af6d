// Clients, and the loops that they live on, come to an end at any time.

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <webshocket/client.hpp>
#include <webshocket/server.hpp>

#include "tests/support/own_process.hpp"
#include "tests/support/raw_server.hpp"
#include "tests/support/server_fixture.hpp"

using webshocket::Cancelled;
using webshocket::Client;
using webshocket::ClientConfig;
using webshocket::ClientLoop;
using webshocket::CloseCode;
using webshocket::Connection;
using webshocket::ConnectionClosedError;
using webshocket::ConnectionState;
using webshocket::Format;
using webshocket::Handler;
using webshocket::Packet;
using webshocket::per_shard;
using webshocket::Retry;
using webshocket::Task;
using webshocket::test::eventually;
using webshocket::test::play;
using webshocket::test::RawPeer;
using webshocket::test::RawServer;
using webshocket::test::read_call;
using webshocket::test::served_close;
using webshocket::test::served_text;
using webshocket::test::ServerFixture;
using webshocket::test::thread_count;
using namespace std::chrono_literals;

namespace {

ClientConfig in_json() { return {.format = Format::json, .call_timeout = 1h, .close_timeout = 1h}; }

constexpr Retry kRare{.attempts = 0, .interval = 1h, .max_interval = 1h, .jitter = 0ms};

std::string uri_of(std::uint16_t port) { return "ws://127.0.0.1:" + std::to_string(port); }

class Echo : public Handler {
 public:
  Echo() {
    rpc("echo", [](int x) { return x; });
    rpc("never", &Echo::never);
  }

 private:
  Task<int> never(Connection&) {
    co_await webshocket::sleep_for(1h);
    co_return 0;
  }
};

}  // namespace

TEST_CASE("a client ends in every state") {
  RawServer server;
  const ClientLoop loop;
  auto client = std::make_unique<Client>(server.uri(), in_json(), loop);
  SUBCASE("never connected") { client.reset(); }
  SUBCASE("connecting") {
    auto connect = loop.spawn(client->connect_async());
    auto [peer, request] = server.accept_request();
    client.reset();
    CHECK_THROWS_AS(connect.get(), ConnectionClosedError);
    peer.read_end();
  }
  SUBCASE("looking up a name") {
    client = std::make_unique<Client>("ws://localhost:" + std::to_string(server.port()), loop);
    auto connect = loop.spawn(client->connect_async());
    client.reset();
    CHECK_THROWS_AS(connect.get(), ConnectionClosedError);
  }
  SUBCASE("between tries") {
    auto connect = loop.spawn(client->connect_async(kRare));
    server.accept().reset();
    client.reset();
    CHECK_THROWS_AS(connect.get(), ConnectionClosedError);
  }
  SUBCASE("open, with calls under way") {
    auto connect = loop.spawn(client->connect_async());
    RawPeer peer = server.accept_client();
    connect.get();
    auto call = loop.spawn(client->call_async<int>("slow"));
    auto receive = loop.spawn(client->recv_async(1h));
    read_call(peer, "slow");
    auto end = std::async(std::launch::async, [&] { client.reset(); });
    CHECK(peer.read_close() == webshocket::test::Close{1000, "Client is closing the connection."});
    end.get();
    CHECK_THROWS_AS(call.get(), ConnectionClosedError);
    CHECK_THROWS_AS(receive.get(), ConnectionClosedError);
    peer.send(served_close(1000));
    peer.half_close();
    peer.read_end();
  }
  SUBCASE("closing") {
    auto connect = loop.spawn(client->connect_async());
    RawPeer peer = server.accept_client();
    connect.get();
    auto close = loop.spawn(client->close_async(CloseCode{4000}));
    CHECK(peer.read_close().code == 4000);
    peer.send(served_close(4000));
    peer.half_close();
    client.reset();
    CHECK_NOTHROW(close.get());
  }
  SUBCASE("after the server's end") {
    auto connect = loop.spawn(client->connect_async());
    server.accept_client().reset();
    connect.wait();
    client.reset();
  }
}

TEST_CASE("a client ends in every state, and its own loop with it") {
  RawServer server;
  { const Client never(server.uri()); }
  {
    Client refused(server.uri());
    auto script = play([&] { server.accept().reset(); });
    CHECK_THROWS_AS(refused.connect(), webshocket::ConnectionFailedError);
    script.get();
  }
  {
    Client client(server.uri());
    (void)client.loop().spawn(client.connect_async(kRare));
    server.accept().reset();
  }
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    peer.read_until_close();
    peer.send(served_close(1000));
    peer.half_close();
    peer.read_end();
  });
  {
    Client open(server.uri());
    open.connect();
    open.send("last words");
  }
  script.get();
}

TEST_CASE("a client ends in each of its own events") {
  RawServer server;
  std::unique_ptr<Client> client;
  std::promise<void> destroyed;
  const auto destroy = [&] {
    client.reset();
    destroyed.set_value();
  };
  ClientConfig config = in_json();
  unsigned code = 1000;
  SUBCASE("on_receive") {
    config.on_receive = [&](Client&, const Packet&) { destroy(); };
  }
  SUBCASE("on_connect") {
    config.on_connect = [&](Client&) -> Task<void> {
      destroy();
      co_return;
    };
  }
  SUBCASE("on_connect, which goes on") {
    config.on_connect = [&](Client&) -> Task<void> {
      destroy();
      co_await webshocket::sleep_for(1h);
    };
  }
  SUBCASE("on_disconnect") {
    config.on_disconnect = [&](Client&, CloseCode, std::string_view) { destroy(); };
    code = 4000;
  }
  const ClientLoop loop;
  client = std::make_unique<Client>(server.uri(), config, loop);
  auto connect = loop.spawn(client->connect_async());
  RawPeer peer = server.accept_client();
  peer.send(served_text(R"({"source":4,"data":1})"));
  if (code == 4000) peer.send(served_close(4000));
  CHECK(peer.read_close().code == code);
  if (code == 1000) peer.send(served_close(1000));
  peer.half_close();
  destroyed.get_future().get();
  connect.wait();
  peer.read_end();
}

TEST_CASE("when the destructor has returned, no event runs any more") {
  RawServer server;
  for (int round = 0; round < 10; ++round) {
    auto script = play([&] {
      RawPeer peer = server.accept_client();
      const std::string packet = served_text(R"({"source":4,"data":1})");
      try {
        for (;;) peer.send(packet);
      } catch (const webshocket::test::PeerError&) {
      }
    });
    auto alive = std::make_unique<int>(0);
    std::promise<void> first;
    ClientConfig config = in_json();
    config.on_receive = [&](Client&, const Packet&) {
      if (++*alive == 1) first.set_value();
    };
    config.close_timeout = 1ms;
    {
      Client client(server.uri(), config);
      client.connect();
      first.get_future().wait();
    }
    alive.reset();
    script.get();
  }
}

TEST_CASE("a client inside a coroutine takes its loop with it") {
  ServerFixture server({.shards = 1}, per_shard<Echo>());
  const auto visit = [](std::string uri, ClientLoop loop) -> Task<int> {
    Client client(uri, loop);
    co_await client.connect_async();
    co_return co_await client.call_async<int>("echo", 7);
  };
  std::thread([] {}).join();
  const std::size_t threads = thread_count();
  for (int i = 0; i < 20; ++i) {
    auto visited = [&] {
      const ClientLoop loop;
      return loop.spawn(visit(uri_of(server.port()), loop));
    }();
    CHECK(visited.get() == 7);
  }
  eventually([&] { return thread_count() <= threads; }, "the threads to be gone");
}

TEST_CASE("a loop ends with its last handle, wherever that is dropped") {
  std::thread([] {}).join();
  const std::size_t threads = thread_count();
  SUBCASE("here") { const ClientLoop loop; }
  SUBCASE("on another thread") {
    std::optional<ClientLoop> loop(std::in_place);
    std::thread([moved = std::move(*loop)]() mutable {
      const ClientLoop last = std::move(moved);
    }).join();
  }
  SUBCASE("on its own") {
    auto loop = std::make_shared<ClientLoop>();
    std::promise<void> dropped;
    const ClientLoop& on = *loop;
    on.post([&dropped, last = std::move(loop)]() mutable {
      last.reset();
      dropped.set_value();
    });
    dropped.get_future().wait();
  }
  SUBCASE("on another loop") {
    const ClientLoop other;
    auto loop = std::make_shared<ClientLoop>();
    std::promise<void> dropped;
    other.post([&dropped, last = std::move(loop)]() mutable {
      last.reset();
      dropped.set_value();
    });
    dropped.get_future().wait();
  }
  SUBCASE("with coroutines on it") {
    const auto sleep = []() -> Task<int> {
      co_await webshocket::sleep_for(1h);
      co_return 1;
    };
    std::future<int> result;
    {
      const ClientLoop loop;
      result = loop.spawn(sleep());
    }
    CHECK_THROWS_AS(result.get(), Cancelled);
  }
  eventually([&] { return thread_count() <= threads; }, "the threads to be gone");
}

namespace {

/// Calls its own server, or another one.
class Proxy : public Handler {
 public:
  explicit Proxy(const std::string& target) : target_(target) {
    rpc("ask", &Proxy::ask);
    rpc("echo", [](int x) { return x; });
    rpc("never", &Proxy::never);
    rpc("ask_never", &Proxy::ask_never);
    rpc("block", &Proxy::block);
  }

 private:
  Client& client() {
    if (!client_) client_.emplace(target_, ClientLoop::current());
    return *client_;
  }
  Task<int> ask(Connection&, int x) {
    co_await client().connect_async();
    co_return co_await client().call_async<int>("echo", x);
  }
  Task<int> never(Connection&) {
    co_await webshocket::sleep_for(1h);
    co_return 0;
  }
  Task<int> ask_never(Connection&) {
    co_await client().connect_async();
    co_return co_await client().call_async<int>("never");
  }
  bool block() {
    try {
      client().connect();
    } catch (const webshocket::UsageError&) {
      return true;
    }
    return false;
  }

  const std::string& target_;
  std::optional<Client> client_;
};

}  // namespace

TEST_CASE("a server's handlers are clients, of another server and of their own") {
  ServerFixture other({.shards = 1, .drain_timeout = 20ms}, per_shard<Echo>());
  std::string target = uri_of(other.port());
  ServerFixture server({.shards = 2, .drain_timeout = 20ms}, per_shard<Proxy>(std::cref(target)));
  bool to_itself = false;
  SUBCASE("another") {}
  SUBCASE("its own") {
    target = uri_of(server.port());
    to_itself = true;
  }
  Client client(uri_of(server.port()), {.call_timeout = 1h});
  client.connect();
  CHECK(client.call<int>("ask", 5) == 5);
  CHECK(client.call<bool>("block"));
  // It closes in the middle of such calls.
  std::vector<std::future<int>> calls;
  for (int i = 0; i < 10; ++i) {
    calls.push_back(client.loop().spawn(client.call_async<int>("ask_never")));
  }
  const std::uint64_t under_way = to_itself ? 20 : 10;
  eventually([&] { return server->stats().total.calls_in_flight == under_way; }, "the calls");
  server->close();
  for (auto& call : calls) CHECK_THROWS((void)call.get());
}
