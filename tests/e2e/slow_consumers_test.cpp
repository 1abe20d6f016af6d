// Those who read too slowly, by each policy; and that every delivery is accounted for.

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Config;
using webshocket::Connection;
using webshocket::Dropped;
using webshocket::Handler;
using webshocket::OutboxPolicy;
using webshocket::OutboxRule;
using webshocket::per_shard;
using webshocket::SendStatus;
using webshocket::Stats;
using webshocket::test::Dialect;
using webshocket::test::eventually;
using webshocket::test::Frame;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;

namespace {

/// What the handlers were told.
struct Heard {
  std::atomic<std::uint64_t> dropped_new{0};
  std::atomic<std::uint64_t> dropped_old{0};
  std::atomic<std::uint64_t> conflated{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<int> drained{0};

  std::uint64_t dropped() const { return dropped_new + dropped_old + conflated; }
};

class Rooms : public Handler {
 public:
  explicit Rooms(Heard* heard) : heard_(*heard) {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
    rpc("join", [](Connection& c, std::string name) { return c.subscribe(name); });
    rpc("rule", [](Connection& c, int policy, std::size_t limit) {
      c.set_outbox({static_cast<OutboxPolicy>(policy), limit});
      return true;
    });
    rpc("flood", [](Connection& c, int count, std::size_t size) {
      int taken = 0;
      for (int i = 0; i < count; ++i) {
        const std::string text = std::to_string(i) + " " + std::string(size, 'f');
        if (c.send(text) != SendStatus::dropped) ++taken;
      }
      return taken;
    });
    rpc("page", [](std::size_t size) { return std::string(size, 'p'); });
    rpc("dropped", [](Connection& c) { return c.outbox_state().dropped.messages(); });
  }
  void on_dropped(Connection&, const Dropped& dropped) override {
    heard_.dropped_new += dropped.by_drop_new;
    heard_.dropped_old += dropped.by_drop_old;
    heard_.conflated += dropped.by_conflate;
    heard_.bytes += dropped.bytes;
  }
  void on_drained(Connection&) override { ++heard_.drained; }

 private:
  Heard& heard_;
};

constexpr std::size_t kSize = 50'000;

std::string numbered(int number) { return std::to_string(number) + " " + std::string(kSize, 'x'); }

/// The number of a publish, as `numbered` made it.
int number_of(const std::string& event) { return std::stoi(event.substr(event.find('"') + 1)); }

/// Publishes until `enough`; how many.
template <class Enough>
int publish_until(ServerFixture& server, std::string_view channel, Enough enough) {
  const std::uint64_t before = server->stats().total.deliveries;
  int number = 0;
  while (!enough()) {
    REQUIRE(number < 5'000);
    REQUIRE(server->publish(channel, numbered(number)));
    const std::uint64_t wanted = before + static_cast<std::uint64_t>(++number);
    // Counted once it is delivered or dropped; never, if nobody is there any more.
    eventually(
        [&] {
          const auto total = server->stats().total;
          return total.deliveries == wanted || total.connections == 0;
        },
        "a publish to arrive");
  }
  return number;
}

/// All numbers up to and including `last`.
std::vector<int> numbers_up_to(WsClient& client, int last) {
  std::vector<int> numbers;
  do {
    numbers.push_back(number_of(client.event()));
  } while (numbers.back() != last);
  return numbers;
}

/// Nothing waits, and the sums are right; `connections` falls before what waited is counted.
void check_sums(ServerFixture& server) {
  eventually([&] { return server->stats().total.deliveries_waiting == 0; }, "all to be counted");
  const auto total = server->stats().total;
  CHECK(total.deliveries ==
        total.deliveries_written + total.deliveries_dropped + total.deliveries_discarded);
  CHECK(total.deliveries_dropped ==
        total.dropped_new + total.dropped_old + total.dropped_conflated + total.dropped_disconnect);
}

Config config_with(OutboxPolicy policy) {
  Config config;
  config.shards = 1;
  config.outbox_limit = 300'000;
  config.outbox_policy = policy;
  config.outbox_low_mark = 10'000;
  return config;
}

}  // namespace

TEST_CASE("drop_new: what finds no room is dropped, what waits stays in order") {
  Heard heard;
  ServerFixture server(config_with(OutboxPolicy::drop_new), per_shard<Rooms>(&heard));
  WsClient slow(server.port());
  REQUIRE(slow.call("join", R"(["room"])") == "true");
  const int published =
      publish_until(server, "room", [&] { return server->stats().total.dropped_new >= 5; });
  const auto before = server->stats().total;
  CHECK(before.slow_consumers == 0);
  CHECK(before.outbox_bytes <= 300'000 + kSize);

  const int kept = published - static_cast<int>(before.dropped_new);
  std::vector<int> numbers;
  for (int i = 0; i < kept; ++i) numbers.push_back(number_of(slow.event()));
  for (int i = 0; i < kept; ++i) REQUIRE(numbers[static_cast<std::size_t>(i)] == i);

  // It has caught up: all is as before.
  eventually([&] { return heard.drained == 1; }, "on_drained");
  REQUIRE(server->publish("room", numbered(published)));
  CHECK(number_of(slow.event()) == published);
  CHECK(heard.dropped_new == before.dropped_new);
  CHECK(heard.dropped() == before.dropped_new);
  CHECK(slow.call("dropped") == std::to_string(before.dropped_new));
  check_sums(server);
  CHECK(server->stats().total.deliveries_written == static_cast<std::uint64_t>(kept) + 1);
}

TEST_CASE("drop_old: the newest arrive") {
  Heard heard;
  ServerFixture server(config_with(OutboxPolicy::drop_old), per_shard<Rooms>(&heard));
  WsClient slow(server.port());
  REQUIRE(slow.call("join", R"(["room"])") == "true");
  const int published =
      publish_until(server, "room", [&] { return server->stats().total.dropped_old >= 20; });
  CHECK(server->stats().total.outbox_bytes <= 300'000 + 2 * kSize);
  const std::vector<int> numbers = numbers_up_to(slow, published - 1);
  // One gap: what had waited longest behind what was on its way.
  int gaps = 0;
  for (std::size_t i = 1; i < numbers.size(); ++i) {
    REQUIRE(numbers[i] > numbers[i - 1]);
    if (numbers[i] != numbers[i - 1] + 1) ++gaps;
  }
  CHECK(gaps == 1);
  const auto total = server->stats().total;
  CHECK(numbers.size() + total.dropped_old == static_cast<std::size_t>(published));
  CHECK(slow.call("echo", "[1]") == "1");
  CHECK(heard.dropped_old == total.dropped_old);
  CHECK(heard.bytes > kSize * total.dropped_old);
  check_sums(server);
}

TEST_CASE("conflate: of each key only the newest waits") {
  Heard heard;
  ServerFixture server(config_with(OutboxPolicy::conflate), per_shard<Rooms>(&heard));
  WsClient slow(server.port());
  REQUIRE(slow.call("join", R"(["room"])") == "true");
  const std::vector<std::string> keys{"a", "b", "c"};
  int number = 0;
  const auto enough = [&] { return server->stats().total.dropped_conflated >= 30; };
  for (; !enough(); ++number) {
    REQUIRE(number < 5'000);
    const std::string& key = keys[static_cast<std::size_t>(number) % keys.size()];
    REQUIRE(server->publish("room", numbered(number), {.key = key}));
    const auto wanted = static_cast<std::uint64_t>(number) + 1;
    eventually([&] { return server->stats().total.deliveries == wanted; }, "a publish to arrive");
  }
  // Without a key, each waits.
  REQUIRE(server->publish("room", numbered(number)));
  const std::vector<int> numbers = numbers_up_to(slow, number);
  for (std::size_t i = 1; i < numbers.size(); ++i) REQUIRE(numbers[i] > numbers[i - 1]);
  // The last one of each key is there, and it is among the last.
  REQUIRE(numbers.size() > keys.size());
  for (int i = 0; i <= 3; ++i) {
    CHECK(numbers[numbers.size() - 1 - static_cast<std::size_t>(i)] == number - i);
  }
  const auto total = server->stats().total;
  CHECK(numbers.size() + total.dropped_conflated + total.dropped_old ==
        static_cast<std::size_t>(number) + 1);
  CHECK(slow.call("echo", "[1]") == "1");
  CHECK(heard.conflated == total.dropped_conflated);
  check_sums(server);
}

TEST_CASE("a channel's policy is its own: what it drops does not close the connection") {
  Heard heard;
  Config config = config_with(OutboxPolicy::disconnect);
  config.channel_outboxes = {{"ticker.*", {OutboxPolicy::drop_old, 100'000}}};
  ServerFixture server(config, per_shard<Rooms>(&heard));
  WsClient slow(server.port());
  for (const auto* name : {R"(["ticker.1"])", R"(["room"])"}) {
    REQUIRE(slow.call("join", name) == "true");
  }
  const int published =
      publish_until(server, "ticker.1", [&] { return server->stats().total.dropped_old >= 10; });
  CHECK(server->stats().total.slow_consumers == 0);
  CHECK(server->stats().total.outbox_bytes <= 100'000 + 2 * kSize);
  SUBCASE("others have the room that is left") {
    REQUIRE(server->publish("room", "important"));
    REQUIRE(numbers_up_to(slow, published - 1).size() < static_cast<std::size_t>(published));
    CHECK(slow.event() == R"(2 room "important")");
    CHECK(slow.call("echo", "[1]") == "1");
    check_sums(server);
  }
  SUBCASE("and their own policy") {
    publish_until(server, "room", [&] { return server->stats().total.slow_consumers == 1; });
    for (;;) {
      const Frame frame = slow.peer().read_frame();
      if (frame.opcode != webshocket::test::kClose) continue;
      const auto close = webshocket::test::close_of(frame);
      CHECK(close.code == 1013);
      CHECK(close.reason == "outbox_limit reached");
      break;
    }
    slow.peer().send(webshocket::test::close_frame(1013));
    eventually([&] { return server->client_count() == 0; }, "its end");
    check_sums(server);
    CHECK(server->stats().total.dropped_disconnect > 0);
  }
}

TEST_CASE("a connection may have a rule of its own; send follows it") {
  Heard heard;
  ServerFixture server(config_with(OutboxPolicy::disconnect), per_shard<Rooms>(&heard));
  WsClient slow(server.port());
  REQUIRE(slow.call("rule", "[2, 200000]") == "true");  // drop_old
  const std::string call = slow.start("flood", "[400, 50000]");
  eventually([&] { return heard.dropped_old > 0; }, "something to be dropped");
  std::vector<int> numbers;
  for (;;) {
    numbers.push_back(number_of(slow.event()));
    if (numbers.back() == 399) break;
  }
  CHECK(slow.answer(call) == "400");
  CHECK(numbers.size() + heard.dropped_old == 400);
  CHECK(server->stats().total.sends_dropped == heard.dropped_old);
  CHECK(server->stats().total.deliveries == 0);
}

TEST_CASE("a PONG overtakes what waits, at the next frame") {
  Heard heard;
  Config config = config_with(OutboxPolicy::drop_new);
  config.outbox_limit = 2'000'000;
  ServerFixture server(config, per_shard<Rooms>(&heard));
  WsClient slow(server.port());
  REQUIRE(slow.call("join", R"(["room"])") == "true");
  publish_until(server, "room", [&] { return server->stats().total.dropped_new >= 1; });
  const auto before = server->stats().total;
  for (int i = 0; i < 3; ++i) {
    slow.peer().send(webshocket::test::SentFrame{.opcode = webshocket::test::kPing,
                                                 .payload = std::to_string(i)});
  }
  // Three PINGs of one byte, as they come.
  eventually([&] { return server->stats().total.bytes_received == before.bytes_received + 3 * 7; },
             "the PINGs to be received");
  std::vector<std::string> pongs;
  std::size_t behind = 0;
  const std::uint64_t kept = before.deliveries - before.dropped_new;
  for (std::uint64_t received = 0; received < kept;) {
    const Frame frame = slow.peer().read_frame();
    if (frame.opcode == webshocket::test::kPong) {
      pongs.push_back(frame.payload);
      behind = 0;
    } else {
      ++received;
      ++behind;
    }
  }
  // Only the newest is answered, in front of most of the two megabytes.
  CHECK(pongs == std::vector<std::string>{"2"});
  CHECK(behind >= 30);
}

TEST_CASE("who takes nothing at all is cut off, and nothing of it is left") {
  Heard heard;
  Config config = config_with(OutboxPolicy::drop_old);
  config.write_timeout = std::chrono::milliseconds(100);
  ServerFixture server(config, per_shard<Rooms>(&heard));
  WsClient slow(server.port());
  REQUIRE(slow.call("join", R"(["room"])") == "true");
  publish_until(server, "room", [&] { return server->stats().total.writes_timed_out == 1; });
  eventually([&] { return server->client_count() == 0 && server->stats().total.outbox_bytes == 0; },
             "its end");
  check_sums(server);
  CHECK(server->stats().total.deliveries_discarded > 0);
}

TEST_CASE("what waits for a connection that goes is counted as discarded") {
  Heard heard;
  ServerFixture server(config_with(OutboxPolicy::drop_new), per_shard<Rooms>(&heard));
  {
    WsClient slow(server.port());
    REQUIRE(slow.call("join", R"(["room"])") == "true");
    publish_until(server, "room", [&] { return server->stats().total.dropped_new >= 1; });
  }
  check_sums(server);
  CHECK(server->stats().total.deliveries_discarded > 0);
}

TEST_CASE("no policy takes a reply away") {
  for (const OutboxPolicy policy :
       {OutboxPolicy::drop_new, OutboxPolicy::drop_old, OutboxPolicy::conflate}) {
    for (const std::size_t size : {1'000UL, 40'000UL}) {
      CAPTURE(size);
      Heard heard;
      ServerFixture server(config_with(policy), per_shard<Rooms>(&heard));
      WsClient slow(server.port());
      REQUIRE(slow.call("join", R"(["room"])") == "true");
      std::vector<std::string> calls;
      const std::string argument = "[\"" + std::string(size, 'r') + "\"]";
      for (int i = 0; i < 40; ++i) calls.push_back(slow.start("echo", argument));
      for (int i = 0; i < 100; ++i) REQUIRE(server->publish("room", numbered(i)));
      for (const std::string& call : calls) CHECK(slow.answer(call).size() == size + 2);
      slow.events_before_now();
      check_sums(server);
    }
  }
}

TEST_CASE("who reads late gets all of its replies in order, and those beside it get theirs") {
  Config config = config_with(OutboxPolicy::disconnect);
  config.outbox_limit = 0;
  Heard heard;
  ServerFixture server(config, per_shard<Rooms>(&heard));
  WsClient slow(server.port(), Dialect::json);
  WsClient quick(server.port());
  const auto argument = [](int i) {
    return "[\"" + std::to_string(i) + " " + std::string(700, 's') + "\"]";
  };
  std::vector<std::string> calls;
  while (server->stats().total.outbox_bytes < 200'000) {
    REQUIRE(calls.size() < 50'000);
    for (int i = 0; i < 20; ++i) {
      calls.push_back(slow.start("echo", argument(static_cast<int>(calls.size()))));
    }
    CHECK(quick.call("echo", R"(["mine"])") == R"("mine")");
  }
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const std::string reply = slow.peer().read_frame().payload;
    REQUIRE(reply.find("\"" + std::to_string(i) + " sss") != std::string::npos);
  }
  CHECK(quick.call("echo", R"(["mine"])") == R"("mine")");
  eventually([&] { return server->stats().total.outbox_bytes == 0; }, "nothing to be left");
}

TEST_CASE("calls wait while their connection's replies are beyond its limit, its own one too") {
  constexpr int kCalls = 100;
  constexpr std::size_t kPage = 200'000;
  for (const bool is_own : {false, true}) {
    CAPTURE(is_own);
    Heard heard;
    Config config = config_with(OutboxPolicy::disconnect);
    if (is_own) config.outbox_limit = 0;
    ServerFixture server(config, per_shard<Rooms>(&heard));
    WsClient slow(server.port());
    if (is_own) REQUIRE(slow.call("rule", "[0,300000]") == "true");
    std::vector<std::string> calls;
    for (int i = 0; i < kCalls; ++i) {
      calls.push_back(slow.start("page", "[" + std::to_string(kPage) + "]"));
    }
    eventually([&] { return server->stats().total.outbox_bytes > 300'000; }, "a full outbox");
    CHECK(server->stats().total.rpc_calls < kCalls);
    CHECK(server->stats().total.outbox_bytes < 300'000 + 2 * kPage);
    for (const std::string& call : calls) CHECK(slow.answer(call).size() == kPage + 2);
    CHECK(server->stats().total.slow_consumers == 0);
  }
}
