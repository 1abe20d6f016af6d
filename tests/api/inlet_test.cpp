#include "api/inlet.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

using webshocket::Cancelled;
using webshocket::ConnectionClosedError;
using webshocket::TimeoutError;
using Queue = webshocket::detail::Inlet<int, TimeoutError>;
using namespace std::chrono_literals;

namespace {

const Queue::Clock::time_point kNow = Queue::Clock::now();
constexpr auto kForEver = Queue::Clock::time_point::max();

std::exception_ptr closed() { return std::make_exception_ptr(ConnectionClosedError("gone")); }

}  // namespace

TEST_CASE("first in, first out, however many") {
  Queue queue("late");
  int next = 0;
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 50; ++i) queue.push(round * 50 + i);
    for (int i = 0; i < 40; ++i) REQUIRE(queue.try_take() == next++);
  }
  while (const auto item = queue.try_take()) REQUIRE(*item == next++);
  CHECK(next == 5'000);
}

TEST_CASE("what came before the end comes before it is told") {
  Queue queue("late");
  queue.push(1);
  SUBCASE("without a reason") {
    queue.end();
    queue.end(closed());
    queue.push(2);
    CHECK(queue.take(kNow) == 1);
    CHECK_FALSE(queue.take(kNow).has_value());
  }
  SUBCASE("with a reason") {
    queue.end(closed());
    queue.end();
    CHECK(queue.take(kNow) == 1);
    CHECK_THROWS_AS((void)queue.take(kNow), ConnectionClosedError);
    CHECK_FALSE(queue.try_take().has_value());
  }
  SUBCASE("and it was none") {
    queue.end(closed());
    queue.reopen();
    queue.push(2);
    CHECK(queue.take(kNow) == 1);
    CHECK(queue.take(kNow) == 2);
    CHECK_THROWS_AS((void)queue.take(kNow), TimeoutError);
  }
}

TEST_CASE("a wait ends by its time, by a request to stop, by an item, by the end") {
  Queue queue("late");
  CHECK_THROWS_WITH_AS((void)queue.take(Queue::Clock::now() + 1ms), "late", TimeoutError);
  std::stop_source source;
  auto stopped =
      std::async(std::launch::async, [&] { return queue.take(kForEver, source.get_token()); });
  source.request_stop();
  CHECK_THROWS_AS(stopped.get(), Cancelled);
  CHECK_THROWS_AS((void)queue.take(kForEver, source.get_token()), Cancelled);
  queue.push(1);
  // What is there goes before a request to stop.
  CHECK(queue.take(kForEver, source.get_token()) == 1);
  auto waiting = std::async(std::launch::async, [&] { return queue.take(kForEver); });
  queue.push(2);
  CHECK(waiting.get() == 2);
  auto ended = std::async(std::launch::async, [&] { return queue.take(kForEver); });
  queue.end(closed());
  CHECK_THROWS_AS(ended.get(), ConnectionClosedError);
}

TEST_CASE("many takers share what comes") {
  Queue queue("late");
  std::atomic<int> sum{0};
  std::vector<std::thread> takers;
  for (int i = 0; i < 4; ++i) {
    takers.emplace_back([&] {
      while (const auto item = queue.take(kForEver)) sum += *item;
    });
  }
  for (int i = 1; i <= 1'000; ++i) queue.push(i);
  queue.end();
  for (std::thread& taker : takers) taker.join();
  CHECK(sum == 500'500);
}
