// Coroutines at work: gather, offload, timers, background, and the limits of calls in flight.

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Connection;
using webshocket::Handler;
using webshocket::per_shard;
using webshocket::Task;
using webshocket::test::connect_many;
using webshocket::test::eventually;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;
using namespace std::chrono_literals;

namespace {

/// Calls wait in it until it opens; many at once, without a thread each.
struct Gate {
  std::atomic<bool> open{false};
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
};

class Worker : public Handler {
 public:
  explicit Worker(Gate& gate) : gate_(gate) {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
    rpc("shard", [this] { return shard(); });
    rpc("numbers", &Worker::numbers);
    rpc("clients", &Worker::count_all);
    rpc("one_fails", &Worker::one_fails);
    rpc("wait", &Worker::wait);
    rpc("work", &Worker::work).params("n");
    rpc("work_fails", &Worker::work_fails);
    rpc("quick_forever", &Worker::quick_forever);
  }

 private:
  Task<std::vector<std::size_t>> numbers(Connection&) {
    co_return co_await gather(&Worker::number, std::size_t{100});
  }
  std::size_t number(std::size_t base) const {
    CHECK(here_ == std::this_thread::get_id());
    return base + shard();
  }
  Task<std::size_t> count_all(Connection&) {
    const auto counts = co_await gather(&Worker::count);
    co_return std::accumulate(counts.begin(), counts.end(), std::size_t{0});
  }
  std::size_t count() { return clients().size(); }
  Task<int> one_fails(Connection&) {
    co_await gather(&Worker::fail_on_last);
    co_return 0;
  }
  int fail_on_last() {
    if (shard() + 1 == shard_count()) throw webshocket::RpcError("the last one failed");
    return 1;
  }
  Task<int> wait(Connection&) {
    const int now = ++gate_.inside;
    int most = gate_.most;
    while (most < now && !gate_.most.compare_exchange_weak(most, now)) {
    }
    while (!gate_.open) co_await webshocket::sleep_for(1ms);
    --gate_.inside;
    co_return 1;
  }
  Task<std::int64_t> work(Connection&, std::int64_t n) {
    const auto loop = std::this_thread::get_id();
    auto job = [&] {
      CHECK(std::this_thread::get_id() != loop);
      return n * n;
    };
    const auto result = co_await webshocket::offload(job);
    CHECK(std::this_thread::get_id() == loop);
    co_return result;
  }
  Task<int> work_fails(Connection&) {
    auto job = []() -> int { throw webshocket::RpcError("in the pool"); };
    co_return co_await webshocket::offload(job);
  }
  Task<int> quick_forever(Connection&) {
    for (;;) co_await webshocket::sleep_for(0ms);
  }

  Gate& gate_;
  std::thread::id here_ = std::this_thread::get_id();
};

}  // namespace

TEST_CASE("gather asks every shard, on its own thread, and keeps their order") {
  Gate gate;
  ServerFixture server({.shards = 4}, per_shard<Worker>(std::ref(gate)));
  auto clients = connect_many(server.port(), 16);
  std::set<std::string> shards;
  for (auto& client : clients) {
    shards.insert(client->call("shard"));
    CHECK(client->call("numbers") == "[100,101,102,103]");
    CHECK(client->call("clients") == "16");
    CHECK(client->call("one_fails") == "-32001 the last one failed");
  }
  CHECK(shards.size() > 1);
  // All at once, from every shard to every other.
  std::vector<std::string> calls;
  for (int round = 0; round < 50; ++round) {
    calls.clear();
    for (auto& client : clients) calls.push_back(client->start("clients"));
    for (std::size_t i = 0; i < clients.size(); ++i) CHECK(clients[i]->answer(calls[i]) == "16");
  }
}

TEST_CASE("offload gives results and exceptions back on the shard") {
  Gate gate;
  ServerFixture server({.shards = 2, .offload_threads = 3}, per_shard<Worker>(std::ref(gate)));
  auto clients = connect_many(server.port(), 6);
  std::vector<std::vector<std::string>> calls(clients.size());
  for (int i = 0; i < 200; ++i) {
    for (std::size_t c = 0; c < clients.size(); ++c) {
      calls[c].push_back(clients[c]->start("work", "[" + std::to_string(i) + "]"));
    }
  }
  for (std::size_t c = 0; c < clients.size(); ++c) {
    for (int i = 0; i < 200; ++i) {
      CHECK(clients[c]->answer(calls[c][static_cast<std::size_t>(i)]) == std::to_string(i * i));
    }
    CHECK(clients[c]->call("work_fails") == "-32001 in the pool");
  }
}

TEST_CASE("clients that leave while their work is in the pool") {
  Gate gate;
  ServerFixture server({.shards = 2, .offload_threads = 2}, per_shard<Worker>(std::ref(gate)));
  for (int round = 0; round < 30; ++round) {
    WsClient client(server.port());
    for (int i = 0; i < 20; ++i) client.start("work", "[3]");
    client.start("clients");
    client.start("quick_forever");
    client.start("wait");
    client.peer().reset();
  }
  eventually(
      [&] { return server->stats().total.calls_in_flight == 0 && server->client_count() == 0; },
      "all calls and connections to end");
  CHECK(WsClient(server.port()).call("echo", "[1]") == "1");
}

TEST_CASE("calls beyond rpc_task_limit wait, and are answered later; other clients do not wait") {
  Gate gate;
  ServerFixture server({.shards = 1, .rpc_task_limit = 5}, per_shard<Worker>(std::ref(gate)));
  WsClient busy(server.port());
  std::vector<std::string> calls;
  for (int i = 0; i < 20; ++i) calls.push_back(busy.start("wait"));
  const std::string last = busy.start("echo", "[9]");
  eventually([&] { return gate.inside == 5; }, "five calls");
  WsClient other(server.port());
  for (int i = 0; i < 20; ++i) CHECK(other.call("echo", "[1]") == "1");
  CHECK(gate.inside == 5);
  CHECK(server->stats().total.calls_in_flight == 5);
  CHECK(server->stats().total.parked_bytes > 0);
  CHECK_FALSE(busy.has_response(last));
  gate.open = true;
  for (const std::string& call : calls) CHECK(busy.answer(call) == "1");
  CHECK(busy.answer(last) == "9");
  CHECK(gate.most == 5);
  eventually([&] { return server->stats().total.parked_bytes == 0; }, "nothing to be parked");
}

TEST_CASE("the limit per shard holds over all connections, and starves none") {
  Gate gate;
  ServerFixture server({.shards = 1, .rpc_task_limit_per_shard = 6},
                       per_shard<Worker>(std::ref(gate)));
  auto clients = connect_many(server.port(), 4);
  std::vector<std::vector<std::string>> calls(4);
  for (int i = 0; i < 5; ++i) {
    for (std::size_t c = 0; c < 4; ++c) calls[c].push_back(clients[c]->start("wait"));
  }
  eventually([&] { return gate.inside == 6; }, "six calls");
  eventually([&] { return server->stats().total.messages_received == 20; }, "all to arrive");
  CHECK(gate.inside == 6);
  gate.open = true;
  for (std::size_t c = 0; c < 4; ++c) {
    for (const std::string& call : calls[c]) CHECK(clients[c]->answer(call) == "1");
  }
  CHECK(gate.most == 6);
}

TEST_CASE("the last word behind calls has its turn, at the limit per shard too") {
  Gate gate;
  ServerFixture server({.shards = 1, .rpc_task_limit_per_shard = 1},
                       per_shard<Worker>(std::ref(gate)));
  // Takes the place of whoever has ended, now and then.
  const std::jthread other([&](const std::stop_token& stop) {
    WsClient client(server.port());
    while (!stop.stop_requested()) CHECK(client.call("work", "[3]") == "9");
  });
  for (int round = 0; round < 50; ++round) {
    auto clients = connect_many(server.port(), 8);
    for (auto& client : clients) {
      for (int i = 0; i < 3; ++i) client->start("work", "[3]");
      client->peer().send(webshocket::test::close_frame(1000));
    }
    for (auto& client : clients) {
      auto frame = client->peer().read_frame();
      while (frame.opcode != webshocket::test::kClose) frame = client->peer().read_frame();
    }
  }
}

TEST_CASE("a client that leaves makes room for the calls of others") {
  Gate gate;
  ServerFixture server({.shards = 1, .rpc_task_limit_per_shard = 3},
                       per_shard<Worker>(std::ref(gate)));
  WsClient hog(server.port());
  for (int i = 0; i < 10; ++i) hog.start("wait");
  eventually([&] { return gate.inside == 3; }, "three calls");
  WsClient other(server.port());
  const std::string call = other.start("echo", "[1]");
  eventually([&] { return server->stats().total.messages_received == 11; }, "it to arrive");
  hog.peer().reset();
  CHECK(other.answer(call) == "1");
}

namespace {

class Background : public Handler {
 public:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    int ticks = 0;
    int slow_ticks = 0;
    int ended = 0;
    bool stopped_after_end = true;
  };

  explicit Background(Shared& shared) : shared_(shared) {
    rpc("order", &Background::order);
    rpc("spawn_fails", [this] { spawn(fail()); });
    rpc("defer_fails", [this] { defer([] { throw std::runtime_error("deferred"); }); });
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
  }
  void on_start() override {
    handle_ = every(1ms, [this] {
      note(shared_.ticks);
      if (++mine_ == 5) handle_.cancel();
    });
    every(1ms, [this] {
      note(shared_.slow_ticks);
      throw std::runtime_error("tick");
    });
    spawn(run());
  }
  void on_stop() override {}

 private:
  struct Ending {
    explicit Ending(Background& owner) : self(owner) {}
    ~Ending() { self.note(self.shared_.ended); }
    Background& self;
  };
  void note(int& counter) {
    const std::scoped_lock lock(shared_.mutex);
    ++counter;
    shared_.changed.notify_all();
  }
  Task<void> run() {
    const Ending ending(*this);
    for (;;) co_await webshocket::sleep_for(1h);
  }
  Task<void> fail() {
    co_await webshocket::sleep_for(0ms);
    throw std::runtime_error("spawned");
  }
  std::string order(Connection& connection) {
    defer([&connection] {
      connection.send("deferred 1");
      connection.send("deferred 2");
    });
    connection.send("first");
    return "reply";
  }

  Shared& shared_;
  webshocket::TimerHandle handle_;
  int mine_ = 0;
};

}  // namespace

TEST_CASE("every ticks until it is cancelled, also when it throws; what was spawned ends in stop") {
  Background::Shared shared;
  ServerFixture server({.shards = 2}, per_shard<Background>(std::ref(shared)));
  {
    std::unique_lock lock(shared.mutex);
    CHECK(shared.changed.wait_for(lock, 20s, [&] { return shared.ticks == 10; }));
    const int then = shared.slow_ticks;
    CHECK(shared.changed.wait_for(lock, 20s, [&] { return shared.slow_ticks > then + 50; }));
    CHECK(shared.ticks == 10);
    CHECK(shared.ended == 0);
  }
  CHECK(server->stats().total.handler_errors > 10);
  server->close();
  CHECK(shared.ended == 2);
  const int after = shared.slow_ticks;
  CHECK(shared.slow_ticks == after);
}

TEST_CASE("deferred work comes after the event; what fails in the background harms nobody") {
  Background::Shared shared;
  ServerFixture server({.shards = 1}, per_shard<Background>(std::ref(shared)));
  WsClient client(server.port());
  CHECK(client.call("order") == "\"reply\"");
  CHECK(client.event() == "4 \"first\"");
  CHECK(client.event() == "4 \"deferred 1\"");
  CHECK(client.event() == "4 \"deferred 2\"");
  CHECK(client.call("spawn_fails") == "null");
  CHECK(client.call("defer_fails") == "null");
  CHECK(client.call("echo", "[1]") == "1");
}
