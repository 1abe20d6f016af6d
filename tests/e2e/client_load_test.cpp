// One client with much to do, and many clients on one loop.

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <webshocket/client.hpp>
#include <webshocket/error.hpp>

#include "tests/support/own_process.hpp"
#include "tests/support/sanitized.hpp"
#include "tests/support/server_fixture.hpp"

using webshocket::Client;
using webshocket::ClientConfig;
using webshocket::ClientLoop;
using webshocket::Connection;
using webshocket::Format;
using webshocket::Handler;
using webshocket::per_shard;
using webshocket::Stream;
using webshocket::Task;
using webshocket::test::ServerFixture;
using namespace std::chrono_literals;
using webshocket::test::kSanitized;

namespace {

/// Keeps calls until so many have come, then answers all of them.
class Meeting : public Handler {
 public:
  explicit Meeting(std::size_t size) : size_(size) {
    rpc("meet", &Meeting::meet).params("x");
    rpc("count", &Meeting::count).params("n");
    rpc("add", [](int a, int b) { return a + b; }).params("a", "b");
  }

 private:
  Task<int> meet(Connection&, int x) {
    ++here_;
    while (here_ < size_) co_await webshocket::sleep_for(1ms);
    co_return x;
  }
  Stream<int> count(Connection&, int n) {
    for (int i = 0; i < n; ++i) co_yield i;
  }

  std::size_t size_;
  std::size_t here_ = 0;
};

}  // namespace

TEST_CASE("a thousand concurrent calls and ten streams on one client, from eight threads") {
  constexpr int kThreads = 8;
  constexpr int kCallsPerThread = 125;
  constexpr int kChunks = 5'000;
  for (const Format format : {Format::msgpack, Format::json}) {
    const ServerFixture server({.shards = 2}, per_shard<Meeting>(std::size_t{1000}));
    Client client(server.uri(), {.format = format});
    client.connect();
    std::atomic<int> right{0};
    std::atomic<std::int64_t> chunks{0};
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        // The server answers the first only when the last has come: all of them are in flight.
        std::vector<std::future<int>> answers;
        for (int i = 0; i < kCallsPerThread; ++i) {
          const int x = thread * kCallsPerThread + i;
          answers.push_back(client.loop().spawn(client.call_async<int>("meet", x)));
        }
        const auto read_stream = [&] {
          int expected = 0;
          for (const int n : client.stream<int>("count", kChunks))
            chunks += n == expected++ ? 1 : 0;
        };
        read_stream();
        if (thread < 2) read_stream();
        for (int i = 0; i < kCallsPerThread; ++i) {
          right += answers[static_cast<std::size_t>(i)].get() == thread * kCallsPerThread + i;
        }
        for (int i = 0; i < 100; ++i) right += client.call<int>("add", i, thread) == i + thread;
      });
    }
    for (auto& thread : threads) thread.join();
    CHECK(right == kThreads * (kCallsPerThread + 100));
    CHECK(chunks == std::int64_t{kChunks} * 10);
    CHECK(client.stats().calls_in_flight == 0);
    CHECK(client.stats().answers_unwanted == 0);
  }
}

TEST_CASE("a thousand blocking calls at once, each on a thread of its own") {
  constexpr int kCalls = kSanitized ? 200 : 1000;
  const ServerFixture server({.shards = 1}, per_shard<Meeting>(std::size_t{kCalls}));
  Client client(server.uri());
  client.connect();
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  threads.reserve(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    threads.emplace_back([&, i] { right += client.call<int>("meet", i) == i; });
  }
  for (auto& thread : threads) thread.join();
  CHECK(right == kCalls);
}

TEST_CASE("ten streams read by turns on one loop") {
  const ServerFixture server({.shards = 2}, per_shard<Meeting>(std::size_t{1}));
  const ClientLoop loop;
  Client client(server.uri(), {.packet_queue_size = 16}, loop);
  const auto sum = [](Client& of, int n) -> Task<std::int64_t> {
    auto stream = of.stream_async<int>("count", n);
    std::int64_t total = 0;
    while (const int* x = co_await stream.next()) total += *x;
    co_return total;
  };
  loop.run(client.connect_async());
  std::vector<std::future<std::int64_t>> sums;
  for (int i = 0; i < 10; ++i) sums.push_back(loop.spawn(sum(client, 10'000)));
  for (auto& each : sums) CHECK(each.get() == 49'995'000);
}

TEST_CASE("many clients on one loop: opened, each calls once, closed; everything is given back") {
  constexpr std::size_t kClients = kSanitized ? 300 : 3000;
  ServerFixture server({.shards = 2}, per_shard<Meeting>(std::size_t{1}));
  const std::size_t threads = webshocket::test::thread_count();
  const std::size_t descriptors = webshocket::test::descriptor_count();
  {
    const ClientLoop loop;
    const auto config =
        std::make_shared<const ClientConfig>(ClientConfig{.local_address = "127.0.0.2"});
    std::vector<std::unique_ptr<Client>> clients;
    std::vector<std::future<void>> opened;
    for (std::size_t i = 0; i < kClients; ++i) {
      clients.push_back(std::make_unique<Client>(server.uri(), config, loop));
      opened.push_back(loop.spawn(clients.back()->connect_async()));
    }
    for (auto& each : opened) each.get();
    CHECK(server->client_count() == kClients);
    std::vector<std::future<int>> answers;
    for (std::size_t i = 0; i < kClients; ++i) {
      answers.push_back(loop.spawn(clients[i]->call_async<int>("add", static_cast<int>(i), 1)));
    }
    for (std::size_t i = 0; i < kClients; ++i) CHECK(answers[i].get() == static_cast<int>(i) + 1);
    // Half of them in order, the others by the end of their objects.
    std::vector<std::future<void>> closed;
    for (std::size_t i = 0; i < kClients / 2; ++i) {
      closed.push_back(loop.spawn(clients[i]->close_async()));
    }
    for (auto& each : closed) each.get();
  }
  webshocket::test::eventually([&] { return server->client_count() == 0; }, "all to leave");
  webshocket::test::eventually([&] { return webshocket::test::descriptor_count() == descriptors; },
                               "the descriptors");
  CHECK(webshocket::test::thread_count() == threads);
}
