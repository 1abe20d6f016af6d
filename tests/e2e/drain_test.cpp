// How a server ends.

#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/server_fixture.hpp"
#include "tests/support/server_process.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Connection;
using webshocket::Handler;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::ServerState;
using webshocket::Stream;
using webshocket::Task;
using webshocket::test::connect_many;
using webshocket::test::Dialect;
using webshocket::test::eventually;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::ServerProcess;
using webshocket::test::WsClient;
using namespace std::chrono_literals;

namespace {

struct Watch {
  std::atomic<bool> open{false};
  std::atomic<int> waiting{0};
  std::atomic<int> connects{0};
  std::atomic<int> disconnects{0};
  std::atomic<int> stopped{0};
  std::atomic<int> ended{0};
  std::atomic<int> broadcasts{0};
};

class Worker : public Handler {
 public:
  explicit Worker(Watch& watch) : watch_(watch) {
    rpc("wait", &Worker::wait);
    rpc("forever", &Worker::forever);
    rpc("offload_forever", &Worker::stubborn);
    rpc("endless", &Worker::endless);
    rpc("big", [] { return std::string(3'000'000, 'b'); });
  }
  void on_connect(Connection&) override { ++watch_.connects; }
  void on_disconnect(Connection& connection) override {
    ++watch_.disconnects;
    if (broadcast("gone")) ++watch_.broadcasts;
    static_cast<void>(connection.send("too late"));
  }
  void on_stop() override {
    CHECK(clients().empty());
    ++watch_.stopped;
  }

 private:
  struct Ending {
    explicit Ending(Watch& watched) : watch(watched) {}
    ~Ending() { ++watch.ended; }
    Watch& watch;
  };
  Task<std::string> wait(Connection&) {
    ++watch_.waiting;
    while (!watch_.open) co_await webshocket::sleep_for(1ms);
    co_return "done";
  }
  Task<int> forever(Connection&) {
    const Ending ending(watch_);
    ++watch_.waiting;
    co_await webshocket::sleep_for(24h);
    co_return 1;
  }
  /// Does not take a cancellation for an answer, at first.
  Task<int> stubborn(Connection&) {
    const Ending ending(watch_);
    ++watch_.waiting;
    try {
      co_await webshocket::sleep_for(24h);
    } catch (const webshocket::Cancelled&) {
    }
    co_await webshocket::sleep_for(24h);
    co_return 1;
  }
  Stream<int> endless(Connection&) {
    ++watch_.waiting;
    for (int i = 0;; ++i) co_yield i;
  }

  Watch& watch_;
};

/// Clients without a call, at least one on each shard.
std::vector<std::unique_ptr<WsClient>> idle_on_every_shard(ServerFixture& server) {
  const auto before = server->stats().shards;
  std::vector<std::unique_ptr<WsClient>> clients;
  const auto all_grew = [&] {
    const auto now = server->stats().shards;
    return std::ranges::equal(now, before, [](const auto& a, const auto& b) {
      return a.connections_total > b.connections_total;
    });
  };
  while (!all_grew()) clients.push_back(std::make_unique<WsClient>(server.port()));
  return clients;
}

}  // namespace

TEST_CASE("accepted calls are answered, then 1001; on_disconnect for all") {
  Watch watch;
  ServerFixture server({.shards = 2}, per_shard<Worker>(std::ref(watch)));
  auto clients = connect_many(server.port(), 6);
  std::vector<std::string> calls;
  for (auto& client : clients) calls.push_back(client->start("wait"));
  const std::string big = clients[0]->start("big");
  const auto idle = idle_on_every_shard(server);
  RawPeer no_request(server.port());
  eventually([&] { return watch.waiting == 6; }, "the calls");
  eventually([&] { return server->stats().total.handshakes_pending == 1; }, "the handshake");
  const std::jthread closer([&] { server->close(); });
  // Who has no call is closed at once, while the others are waited for.
  for (const auto& client : idle) {
    CHECK(client->peer().read_close() == webshocket::test::Close{1001, ""});
  }
  no_request.read_end();
  CHECK(server->state() == ServerState::draining);
  CHECK_THROWS_AS(RawPeer(server.port()), webshocket::test::PeerError);
  // What is said now is heard no more.
  const std::string late = clients[1]->start("wait");
  watch.open = true;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    CHECK(clients[i]->answer(calls[i]) == "\"done\"");
  }
  CHECK(clients[0]->answer(big).size() == 3'000'002);
  for (auto& client : clients) {
    CHECK(client->peer().read_close().code == 1001);
    client->peer().send(webshocket::test::close_frame(1001));
    client->peer().read_end();
  }
  for (const auto& client : idle) client->peer().reset();
  eventually([&] { return server->state() == ServerState::closed; }, "the end");
  CHECK(watch.waiting == 6);
  CHECK(watch.connects == static_cast<int>(6 + idle.size()));
  CHECK(watch.disconnects == watch.connects);
  CHECK(watch.broadcasts == 0);
  CHECK(watch.stopped == 2);
  CHECK(server->state() == ServerState::closed);
}

TEST_CASE("calls that never end do not hold up the end; clients that do not answer neither") {
  Watch watch;
  ServerFixture server({.shards = 2, .drain_timeout = 300ms}, per_shard<Worker>(std::ref(watch)));
  auto clients = connect_many(server.port(), 6);
  const char* const methods[] = {"forever", "offload_forever", "endless"};
  for (std::size_t i = 0; i < clients.size(); ++i) clients[i]->start(methods[i % 3]);
  eventually([&] { return watch.waiting == 6; }, "the calls");
  server->close();
  CHECK(server->stats().total.drains_cut_off == 6);
  CHECK(watch.disconnects == 6);
  CHECK(watch.ended == 4);
  // They were told all the same.
  for (std::size_t i = 0; i < 2; ++i) CHECK(clients[i]->peer().read_close().code == 1001);
}

TEST_CASE("a second close hurries the first") {
  Watch watch;
  ServerFixture server({.shards = 2, .drain_timeout = 1h}, per_shard<Worker>(std::ref(watch)));
  auto clients = connect_many(server.port(), 4);
  for (auto& client : clients) client->start("forever");
  eventually([&] { return watch.waiting == 4; }, "the calls");
  std::thread first([&] { server->close(); });
  eventually([&] { return server->state() == ServerState::draining; }, "the drain");
  server->close();
  first.join();
  CHECK(watch.disconnects == 4);
  CHECK(watch.ended == 4);
  for (auto& client : clients) CHECK(client->peer().read_close().code == 1001);
}

TEST_CASE("no time at all: everything goes at once") {
  Watch watch;
  ServerFixture server({.shards = 1, .drain_timeout = 0ms}, per_shard<Worker>(std::ref(watch)));
  auto clients = connect_many(server.port(), 3);
  for (auto& client : clients) client->start("forever");
  eventually([&] { return watch.waiting == 3; }, "the calls");
  server->close();
  CHECK(watch.disconnects == 3);
  // Nobody waited for their answer, but they were told.
  for (auto& client : clients) CHECK(client->peer().read_close().code == 1001);
}

TEST_CASE("a server that is destroyed closes") {
  Watch watch;
  auto server =
      std::make_unique<Server>(webshocket::Config{.shards = 2}, per_shard<Worker>(std::ref(watch)));
  server->start();
  auto clients = connect_many(server->port(), 4);
  eventually([&] { return watch.connects == 4; }, "the clients");
  std::thread other([&] { server.reset(); });
  for (auto& client : clients) {
    CHECK(client->peer().read_close().code == 1001);
    client->peer().send(webshocket::test::close_frame(1001));
  }
  other.join();
  CHECK(watch.disconnects == 4);
  CHECK(watch.stopped == 2);
}

TEST_CASE("connecting while it closes: served, or hung up on, but never forgotten") {
  for (int round = 0; round < 10; ++round) {
    Watch watch;
    ServerFixture server({.shards = 2}, per_shard<Worker>(std::ref(watch)));
    const std::uint16_t port = server.port();
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        while (!stop) {
          try {
            RawPeer peer(port);
            peer.upgrade();
            CHECK(peer.read_close().code == 1001);
            peer.send(webshocket::test::close_frame(1001));
            peer.read_end();
          } catch (const webshocket::test::PeerError&) {  // hung up on, which is right
          }
        }
      });
    }
    eventually([&] { return watch.connects >= 3; }, "clients");
    server->close();
    stop = true;
    for (std::thread& thread : threads) thread.join();
    CHECK(watch.connects == watch.disconnects);
    CHECK(server->client_count() == 0);
  }
}

TEST_CASE("SIGTERM and SIGINT end a program in order") {
  for (const int number : {SIGTERM, SIGINT}) {
    CAPTURE(number);
    ServerProcess process(WEBSHOCKET_BIN_DIR "/conformance_server", {"--port", "0"});
    WsClient client(process.port());
    const std::string call = client.start("sleep", "[100]");
    CHECK(client.call("echo", "[1]") == "1");
    process.signal(number);
    CHECK(client.answer(call) == "\"slept\"");
    CHECK(client.peer().read_close().code == 1001);
    client.peer().send(webshocket::test::close_frame(1001));
    CHECK(process.wait() == 0);
  }
}

TEST_CASE("a second signal hurries") {
  ServerProcess process(WEBSHOCKET_BIN_DIR "/conformance_server",
                        {"--port", "0", "--drain-timeout", "3600000"});
  WsClient busy(process.port());
  WsClient idle(process.port());
  busy.start("sleep", "[3600000]");
  CHECK(busy.call("echo", "[1]") == "1");
  process.signal(SIGTERM);
  CHECK(idle.peer().read_close().code == 1001);
  process.signal(SIGTERM);
  CHECK(process.wait() == 0);
}
