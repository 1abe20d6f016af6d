// Many clients, and a server that is replaced under them. WEBSHOCKET_RESTART_CLIENTS says how many.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <future>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <webshocket/client.hpp>
#include <webshocket/error.hpp>

#include "engine/listening.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/server_process.hpp"

using webshocket::Client;
using webshocket::ClientConfig;
using webshocket::ClientLoop;
using webshocket::ConnectionClosedError;
using webshocket::Listener;
using webshocket::LogLevel;
using webshocket::Retry;
using webshocket::Task;
using webshocket::engine::Listening;
using webshocket::test::eventually;
using webshocket::test::ServerProcess;
using namespace std::chrono_literals;

namespace {

std::size_t wanted_clients() {
  const char* text = std::getenv("WEBSHOCKET_RESTART_CLIENTS");
  return text == nullptr ? 300 : static_cast<std::size_t>(std::atol(text));
}

void allow_descriptors(std::size_t wanted) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, std::max<rlim_t>(limit.rlim_cur, wanted));
  ::setrlimit(RLIMIT_NOFILE, &limit);
  REQUIRE(limit.rlim_cur >= wanted);
}

struct Tally {
  std::atomic<std::size_t> connects{0};
  std::atomic<std::size_t> begun{0};
  std::atomic<std::size_t> answered{0};
  std::atomic<std::size_t> cut{0};    ///< the connection was closed before the answer
  std::atomic<std::size_t> wrong{0};  ///< anything else
  std::atomic<std::size_t> refused{0};
  std::atomic<bool> stop{false};
};

/// Always one call in flight. Every other one takes `nap` milliseconds.
Task<void> call_on_and_on(Client& client, std::size_t nap, Tally& tally) {
  for (int i = 0; !tally.stop; ++i) {
    ++tally.begun;
    bool was_cut = false;
    try {
      if (i % 2 == 0) {
        const auto answer = co_await client.call_async<std::string>({.timeout = 24h}, "sleep", nap);
        ++(answer == "slept" ? tally.answered : tally.wrong);
      } else {
        const int sum = co_await client.call_async<int>({.timeout = 24h}, "add", i, 1);
        ++(sum == i + 1 ? tally.answered : tally.wrong);
      }
    } catch (const ConnectionClosedError&) {
      was_cut = true;
    } catch (...) {
      ++tally.wrong;
    }
    if (!was_cut) continue;
    ++tally.cut;
    try {
      co_await client.wait_connected_async(24h);
    } catch (const ConnectionClosedError&) {
      break;  // it does not come back
    }
  }
}

}  // namespace

TEST_CASE("a restart on a passed socket: nobody is refused, and everybody is back") {
  const std::size_t count = wanted_clients();
  allow_descriptors(count + 100);
  const Listening launcher(Listener{}, {});
  // For the server to inherit.
  const int passed = ::fcntl(launcher.fd(), F_DUPFD, 0);
  const auto start = [&] {
    return std::make_unique<ServerProcess>(
        WEBSHOCKET_BIN_DIR "/conformance_server",
        std::vector<std::string>{"--port", "0", "--shards", "2", "--listen-fd",
                                 std::to_string(passed), "--reconnect-hint", "200"});
  };
  auto server = start();
  CHECK(server->port() == launcher.port());

  Tally tally;
  ClientConfig config;
  config.connect_timeout = 60s;
  config.reconnect = Retry{.attempts = 0, .interval = 50ms, .max_interval = 200ms, .jitter = 50ms};
  config.on_connect = [&tally](Client&) -> Task<void> {
    ++tally.connects;
    return {};
  };
  config.log = [&tally](LogLevel, std::string_view text) {
    if (text.find("refused") != std::string_view::npos) ++tally.refused;
  };
  const ClientLoop loop;
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<std::future<void>> callers;
  const std::string uri = "ws://127.0.0.1:" + std::to_string(launcher.port());
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<Client>(uri, config, loop));
    callers.push_back(loop.spawn(clients.back()->connect_async()));
  }
  for (auto& caller : callers) caller.get();
  callers.clear();
  // The more clients, the rarer their calls: it is their number that counts here.
  const std::size_t nap = std::max<std::size_t>(50, count / 2);
  for (auto& client : clients) callers.push_back(loop.spawn(call_on_and_on(*client, nap, tally)));

  constexpr std::size_t kRestarts = 3;
  for (std::size_t restart = 1; restart <= kRestarts; ++restart) {
    const std::size_t answered = tally.answered;
    eventually([&] { return tally.answered >= answered + count; }, "calls");
    const auto began = std::chrono::steady_clock::now();
    server->signal(SIGTERM);
    // The next one serves while the last one still answers what it has taken on.
    auto next = start();
    CHECK(server->wait() == 0);
    server = std::move(next);
    eventually([&] { return tally.connects >= count * (restart + 1); }, "everybody to be back");
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - began);
    std::cout << count << " clients were back after " << took.count() << " ms\n";
  }

  const std::size_t answered = tally.answered;
  eventually([&] { return tally.answered >= answered + count; }, "calls");
  tally.stop = true;
  for (auto& caller : callers) caller.get();
  CHECK(tally.refused == 0);
  CHECK(tally.wrong == 0);
  CHECK(tally.begun == tally.answered + tally.cut);
  for (auto& client : clients) client->close();
  CHECK(server->terminate() == 0);
  ::close(passed);
}
