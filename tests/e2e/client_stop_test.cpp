// Calls that are given up, and messages that find no room.

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <future>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <webshocket/client.hpp>
#include <webshocket/server.hpp>

#include "tests/support/raw_server.hpp"
#include "tests/support/server_fixture.hpp"

using webshocket::CallOptions;
using webshocket::Cancelled;
using webshocket::Client;
using webshocket::ClientConfig;
using webshocket::Format;
using webshocket::Handler;
using webshocket::per_shard;
using webshocket::RpcTimeoutError;
using webshocket::SendStatus;
using webshocket::Task;
using webshocket::TimeoutError;
using webshocket::WebSocketError;
using webshocket::test::eventually;
using webshocket::test::play;
using webshocket::test::RawPeer;
using webshocket::test::RawServer;
using webshocket::test::read_call;
using webshocket::test::response;
using webshocket::test::served_close;
using webshocket::test::ServerFixture;
using namespace std::chrono_literals;

namespace {

struct Counts {
  std::atomic<int> begun{0};
  std::atomic<int> ended{0};
};

/// Counts itself out, however its coroutine ends.
class Inside {
 public:
  explicit Inside(Counts& counts) : counts_(counts) { ++counts_.begun; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside() { ++counts_.ended; }

 private:
  Counts& counts_;
};

class Endless : public Handler {
 public:
  explicit Endless(Counts& counts) : counts_(counts) {
    rpc("numbers", &Endless::numbers);
    rpc("echo", [](int x) { return x; });
  }

 private:
  webshocket::Stream<int> numbers() {
    const Inside inside(counts_);
    for (int i = 0;; ++i) {
      co_yield i;
      co_await webshocket::sleep_for(0ms);
    }
  }
  Counts& counts_;
};

constexpr std::size_t kMiB = 1024 * 1024;

ClientConfig narrow(std::size_t limit = 100'000) {
  return {.call_timeout = 20ms, .ping_interval = 0ms, .close_timeout = 1h, .outbox_limit = limit};
}
const CallOptions kPatient{.timeout = 1h};

/// A connected client whose server reads nothing until it is told to.
struct Deaf {
  explicit Deaf(ClientConfig config) : client(server.uri(), std::move(config)) {
    script = play([this] {
      auto [peer, request] = server.accept_request();
      peer.shrink_receive_buffer(65'536);
      peer.send(webshocket::test::upgrade_reply(request, "webshocket.v1"));
      listen.get_future().wait();
      last = peer.read_until_close().code;
      peer.send(served_close(1000));
    });
    client.connect();
  }
  /// The first message always fits; of this one the sockets take a half at most.
  void fill() { client.send(std::string(8 * kMiB, 'x')); }
  void hear() {
    listen.set_value();
    client.close();
    script.get();
    CHECK(last == 1000);
  }

  RawServer server;
  std::promise<void> listen;
  unsigned last = 0;
  Client client;
  std::future<void> script;
};

}  // namespace

TEST_CASE("a call that is stopped throws, and its answer is nobody's") {
  RawServer server;
  std::promise<void> stopped;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    stopped.get_future().wait();
    for (const char* id : {"1", "2"}) peer.send(response(id, "1"));
    peer.send(response(read_call(peer, "quick"), "7"));
    peer.read_until_close();
    peer.send(served_close(1000));
  });
  Client client(server.uri(), {.format = Format::json, .call_timeout = 1h});
  client.connect();
  std::stop_source source;
  const CallOptions options{.stop = source.get_token()};
  auto blocking = std::async(std::launch::async, [&] { client.call<int>(options, "slow"); });
  const auto awaiting = [](Client& of, CallOptions how) -> Task<int> {
    co_return co_await of.call_async<int>(how, "slow");
  };
  auto awaited = client.loop().spawn(awaiting(client, options));
  eventually([&] { return client.stats().calls_in_flight == 2; }, "both calls");
  source.request_stop();
  CHECK_THROWS_AS(blocking.get(), Cancelled);
  CHECK_THROWS_AS(awaited.get(), Cancelled);
  CHECK_THROWS_AS(client.call<int>(options, "never sent, or not waited for"), Cancelled);
  CHECK(client.stats().calls_in_flight == 0);
  stopped.set_value();
  CHECK(client.call<int>("quick") == 7);
  CHECK(client.stats().answers_unwanted == 2);
  client.close();
  script.get();
}

TEST_CASE("a stream that is stopped, or left, ends at the server") {
  Counts counts;
  ServerFixture server({.shards = 1}, per_shard<Endless>(std::ref(counts)));
  Client client(server.uri(), {.call_timeout = 1h});
  client.connect();
  SUBCASE("left") {
    auto stream = client.stream<int>("numbers");
    CHECK(stream.next() == 0);
    CHECK(stream.next() == 1);
  }
  SUBCASE("left before its first chunk") {
    const auto stream = client.stream<int>("numbers");
    eventually([&] { return counts.begun == 1; }, "the generator");
  }
  SUBCASE("replaced") {
    auto stream = client.stream<int>("numbers");
    CHECK(stream.next() == 0);
    stream = client.stream<int>("echo", 5);
    eventually([&] { return counts.ended == 1; }, "the generator's end");
    CHECK(stream.next() == 5);
  }
  SUBCASE("stopped, and kept") {
    std::stop_source source;
    auto stream = client.stream<int>(CallOptions{.stop = source.get_token()}, "numbers");
    CHECK(stream.next() == 0);
    source.request_stop();
    // What had come by then is still there.
    CHECK_THROWS_AS(
        [&] {
          while (stream.next()) {
          }
        }(),
        Cancelled);
    CHECK_FALSE(stream.next().has_value());
    eventually([&] { return counts.ended == 1; }, "the generator's end");
  }
  SUBCASE("left by a coroutine") {
    const auto first_two = [](Client& of) -> Task<int> {
      auto stream = of.stream_async<int>("numbers");
      int sum = 0;
      while (const int* n = co_await stream.next()) {
        sum += *n;
        if (*n == 2) break;
      }
      co_return sum;
    };
    CHECK(client.loop().run(first_two(client)) == 3);
  }
  SUBCASE("stopped in a coroutine") {
    std::stop_source source;
    const auto read = [](Client& of, std::stop_source stop) -> Task<void> {
      const CallOptions options{.stop = stop.get_token()};
      auto stream = of.stream_async<int>(options, "numbers");
      while (co_await stream.next()) stop.request_stop();
    };
    CHECK_THROWS_AS(client.loop().run(read(client, source)), Cancelled);
  }
  SUBCASE("in a coroutine that is cancelled with its loop") {
    auto waits = [](const std::string& uri) {
      const webshocket::ClientLoop loop;
      const auto read = [](std::string to, webshocket::ClientLoop on) -> Task<void> {
        Client own(to, on);
        co_await own.connect_async();
        auto stream = own.stream_async<int>("numbers");
        (void)co_await stream.next();
      };
      return loop.spawn(read(uri, loop));
    }(server.uri());
    CHECK_NOTHROW(waits.get());
  }
  eventually([&] { return counts.begun == 1 && counts.ended == 1; }, "the generator's end");
  CHECK(client.call<int>("echo", 1) == 1);
  CHECK(client.stats().calls_in_flight == 0);
}

TEST_CASE("a stream that was never asked for anything asks the server for nothing") {
  Counts counts;
  ServerFixture server({.shards = 1}, per_shard<Endless>(std::ref(counts)));
  Client client(server.uri());
  client.connect();
  { const auto stream = client.stream_async<int>("numbers"); }
  CHECK(client.call<int>("echo", 1) == 1);
  CHECK(counts.begun == 0);
  CHECK(client.stats().calls_in_flight == 0);
}

TEST_CASE("a message that finds no room waits, and not for ever") {
  Deaf deaf(narrow());
  Client& client = deaf.client;
  deaf.fill();
  const std::string text = "the outbox stayed full for 20 ms: outbox_limit reached";
  const auto complaint = [](auto function) {
    try {
      function();
    } catch (const TimeoutError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  SUBCASE("a small one") {
    const std::string small(10'000, 'y');
    CHECK(complaint([&] { client.send(small); }) == text);
    CHECK(complaint([&] { client.loop().run(client.send_async(small)); }) == text);
    CHECK_THROWS_AS(client.call<int>("echo", small), RpcTimeoutError);
    CHECK_THROWS_AS((void)client.stream<int>("echo", small), RpcTimeoutError);
  }
  SUBCASE("on a loop's thread") {
    std::promise<bool> refused;
    client.loop().post([&] {
      try {
        client.send(std::string(10'000, 'y'));
        refused.set_value(false);
      } catch (const WebSocketError&) {
        refused.set_value(true);
      }
    });
    CHECK(refused.get_future().get());
  }
  SUBCASE("and may be stopped") {
    std::stop_source source;
    const CallOptions options{.timeout = 1h, .stop = source.get_token()};
    auto call = std::async(std::launch::async,
                           [&] { client.call<int>(options, "echo", std::string(10'000, 'y')); });
    source.request_stop();
    CHECK_THROWS_AS(call.get(), Cancelled);
  }
  CHECK(client.stats().calls_in_flight == 0);
  deaf.hear();
}

TEST_CASE("a message that would fit but for little waits too, and turns in no circle") {
  Deaf deaf(narrow(16 * kMiB));
  deaf.fill();
  CHECK(deaf.client.try_send(1) != SendStatus::dropped);
  const std::string large(15 * kMiB, 'y');
  CHECK_THROWS_AS(deaf.client.send(large), TimeoutError);
  CHECK_THROWS_AS(deaf.client.loop().run(deaf.client.send_async(large)), TimeoutError);
  CHECK(deaf.client.try_send(large) == SendStatus::dropped);
  deaf.hear();
}

TEST_CASE("a message that waits for room goes when there is some") {
  Deaf deaf(narrow());
  Client& client = deaf.client;
  deaf.fill();
  eventually([&] { return client.stats().messages_sent == 1; }, "the first one");
  std::vector<std::future<int>> calls;
  for (const std::size_t size : {10'000U, 99'000U, 1'000'000U}) {
    calls.push_back(std::async(std::launch::async, [&client, size] {
      return client.call<int>(kPatient, "echo", std::string(size, 'y'));
    }));
    calls.push_back(
        client.loop().spawn(client.call_async<int>(kPatient, "echo", std::string(size, 'z'))));
  }
  deaf.listen.set_value();
  eventually([&] { return client.stats().messages_sent == 1 + calls.size(); }, "all of them");
  client.close();
  for (auto& call : calls) CHECK_THROWS_AS(call.get(), webshocket::ConnectionClosedError);
  deaf.script.get();
}

TEST_CASE("who waits for room is told that the connection has gone") {
  Deaf deaf(narrow());
  Client& client = deaf.client;
  deaf.fill();
  auto blocking = std::async(std::launch::async,
                             [&] { client.call<int>(kPatient, "echo", std::string(99'000, 'y')); });
  auto awaited =
      client.loop().spawn(client.call_async<int>(kPatient, "echo", std::string(99'000, 'z')));
  client.loop().post([&] { client.close(); });
  CHECK_THROWS_AS(blocking.get(), webshocket::ConnectionClosedError);
  CHECK_THROWS_AS(awaited.get(), webshocket::ConnectionClosedError);
  deaf.hear();
}
