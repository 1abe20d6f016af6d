#include "shards/bus.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <webshocket/config.hpp>
#include <webshocket/error.hpp>

#include "shards/uid.hpp"
#include "tests/support/sanitized.hpp"

using webshocket::Connection;
using webshocket::Payload;
using webshocket::Predicate;
using webshocket::SendStatus;
using webshocket::Uid;
using webshocket::shards::Bus;
using webshocket::shards::Census;
using webshocket::shards::Content;
using webshocket::shards::Delivery;
using webshocket::shards::Form;
using webshocket::shards::Inbox;
using webshocket::shards::mint_uid;
using webshocket::shards::Receiver;

namespace {

const webshocket::shards::Framing kFraming{.fragment_size = 65'536};

// Sanitizers make each post some ten times as dear.
constexpr int kScale = webshocket::test::kSanitized ? 1 : 10;

constexpr int kGuardMs = 20'000;

bool wait_for_wake(const Inbox& inbox, int timeout_ms = kGuardMs) {
  pollfd event{inbox.descriptor(), POLLIN, 0};
  return ::poll(&event, 1, timeout_ms) == 1;
}

/// Drains as a shard does: only when woken, everything each time.
template <class OnDelivery>
void drain(Inbox& inbox, OnDelivery&& on_delivery) {
  inbox.clear_wake();
  for (Inbox::Control control; inbox.take(control);) control();
  for (std::shared_ptr<const Delivery> delivery; inbox.take(delivery);) {
    inbox.give_back(delivery->cost());
    on_delivery(*delivery);
  }
}

Uid uid_on(const Bus& bus, std::size_t shard) {
  Uid uid = mint_uid();
  while (bus.shard_of(uid) != shard) uid = mint_uid();
  return uid;
}

struct Recorder : Receiver {
  bool receive(const Delivery& delivery) noexcept override {
    channels.emplace_back(delivery.channel);
    return true;
  }
  bool give_to_followers(const Delivery&, const webshocket::detail::Content&,
                         std::size_t) override {
    return false;
  }
  void hold(std::shared_ptr<const Delivery> delivery) override { receive(*delivery); }
  std::vector<std::string> channels;
};

std::size_t waiting(Inbox& inbox) {
  std::size_t count = 0;
  drain(inbox, [&](const Delivery&) { ++count; });
  return count;
}

bool publish(Bus& bus, std::string_view channel, Payload data = "x") {
  return bus.publish(std::span(&channel, 1), {data, nullptr}, {});
}

}  // namespace

TEST_CASE("a publish goes to the shards where somebody could want it, and to no other") {
  const auto bus = std::make_shared<Bus>(3, 0, kFraming);
  bus->census().raise(0, bus->census().bucket_of("room"), Form::msgpack);
  bus->census().raise(2, Census::kPatterns, Form::raw);
  CHECK(publish(*bus, "room"));
  CHECK(waiting(bus->inbox(0)) == 1);
  CHECK(waiting(bus->inbox(1)) == 0);
  CHECK(waiting(bus->inbox(2)) == 1);
  CHECK(publish(*bus, "another room, of another bucket"));
  CHECK(waiting(bus->inbox(0)) == 0);
  CHECK(waiting(bus->inbox(2)) == 1);

  // Encoded for msgpack here and for raw there: in one message.
  bus->census().raise(1, Census::kEverybody, Form::json_text);
  CHECK(bus->broadcast(Delivery::kAllRoutes, {Payload("x"), nullptr}, {}));
  bus->inbox(1).clear_wake();
  std::shared_ptr<const Delivery> delivery;
  REQUIRE(bus->inbox(1).take(delivery));
  CHECK_FALSE(delivery->message->frames(Form::json_text).empty());
  CHECK(delivery->message->frames(Form::msgpack).empty());
  CHECK(waiting(bus->inbox(0)) == 0);
}

TEST_CASE("what waits in an inbox keeps the names that it was published with") {
  webshocket::Config config;
  config.tick = std::chrono::milliseconds(1);
  const auto bus = std::make_shared<Bus>(1, 0, kFraming, webshocket::shards::TickRules(config));
  std::string channel = "a channel whose name is too long to lie in a string object";
  std::string key = "a key of the same kind, which is longer than any such object, too";
  bus->census().raise(0, bus->census().bucket_of(channel), Form::raw);
  const std::string_view name = channel;
  CHECK(bus->publish({&name, 1}, {.data = Payload("x"), .packet = nullptr, .key = key}, {}));
  const std::uint64_t hash = bus->census().hash(channel);
  const auto was = std::pair(std::exchange(channel, ""), std::exchange(key, ""));
  bus->inbox(0).clear_wake();
  std::shared_ptr<const Delivery> delivery;
  REQUIRE(bus->inbox(0).take(delivery));
  CHECK(std::pair(std::string(delivery->channel), std::string(delivery->key)) == was);
  CHECK(delivery->hash == hash);
}

TEST_CASE("nobody wants it: that is no failure") {
  const auto bus = std::make_shared<Bus>(2, 1, kFraming);
  CHECK(publish(*bus, "room"));
  CHECK(bus->broadcast(0, {Payload("x"), nullptr}, {}));
  CHECK(waiting(bus->inbox(0)) + waiting(bus->inbox(1)) == 0);
}

TEST_CASE("a shard's own thread gets it at once, after the others have got theirs") {
  const auto bus = std::make_shared<Bus>(2, 0, kFraming);
  for (std::size_t shard = 0; shard < 2; ++shard) {
    bus->census().raise(shard, bus->census().bucket_of("room"), Form::raw);
  }
  Recorder here;
  {
    const Bus::Membership membership(*bus, 0, here);
    CHECK(publish(*bus, "room"));
    CHECK(here.channels == std::vector<std::string>{"room"});
    CHECK(bus->send(uid_on(*bus, 0), Form::raw, {Payload("x"), nullptr}, 0) == SendStatus::ok);
    CHECK(here.channels.size() == 2);
    CHECK(bus->send(uid_on(*bus, 1), Form::raw, {Payload("x"), nullptr}, 0) == SendStatus::ok);
    CHECK(here.channels.size() == 2);
  }
  CHECK(waiting(bus->inbox(0)) == 0);
  CHECK(waiting(bus->inbox(1)) == 2);
  CHECK(publish(*bus, "room"));
  CHECK(here.channels.size() == 2);
  CHECK(waiting(bus->inbox(0)) == 1);
}

TEST_CASE("a full inbox refuses a publish for all shards, and counts it") {
  const auto bus = std::make_shared<Bus>(3, 10'000, kFraming);
  for (std::size_t shard = 0; shard < 3; ++shard) {
    bus->census().raise(shard, bus->census().bucket_of("room"), Form::raw);
  }
  const std::string large(6'000, 'x');
  REQUIRE(bus->send(uid_on(*bus, 1), Form::raw, {Payload(large), nullptr}, 0) == SendStatus::ok);
  CHECK_FALSE(publish(*bus, "room", large));
  CHECK(bus->inbox(0).refused() == 0);
  CHECK(bus->inbox(1).refused() == 1);
  CHECK(bus->inbox(2).refused() == 0);
  CHECK(waiting(bus->inbox(0)) == 0);
  CHECK(waiting(bus->inbox(1)) == 1);
  CHECK(waiting(bus->inbox(2)) == 0);

  // Everything was given back: two fit again, the third does not.
  const std::string half(4'000, 'x');
  CHECK(publish(*bus, "room", half));
  CHECK(publish(*bus, "room", half));
  CHECK_FALSE(publish(*bus, "room", half));
  CHECK(bus->inbox(0).refused() == 1);
  CHECK(waiting(bus->inbox(2)) == 2);
}

TEST_CASE("several channels in one publish are refused together") {
  const auto bus = std::make_shared<Bus>(1, 2'000, kFraming);
  bus->census().raise(0, Census::kPatterns, Form::raw);
  const std::array<std::string_view, 3> channels{"a", "b", "c"};
  REQUIRE(publish(*bus, "first"));
  const std::string text(700, 'x');
  CHECK_FALSE(bus->publish(channels, {Payload(text), nullptr}, {}));
  CHECK(waiting(bus->inbox(0)) == 1);
  CHECK(bus->publish(channels, {Payload("x"), nullptr}, {}));
  CHECK(waiting(bus->inbox(0)) == 3);
}

TEST_CASE("an empty inbox takes any one message") {
  const auto bus = std::make_shared<Bus>(1, 1'000, kFraming);
  const std::string large(100'000, 'x');
  const Uid uid = mint_uid();
  CHECK(bus->send(uid, Form::raw, {Payload(large), nullptr}, 0) == SendStatus::ok);
  CHECK(bus->send(uid, Form::raw, {Payload("x"), nullptr}, 0) == SendStatus::dropped);
  CHECK(waiting(bus->inbox(0)) == 1);
  CHECK(bus->send(uid, Form::raw, {Payload(large), nullptr}, 0) == SendStatus::ok);
}

TEST_CASE("control and posted work pass a full inbox") {
  const auto bus = std::make_shared<Bus>(1, 100, kFraming);
  const Uid uid = mint_uid();
  REQUIRE(bus->send(uid, Form::raw, {Payload("x"), nullptr}, 0) == SendStatus::ok);
  REQUIRE(bus->send(uid, Form::raw, {Payload("x"), nullptr}, 0) == SendStatus::dropped);
  int ran = 0;
  for (int i = 0; i < 1'000; ++i) CHECK(bus->post_control(0, [&] { ++ran; }));
  for (int i = 0; i < 1'000; ++i) CHECK(bus->post(uid, [](Connection&) {}));
  std::size_t works = 0;
  drain(bus->inbox(0), [&](const Delivery& delivery) { works += delivery.work ? 1 : 0; });
  CHECK(ran == 1'000);
  CHECK(works == 1'000);
}

TEST_CASE("a value that the peer's format cannot hold is the sender's error") {
  const auto bus = std::make_shared<Bus>(1, 0, kFraming);
  const auto ext = webshocket::from_msgpack(
      std::vector<std::byte>{std::byte{0xd4}, std::byte{0x05}, std::byte{0x2a}});
  CHECK_THROWS_AS((void)bus->send(mint_uid(), Form::json_text, {Payload(ext), nullptr}, 0),
                  webshocket::PacketError);
}

TEST_CASE("a closed bus takes nothing, and destroys on the caller's thread what it is handed") {
  const auto bus = std::make_shared<Bus>(1, 0, kFraming);
  bus->census().raise(0, Census::kEverybody, Form::raw);
  bus->close();
  const auto watch = std::make_shared<int>(1);
  CHECK_FALSE(publish(*bus, "room"));
  CHECK_FALSE(bus->broadcast(0, {Payload("x"), nullptr}, {}));
  CHECK(bus->send(mint_uid(), Form::raw, {Payload("x"), nullptr}, 0) == SendStatus::dropped);
  CHECK_FALSE(bus->post(mint_uid(), [watch](Connection&) {}));
  CHECK_FALSE(bus->post_control(0, [watch] {}));
  CHECK(watch.use_count() == 1);
}

TEST_CASE("uids are spread evenly, and a pin key has one shard") {
  const auto bus = std::make_shared<Bus>(4, 0, kFraming);
  std::array<int, 4> counts{};
  for (int i = 0; i < 40'000; ++i) ++counts[bus->shard_of(mint_uid())];
  for (const int count : counts) {
    CHECK(count > 9'000);
    CHECK(count < 11'000);
  }
  std::array<int, 4> keys{};
  for (int i = 0; i < 4'000; ++i) {
    const std::string key = "user-" + std::to_string(i);
    const std::size_t shard = bus->shard_of(key);
    CHECK(bus->shard_of(key) == shard);
    ++keys[shard];
  }
  for (const int count : keys) CHECK(count > 800);
}

TEST_CASE("what one thread posts arrives in its order, whatever the others post") {
  constexpr int kThreads = 4;
  const int each = 20'000 * kScale;
  const auto bus = std::make_shared<Bus>(1, 0, kFraming);
  const Uid uid = mint_uid();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        const std::string text = std::to_string(t) + " " + std::to_string(i);
        REQUIRE(bus->send(uid, Form::raw, {Payload(text), nullptr}, 0) == SendStatus::ok);
      }
    });
  }
  std::array<int, kThreads> next{};
  for (int left = kThreads * each; left > 0;) {
    REQUIRE(wait_for_wake(bus->inbox(0)));
    drain(bus->inbox(0), [&](const Delivery& delivery) {
      const auto frame = delivery.message->frames(Form::raw);
      const std::string text(reinterpret_cast<const char*>(frame.data()) + 2, frame.size() - 2);
      const auto t = static_cast<std::size_t>(text.front() - '0');
      REQUIRE(text == std::to_string(t) + " " + std::to_string(next[t]));
      ++next[t];
      --left;
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("no wake-up is lost: a shard that sleeps whenever it is woken no more gets every post") {
  constexpr int kThreads = 3;
  const std::uint64_t each = 50'000ULL * kScale;
  const auto bus = std::make_shared<Bus>(1, 0, kFraming);
  const Uid uid = mint_uid();
  std::vector<std::thread> threads;
  // Work without a message costs no encoding, so the threads mostly race for the flag.
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (std::uint64_t i = 0; i < each; ++i) {
        bus->post(uid, [](Connection&) {});
        if (i % 64 == 0) std::this_thread::yield();
      }
    });
  }
  std::uint64_t left = kThreads * each;
  while (left > 0) {
    REQUIRE(wait_for_wake(bus->inbox(0)));
    drain(bus->inbox(0), [&](const Delivery&) { --left; });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(waiting(bus->inbox(0)) == 0);
}

TEST_CASE("ping-pong: each post finds the other side asleep") {
  const int rounds = 5'000 * kScale;
  const auto bus = std::make_shared<Bus>(2, 0, kFraming);
  const std::array<Uid, 2> uids{uid_on(*bus, 0), uid_on(*bus, 1)};
  const auto side = [&](std::size_t self) {
    for (int i = 0; i < rounds; ++i) {
      int got = 0;
      while (got == 0) {
        REQUIRE(wait_for_wake(bus->inbox(self)));
        drain(bus->inbox(self), [&](const Delivery&) { ++got; });
      }
      REQUIRE(got == 1);
      bus->post(uids[1 - self], [](Connection&) {});
    }
  };
  std::thread other([&] { side(1); });
  bus->post(uids[0], [](Connection&) {});
  side(0);
  other.join();
}

TEST_CASE("short-lived threads hand their producers on") {
  const auto bus = std::make_shared<Bus>(2, 0, kFraming);
  const std::array<Uid, 2> uids{uid_on(*bus, 0), uid_on(*bus, 1)};
  const auto post_from_a_thread = [&] {
    std::thread([&] {
      for (const Uid& uid : uids) CHECK(bus->post(uid, [](Connection&) {}));
    }).join();
  };
  post_from_a_thread();
  for (int i = 0; i < 1'000; ++i) post_from_a_thread();
  CHECK(waiting(bus->inbox(0)) == 1'001);
  CHECK(waiting(bus->inbox(1)) == 1'001);
  // One after the other they need one producer between them.
  CHECK(bus->producer_count() == 1);
}

TEST_CASE("a thread may outlive the bus, and post to its successor") {
  auto bus = std::make_shared<Bus>(1, 0, kFraming);
  std::atomic<int> step{0};
  std::thread thread([&] {
    CHECK(bus->post(mint_uid(), [](Connection&) {}));
    step = 1;
    step.notify_one();
    step.wait(1);
    CHECK(bus->post(mint_uid(), [](Connection&) {}));
  });
  step.wait(0);
  bus = std::make_shared<Bus>(1, 0, kFraming);
  step = 2;
  step.notify_one();
  thread.join();
  CHECK(waiting(bus->inbox(0)) == 1);
}

TEST_CASE("what is posted while the bus closes is destroyed, however late") {
  for (int round = 0; round < 100 * kScale; ++round) {
    const auto bus = std::make_shared<Bus>(1, 0, kFraming);
    const auto token = std::make_shared<int>(0);
    std::atomic<bool> posted{false};
    std::thread poster([&] {
      const Uid uid = mint_uid();
      for (int i = 0;; ++i) {
        const bool taken =
            i % 2 == 0 ? bus->post_control(0, [token] {}) : bus->post(uid, [token](Connection&) {});
        posted = true;
        if (!taken) return;
      }
    });
    while (!posted) std::this_thread::yield();
    // As the end of a server, and of its shard.
    bus->close();
    bus->inbox(0).abandon();
    poster.join();
    CHECK(token.use_count() == 1);
  }
}

TEST_CASE("what nobody took is destroyed with the bus") {
  const auto watch = std::make_shared<int>(1);
  {
    const auto bus = std::make_shared<Bus>(1, 0, kFraming);
    bus->post(mint_uid(), [watch](Connection&) {});
    bus->post_control(0, [watch] {});
    CHECK(watch.use_count() == 3);
  }
  CHECK(watch.use_count() == 1);
}
