// A server that dies in the middle of traffic, and comes back.

#include <csignal>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <webshocket/client.hpp>
#include <webshocket/error.hpp>

#include "tests/support/server_process.hpp"

using webshocket::Client;
using webshocket::ClientConfig;
using webshocket::ClientLoop;
using webshocket::CloseCode;
using webshocket::ConnectionClosedError;
using webshocket::Format;
using webshocket::Retry;
using webshocket::Task;
using webshocket::test::ServerProcess;
using namespace std::chrono_literals;

namespace {

constexpr const char* kServer = WEBSHOCKET_BIN_DIR "/conformance_server";
constexpr int kRestarts = 20;

std::unique_ptr<ServerProcess> start_server(std::uint16_t port) {
  return std::make_unique<ServerProcess>(
      kServer, std::vector<std::string>{"--port", std::to_string(port), "--shards", "2"});
}

/// Every call ends in exactly one of these.
struct Tally {
  std::atomic<int> begun{0};
  std::atomic<int> answered{0};
  std::atomic<int> cut{0};

  bool adds_up() const { return begun == answered + cut; }
};

/// Until told to stop: calls, without a timeout that could end them.
void call_again_and_again(Client& client, const std::atomic<bool>& stop, Tally& tally) {
  constexpr auto kNever = std::chrono::hours(24);
  for (int i = 0; !stop; ++i) {
    ++tally.begun;
    try {
      if (client.call<int>({.timeout = kNever}, "add", i, 1) == i + 1) ++tally.answered;
    } catch (const ConnectionClosedError&) {
      ++tally.cut;
      try {
        client.wait_connected(kNever);
      } catch (const ConnectionClosedError&) {
      }
    }
  }
}

void stream_again_and_again(Client& client, const std::atomic<bool>& stop, Tally& tally) {
  while (!stop) {
    ++tally.begun;
    try {
      int expected = 0;
      bool in_order = true;
      for (const int n : client.stream<int>({.timeout = 24h}, "count", 3000)) {
        in_order = in_order && n == expected++;
      }
      if (in_order && expected == 3000) ++tally.answered;
    } catch (const ConnectionClosedError&) {
      ++tally.cut;
      try {
        client.wait_connected(24h);
      } catch (const ConnectionClosedError&) {
      }
    }
  }
}

Task<void> call_from_coroutine(Client& client, const std::atomic<bool>& stop, Tally& tally) {
  for (int i = 0; !stop; ++i) {
    ++tally.begun;
    bool was_cut = false;
    try {
      if (co_await client.call_async<int>({.timeout = 24h}, "add", i, 2) == i + 2) ++tally.answered;
    } catch (const ConnectionClosedError&) {
      was_cut = true;
    }
    if (!was_cut) continue;
    ++tally.cut;
    try {
      co_await client.wait_connected_async(24h);
    } catch (const ConnectionClosedError&) {
    }
  }
}

}  // namespace

TEST_CASE("the server is killed and started again in the middle of traffic, twenty times") {
  for (const Format format : {Format::msgpack, Format::json}) {
    CAPTURE(to_string(format));
    auto server = start_server(0);
    const std::uint16_t port = server->port();
    const std::string uri = "ws://127.0.0.1:" + std::to_string(port);
    std::atomic<int> greetings{0};
    std::atomic<int> losses{0};
    ClientConfig config;
    config.format = format;
    config.on_connect = [&greetings](Client& client) -> Task<void> {
      co_await client.call_async<bool>("join", "room");
      ++greetings;
    };
    config.on_disconnect = [&losses](Client&, CloseCode, std::string_view) { ++losses; };
    config.reconnect = Retry{.attempts = 0, .interval = 5ms, .max_interval = 50ms, .jitter = 5ms};
    const ClientLoop loop;
    Client client(uri, config, loop);
    client.connect();

    std::atomic<bool> stop{false};
    Tally tally;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] { call_again_and_again(client, stop, tally); });
    }
    threads.emplace_back([&] { stream_again_and_again(client, stop, tally); });
    std::vector<std::future<void>> coroutines;
    for (int i = 0; i < 4; ++i) {
      coroutines.push_back(loop.spawn(call_from_coroutine(client, stop, tally)));
    }

    for (int restart = 1; restart <= kRestarts; ++restart) {
      // In the middle of traffic: some calls have been answered since the last time.
      const int answered = tally.answered;
      while (tally.answered < answered + 20) std::this_thread::yield();
      server->signal(SIGKILL);
      server->wait();
      server = start_server(port);
      while (greetings <= restart) std::this_thread::yield();
      client.wait_connected();
    }
    stop = true;
    for (auto& thread : threads) thread.join();
    for (auto& coroutine : coroutines) coroutine.get();
    CHECK(tally.adds_up());
    CHECK(tally.cut > 0);
    CHECK(client.stats().connects == kRestarts + 1);
    CHECK(losses == kRestarts);
    CHECK(client.stats().calls_in_flight == 0);
    CHECK(client.call<int>("add", 1, 1) == 2);
    client.close();
    CHECK(losses == kRestarts + 1);
    CHECK(server->terminate() == 0);
  }
}

TEST_CASE("nobody comes back after a close that was meant") {
  const auto server = start_server(0);
  std::promise<CloseCode> gone;
  ClientConfig config;
  config.reconnect = Retry{.interval = 1ms, .jitter = 0ms};
  config.on_disconnect = [&gone](Client&, CloseCode code, std::string_view) {
    gone.set_value(code);
  };
  Client client("ws://127.0.0.1:" + std::to_string(server->port()), config);
  client.connect();
  CHECK_THROWS_AS(client.call<void>("kick"), ConnectionClosedError);
  CHECK(gone.get_future().get() == CloseCode::normal);
  CHECK_THROWS_AS(client.recv(), ConnectionClosedError);  // it would wait if it were being mended
  CHECK(client.state() == webshocket::ConnectionState::closed);
  CHECK(client.stats().connects == 1);
}

TEST_CASE("the tries come to an end, and say so to all who wait") {
  auto server = start_server(0);
  ClientConfig config;
  config.reconnect = Retry{.attempts = 3, .interval = 1ms, .jitter = 1ms};
  Client client("ws://127.0.0.1:" + std::to_string(server->port()), config);
  client.connect();
  auto packet = std::async(std::launch::async, [&] { return client.recv(24h); });
  server.reset();
  CHECK_THROWS_AS(packet.get(), ConnectionClosedError);
  CHECK_THROWS_AS(client.wait_connected(), ConnectionClosedError);
  CHECK(client.state() == webshocket::ConnectionState::closed);
}
