// Threads that the server knows nothing of, while connections come and go.

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Connection;
using webshocket::Handler;
using webshocket::Peer;
using webshocket::per_shard;
using webshocket::SendStatus;
using webshocket::test::connect_many;
using webshocket::test::Dialect;
using webshocket::test::eventually;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;

namespace {

/// The names of all that have ever come; and a count of events, which must pair.
struct Guests {
  void add(Peer peer) {
    const std::scoped_lock lock(mutex);
    peers.push_back(std::move(peer));
  }
  Peer any(std::mt19937& random) {
    const std::scoped_lock lock(mutex);
    return peers.empty() ? Peer() : peers[random() % peers.size()];
  }
  std::mutex mutex;
  std::vector<Peer> peers;
  std::atomic<int> connects{0};
  std::atomic<int> disconnects{0};
  std::atomic<int> posted{0};
};

class Lobby : public Handler {
 public:
  explicit Lobby(Guests& guests) : guests_(guests) {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
  }
  void on_connect(Connection& connection) override {
    ++guests_.connects;
    connection.subscribe({"room", "r*"});
    guests_.add(connection.peer());
  }
  void on_disconnect(Connection&) override { ++guests_.disconnects; }

 private:
  Guests& guests_;
};

}  // namespace

TEST_CASE("eight threads send, publish, broadcast, post and close while clients come and go") {
  Guests guests;
  ServerFixture server({.shards = 3}, per_shard<Lobby>(std::ref(guests)));
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      while (!stop) {
        const Peer peer = guests.any(random);
        switch (random() % 16) {
          case 0:
            peer.close(webshocket::CloseCode::normal, "from afar");
            break;
          case 1:
          case 2:
          case 3:
            server->publish("room", webshocket::map("thread", t));
            break;
          case 4:
            server->broadcast("all");
            break;
          case 5:
          case 6:
            peer.post([&](Connection& connection) {
              ++guests.posted;
              connection.send(connection.uid().to_string());
            });
            break;
          case 7:
            static_cast<void>(server->stats());
            static_cast<void>(server->client_count());
            break;
          default:
            static_cast<void>(peer.send("hello"));
        }
        std::this_thread::yield();
      }
    });
  }
  std::mt19937 random(99);
  constexpr std::array kDialects{Dialect::msgpack, Dialect::json, Dialect::generic};
  int clients = 0;
  for (; clients < 150 || guests.posted == 0; ++clients) {
    auto client = std::make_unique<WsClient>(server.port(), kDialects[random() % 3]);
    // It may be closed at any time; what it gets until then is well-formed, or the client throws.
    const std::string call = client->start("echo", "[1]");
    while (client->absorb() && !client->closed() && !client->has_response(call)) {
      std::this_thread::yield();
    }
    if (clients % 3 == 0) client->peer().reset();
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  eventually([&] { return server->client_count() == 0; }, "all to leave");
  CHECK(guests.connects == clients);
  eventually([&] { return guests.disconnects == clients; }, "all to be taken leave of");
  CHECK(server->stats().total.handler_errors == 0);
  server->close();
  // The names are still good for nothing, and say so.
  CHECK(guests.peers.front().send(1) == SendStatus::dropped);
  CHECK_FALSE(guests.peers.front().close());
  CHECK_FALSE(guests.peers.front().post([](Connection&) {}));
}

TEST_CASE("each publisher's order is kept, for every subscriber") {
  Guests guests;
  ServerFixture server({.shards = 3}, per_shard<Lobby>(std::ref(guests)));
  auto clients = connect_many(server.port(), 9);
  eventually([&] { return guests.connects == 9; }, "all to subscribe");
  constexpr int kThreads = 4;
  constexpr int kEach = 300;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        CHECK(server->publish("room", std::vector<int>{t, i}));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (auto& client : clients) {
    std::map<std::int64_t, std::int64_t> next;
    for (int n = 0; n < kThreads * kEach; ++n) {
      const auto packet = client->packet();
      REQUIRE(packet->data.size() == 2);
      const auto elements = packet->data.elements();
      REQUIRE(elements[1].integer() == next[elements[0].integer()]++);
    }
    // By name and by pattern, and yet one copy.
    CHECK(client->events_before_now().empty());
  }
}

TEST_CASE("the server may close while threads still send, and go while names are still held") {
  for (int round = 0; round < 3; ++round) {
    Guests guests;
    auto server = std::make_unique<webshocket::Server>(webshocket::Config{.shards = 2},
                                                       per_shard<Lobby>(std::ref(guests)));
    server->start();
    auto clients = connect_many(server->port(), 6);
    eventually([&] { return guests.connects == 6; }, "all to come");
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(t);
        while (!stop) {
          const Peer peer = guests.any(random);
          static_cast<void>(peer.send("x"));
          peer.post([](Connection& connection) { connection.send("y"); });
        }
      });
    }
    std::thread publisher([&] {
      while (server->publish("room", 1)) {
      }
    });
    std::thread closer([&] { server->close(); });
    for (auto& client : clients) {
      while (!client->closed() && client->absorb()) std::this_thread::yield();
      REQUIRE(client->closed().has_value());
      CHECK(client->closed()->code == 1001);
      client->peer().reset();
    }
    closer.join();
    publisher.join();
    CHECK(guests.disconnects == 6);
    server.reset();
    stop = true;
    for (std::thread& thread : threads) thread.join();
    CHECK(guests.any(*std::make_unique<std::mt19937>(1)).send(1) == SendStatus::dropped);
  }
}
