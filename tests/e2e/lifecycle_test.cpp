// A server leaves nothing behind, however often.

#include <doctest/doctest.h>
#include <malloc.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/own_process.hpp"
#include "tests/support/sanitized.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Handler;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::test::connect_many;
using webshocket::test::descriptor_count;
using webshocket::test::Dialect;
using webshocket::test::eventually;
using webshocket::test::kSanitized;
using webshocket::test::resident_bytes;
using webshocket::test::ServerFixture;
using webshocket::test::thread_count;
using webshocket::test::WsClient;

namespace {

constexpr int kWarmUp = 50;
constexpr int kCycles = kSanitized ? 150 : 1'000;

class Echo : public Handler {
 public:
  Echo() {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
    rpc("later", &Echo::later);
    rpc("join", [](webshocket::Connection& c, std::string name) { return c.subscribe(name); });
  }
  void on_start() override {
    every(std::chrono::hours(1), [] {});
  }

 private:
  webshocket::Task<int> later(webshocket::Connection&) {
    auto work = [] { return 1; };
    co_return co_await webshocket::offload(work);
  }
};

void cycle(int number) {
  Server server({.shards = 2}, per_shard<Echo>());
  server.start();
  WsClient client(server.port(), number % 2 == 0 ? Dialect::msgpack : Dialect::json);
  REQUIRE(client.call("echo", "[1]") == "1");
  if (number % 4 == 0) REQUIRE(client.call("later") == "1");
  // Half of them leave first, the others are closed by the server.
  if (number % 3 == 0) client.close();
  client.peer().reset();
  server.close();
}

/// What the allocator keeps for later is not counted.
std::size_t memory() {
  ::malloc_trim(0);
  return resident_bytes();
}

}  // namespace

TEST_CASE("a thousand starts and stops leave no thread, no descriptor, no memory") {
  // With the first thread the thread sanitizer starts one of its own.
  std::thread([] {}).join();
  const std::size_t threads = thread_count();
  for (int i = 0; i < kWarmUp; ++i) cycle(i);
  eventually([&] { return thread_count() <= threads; }, "the threads to be gone");
  const std::size_t descriptors = descriptor_count();
  const std::size_t resident = memory();
  for (int i = kWarmUp; i < kCycles; ++i) {
    cycle(i);
    // A thread that was joined may be seen for a moment still.
    eventually([&] { return thread_count() <= threads; }, "the threads to be gone");
    REQUIRE(descriptor_count() == descriptors);
  }
  if (kSanitized) return;
  // A page that leaked per cycle would be twice of it.
  constexpr std::size_t kTolerance = 2 * 1024 * 1024;
  CHECK(memory() < resident + kTolerance);
}

TEST_CASE("what a flood of output has taken goes back to the system when it is over") {
  if (kSanitized) return;  // its allocator keeps what is freed
  constexpr std::size_t kSize = 60'000;
  constexpr int kMessages = 1'200;
  constexpr std::size_t kFlood = 48 * 1024 * 1024;
  // No timer but the one for this wakes the shard.
  ServerFixture server({.shards = 1,
                        .handshake_timeout = std::chrono::hours(1),
                        .ping_interval = std::chrono::seconds(0),
                        .write_timeout = std::chrono::seconds(0),
                        .outbox_limit = 0,
                        .outbox_total_limit = 0,
                        .inbox_limit = 0,
                        .memory_limit = 0},
                       per_shard<Echo>());
  auto slow = connect_many(server.port(), 3, std::array{Dialect::msgpack});
  for (auto& client : slow) REQUIRE(client->call("join", R"(["room"])") == "true");
  const std::size_t before = memory();

  const std::string text(kSize, 'x');
  for (int i = 0; i < kMessages; ++i) REQUIRE(server->publish("room", text));
  eventually([&] { return server->stats().total.outbox_bytes >= kFlood; }, "full outboxes");
  REQUIRE(resident_bytes() >= before + kFlood);
  // The allocator gives back by itself what lies at its end: something else is to lie there, and in
  // the gaps that the first messages have left.
  std::vector<std::unique_ptr<char[]>> behind_all(200);
  for (auto& piece : behind_all) piece = std::make_unique_for_overwrite<char[]>(kSize);

  slow.clear();
  eventually([&] { return server->stats().total.outbox_bytes == 0; }, "empty outboxes");
  eventually([&] { return resident_bytes() < before + kFlood / 3; }, "the memory to go back");
}
