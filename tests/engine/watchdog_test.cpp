#include "engine/watchdog.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Config;
using webshocket::Connection;
using webshocket::Handler;
using webshocket::LogLevel;
using webshocket::Packet;
using webshocket::per_shard;
using webshocket::Task;
using webshocket::test::eventually;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;
using namespace std::chrono_literals;

namespace {

constexpr int kTries = 20;

/// What a server says, from any thread.
class Log {
 public:
  void operator()(LogLevel level, std::string_view text) {
    const std::scoped_lock lock(mutex_);
    if (level == LogLevel::warning) lines_.emplace_back(text);
  }
  std::ptrdiff_t count(std::string_view beginning) const {
    const std::scoped_lock lock(mutex_);
    return std::ranges::count_if(
        lines_, [&](const std::string& line) { return line.starts_with(beginning); });
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

/// Blocks the thread that passes it, for as long as it is shut.
class Gate {
 public:
  void shut() { is_shut_ = true; }
  /// Returns when nobody is in it any more: it may be shut again.
  void open() {
    is_shut_ = false;
    while (inside_ != 0) std::this_thread::yield();
  }
  void pass() {
    ++inside_;
    while (is_shut_) std::this_thread::yield();
    --inside_;
  }

 private:
  std::atomic<bool> is_shut_{false};
  std::atomic<int> inside_{0};
};

/// A test that fails is not to leave the shard in front of it.
struct OpenAtTheEnd {
  explicit OpenAtTheEnd(Gate& shut) noexcept : gate(shut) {}
  ~OpenAtTheEnd() { gate.open(); }
  OpenAtTheEnd(const OpenAtTheEnd&) = delete;
  OpenAtTheEnd& operator=(const OpenAtTheEnd&) = delete;

  Gate& gate;
};

class Blocking : public Handler {
 public:
  explicit Blocking(Gate& gate) : gate_(gate) {
    rpc("crunch", [&gate] { gate.pass(); });
    rpc("crunch for", [](int milliseconds) {
      const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
      while (std::chrono::steady_clock::now() < until) {
      }
    });
    rpc("nap and crunch", [&gate](Connection&) -> Task<int> {
      co_await webshocket::sleep_for(1ms);
      gate.pass();
      co_return 1;
    });
    rpc("defer", [this] { defer([this] { gate_.pass(); }); });
    rpc("every", [this] {
      beat_.cancel();
      beat_ = every(1ms, [this] { gate_.pass(); });
    });
    rpc("still", [this] { beat_.cancel(); });
    rpc("spawn", [this] { spawn(crunch_later()); });
    rpc("post", [this](Connection& connection) {
      connection.peer().post([this](Connection&) { gate_.pass(); });
    });
  }
  webshocket::Upgrade on_upgrade(const webshocket::UpgradeRequest& request) override {
    if (request.path == "/slow") gate_.pass();
    return webshocket::Upgrade::accept();
  }
  void on_receive(Connection&, const Packet&) override { gate_.pass(); }
  void on_disconnect(Connection&) override { gate_.pass(); }

 private:
  Task<void> crunch_later() {
    co_await webshocket::sleep_for(1ms);
    gate_.pass();
  }

  Gate& gate_;
  webshocket::TimerHandle beat_;
};

}  // namespace

TEST_CASE("a handler that blocks is named while it does, and told of when it has ended") {
  Log log;
  Gate gate;
  Config config{.shards = 1, .slow_callback_threshold = 20ms};
  config.log = std::ref(log);
  ServerFixture server(std::move(config), per_shard<Blocking>(std::ref(gate)),
                       [&](webshocket::Server& made) {
                         made.on_http("GET", "/page", [&](const auto&) {
                           gate.pass();
                           return webshocket::HttpResponse();
                         });
                       });
  WsClient client(server.port());
  const OpenAtTheEnd opener(gate);
  const auto is_named = [&](const std::function<void()>& block, const std::string& what) {
    CAPTURE(what);
    const std::string any = "shard 0 is blocked by ";
    const std::string line = any + what + ", for ";
    const auto before = log.count(line);
    const auto slow = server->stats().total.slow_callbacks;
    // On a busy machine another turn may be slow, too; and each is told of once, which may be
    // before it has come to the handler.
    for (int tries = 0; tries < kTries && log.count(line) == before; ++tries) {
      const auto told = log.count(any);
      const auto ends = log.count("shard 0 goes on");
      gate.shut();
      block();
      eventually([&] { return log.count(any) > told; }, what);
      gate.open();
      eventually([&] { return log.count("shard 0 goes on") > ends; }, "the end of " + what);
    }
    CHECK(log.count(line) == before + 1);
    eventually([&] { return server->stats().total.slow_callbacks > slow; }, "it to be counted");
  };
  is_named([&] { client.start("crunch"); }, "RPC method 'crunch'");
  is_named([&] { client.start("nap and crunch"); }, "RPC method 'nap and crunch'");
  is_named([&] { client.start("defer"); }, "a deferred function");
  is_named([&] { client.start("post"); }, "a posted function");
  is_named([&] { client.start("spawn"); }, "a task");
  is_named([&] { client.start("every"); }, "a timer's function");
  CHECK(client.call("still") == "null");
  is_named([&] { client.send("1"); }, "on_receive");
  RawPeer page(server.port());
  is_named([&] { page.send("GET /page HTTP/1.1\r\nHost: x\r\n\r\n"); }, "an HTTP handler");
  std::vector<RawPeer> upgrades;
  is_named(
      [&] {
        upgrades.emplace_back(server.port());
        upgrades.back().send(webshocket::test::upgrade_request({.path = "/slow"}));
      },
      "on_upgrade");
  // Before the gate is shut, or they might not come in.
  auto leaving = webshocket::test::connect_many(server.port(), kTries);
  is_named(
      [&] {
        leaving.back()->peer().reset();
        leaving.pop_back();
      },
      "on_disconnect");
}

TEST_CASE("without a threshold nobody looks, but the turns are counted") {
  Log log;
  Gate gate;
  Config config{.shards = 1, .slow_callback_threshold = 0ms};
  config.log = std::ref(log);
  ServerFixture server(std::move(config), per_shard<Blocking>(std::ref(gate)));
  WsClient client(server.port());
  const auto turns = [&](std::ptrdiff_t first) {
    const auto all = server->stats().shards[0].turns;
    return std::accumulate(all.begin() + first, all.end(), std::uint64_t{0});
  };
  const auto before = turns(0);
  CHECK(client.call("crunch") == "null");
  eventually([&] { return turns(0) > before; }, "a turn");
  constexpr auto kLong = static_cast<std::ptrdiff_t>(std::bit_width(20'000U));
  const auto long_before = turns(kLong);
  CHECK(client.call("crunch for", "[20]") == "null");
  eventually([&] { return turns(kLong) > long_before; }, "a turn of 20 ms");
  CHECK(server->stats().total.slow_callbacks == 0);
  server->close();
  CHECK(log.count("shard") == 0);
}
