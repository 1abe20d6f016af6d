// The pull style over real connections.

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <webshocket/error.hpp>
#include <webshocket/queue_handler.hpp>
#include <webshocket/server.hpp>

#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::ConnectionClosedError;
using webshocket::ConnectionState;
using webshocket::Format;
using webshocket::OwnedPacket;
using webshocket::per_shard;
using webshocket::PullConnection;
using webshocket::QueueHandler;
using webshocket::ReceiveTimeoutError;
using webshocket::Server;
using webshocket::Task;
using webshocket::UsageError;
using webshocket::WebSocketError;
using webshocket::test::connect_many;
using webshocket::test::Dialect;
using webshocket::test::eventually;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;
using namespace std::chrono_literals;

TEST_CASE("accept, receive, send, subscribe, close") {
  ServerFixture server({.shards = 2}, per_shard<QueueHandler>());
  WsClient client(server.port(), Dialect::json);
  PullConnection connection = server->accept();
  CHECK(connection.state() == ConnectionState::connected);
  CHECK(connection.format() == Format::json);
  CHECK(connection.remote_address().starts_with("127.0.0.1:"));
  client.send("[1,2]");
  client.send_payload("{");
  CHECK(webshocket::to_json(connection.recv()->data) == "[1,2]");
  const OwnedPacket unknown = connection.recv();
  CHECK(unknown->source == webshocket::PacketSource::unknown);
  CHECK_THROWS_AS((void)connection.recv(1ms), ReceiveTimeoutError);
  CHECK(connection.send("answer") == webshocket::SendStatus::ok);
  CHECK(client.event() == "4 \"answer\"");
  CHECK(connection.subscribe({"room", "other"}));
  connection.unsubscribe("other");
  CHECK(server->publish({"other", "room"}, 1));
  CHECK(client.event() == "2 room 1");
  connection.close(webshocket::CloseCode(4000), "enough");
  CHECK(client.peer().read_close() == webshocket::test::Close{4000, "enough"});
  client.peer().send(webshocket::test::close_frame(4000));
  CHECK_THROWS_AS((void)connection.recv(), ConnectionClosedError);
  CHECK(connection.state() == ConnectionState::closed);
  CHECK_THROWS_AS((void)connection.subscribe("room"), ConnectionClosedError);
  CHECK(connection.send(1) != webshocket::SendStatus::congested);
}

TEST_CASE("what came before the client left is still received") {
  ServerFixture server({.shards = 1}, per_shard<QueueHandler>());
  WsClient client(server.port());
  for (int i = 0; i < 100; ++i) client.send(std::to_string(i));
  client.close();
  PullConnection connection = server->accept();
  for (int i = 0; i < 100; ++i) CHECK(connection.recv()->data.integer() == i);
  CHECK_THROWS_AS((void)connection.recv(), ConnectionClosedError);
}

TEST_CASE("letting go of a connection closes it") {
  ServerFixture server({.shards = 1}, per_shard<QueueHandler>());
  WsClient client(server.port());
  { const PullConnection connection = server->accept(); }
  CHECK(client.peer().read_close().code == 1000);
}

TEST_CASE("a full queue stops reading; nothing is lost") {
  ServerFixture server({.shards = 1, .packet_queue_size = 3}, per_shard<QueueHandler>());
  WsClient client(server.port());
  PullConnection connection = server->accept();
  const std::string filler(20'000, 'f');
  for (int i = 0; i < 100; ++i) client.send("\"" + std::to_string(i) + " " + filler + "\"");
  for (int i = 0; i < 100; ++i) {
    CHECK(connection.recv()->data.string() == std::to_string(i) + " " + filler);
  }
}

TEST_CASE("accept_queue_size: the next one is closed with 1013") {
  ServerFixture server({.shards = 2, .accept_queue_size = 3}, per_shard<QueueHandler>());
  auto waiting = connect_many(server.port(), 3);
  eventually([&] { return server->client_count() == 3; }, "three to wait");
  WsClient fourth(server.port());
  CHECK(fourth.peer().read_close().code == 1013);
  std::vector<PullConnection> accepted;
  for (int i = 0; i < 3; ++i) accepted.push_back(server->accept());
  WsClient fifth(server.port());
  const PullConnection last = server->accept();
  CHECK(last.send("welcome") == webshocket::SendStatus::ok);
  CHECK(fifth.event() == "4 \"welcome\"");
}

TEST_CASE("close ends all who wait, on threads") {
  Server server({.shards = 1});
  server.start();
  WsClient client(server.port());
  PullConnection connection = server.accept();
  std::atomic<int> ready{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      ++ready;
      CHECK_THROWS_AS((void)server.accept(20s), WebSocketError);
    });
  }
  threads.emplace_back([&] {
    ++ready;
    CHECK_THROWS_AS((void)connection.recv(20s), ConnectionClosedError);
  });
  eventually([&] { return ready == 4; }, "all to wait");
  std::thread closer([&] { server.close(); });
  CHECK(client.peer().read_close().code == 1001);
  client.peer().send(webshocket::test::close_frame(1001));
  for (std::thread& thread : threads) thread.join();
  closer.join();
}

TEST_CASE("many threads serve many clients") {
  ServerFixture server({.shards = 3}, per_shard<QueueHandler>());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (;;) {
        PullConnection connection;
        try {
          connection = server->accept();
        } catch (const WebSocketError&) {
          return;
        }
        try {
          for (;;) connection.send(connection.recv()->data);
        } catch (const ConnectionClosedError&) {
        }
      }
    });
  }
  for (int round = 0; round < 10; ++round) {
    auto clients = connect_many(server.port(), 4);
    for (int i = 0; i < 20; ++i) {
      for (auto& client : clients) client->send(std::to_string(i));
      for (auto& client : clients) CHECK(client->event() == "4 " + std::to_string(i));
    }
  }
  server->close();
  for (std::thread& thread : threads) thread.join();
}

namespace {

/// Accepts and echoes in coroutines, on the shards themselves.
class Echo : public QueueHandler {
 public:
  struct Shared {
    Server* server = nullptr;
    std::atomic<int> accepted{0};
    std::atomic<int> closed{0};
    std::atomic<int> timeouts{0};
    std::atomic<int> blocking_refused{0};
  };
  explicit Echo(Shared& shared) : shared_(shared) {
    rpc("begin", [this] { spawn(accept_all()); });
  }

 private:
  Task<void> accept_all() {
    try {
      static_cast<void>(shared_.server->accept(1ms));
    } catch (const UsageError&) {
      ++shared_.blocking_refused;
    }
    for (;;) {
      PullConnection connection = co_await shared_.server->accept_async();
      ++shared_.accepted;
      spawn(echo(std::move(connection)));
    }
  }
  Task<void> echo(PullConnection connection) {
    try {
      co_await connection.recv_async(1ms);
    } catch (const ReceiveTimeoutError&) {
      ++shared_.timeouts;
    }
    try {
      for (;;) {
        const OwnedPacket packet = co_await connection.recv_async();
        connection.send(packet->data);
      }
    } catch (const ConnectionClosedError&) {
      ++shared_.closed;
    }
  }
  Shared& shared_;
};

}  // namespace

TEST_CASE("accept and receive in coroutines, wherever the connection lives") {
  Echo::Shared shared;
  Server server({.shards = 3, .close_timeout = 50ms}, per_shard<Echo>(std::ref(shared)));
  shared.server = &server;
  server.start();
  WsClient starter(server.port());
  starter.call("begin");
  auto clients = connect_many(server.port(), 9);
  eventually([&] { return shared.accepted == 10; }, "all to be accepted");
  eventually([&] { return shared.timeouts == 10; }, "all to have waited in vain once");
  for (int i = 0; i < 50; ++i) {
    for (auto& client : clients) client->send(std::to_string(i));
    for (auto& client : clients) CHECK(client->event() == "4 " + std::to_string(i));
  }
  CHECK(shared.blocking_refused == 1);
  for (auto& client : clients) client->close();
  eventually([&] { return shared.closed == 9; }, "all to be told");
  // One still waits to accept, one to receive.
  server.close();
}
