#include "engine/client_backlog.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

using webshocket::engine::Backlog;

TEST_CASE("reading stops at the bound, and is resumed once by who makes room") {
  int resumed = 0;
  Backlog backlog(2, 0, [&] { ++resumed; });
  Backlog::Level level;
  backlog.added(level, 1);
  CHECK_FALSE(backlog.must_wait());
  backlog.added(level, 1);
  CHECK(backlog.is_full());
  CHECK(backlog.is_full(level));
  CHECK(backlog.must_wait());
  backlog.taken(level, 1);
  CHECK(resumed == 1);
  backlog.taken(level, 1);
  CHECK(resumed == 1);
  CHECK_FALSE(backlog.must_wait());
}

TEST_CASE("nobody is resumed who has not stopped") {
  int resumed = 0;
  Backlog backlog(1, 0, [&] { ++resumed; });
  Backlog::Level level;
  backlog.added(level, 1);
  backlog.taken(level, 1);
  CHECK(resumed == 0);
}

TEST_CASE("bytes count too, and the first item always fits") {
  Backlog backlog(0, 10, [] {});
  Backlog::Level level;
  backlog.added(level, 9);
  CHECK_FALSE(backlog.is_full(level));
  backlog.added(level, 1);
  CHECK(backlog.is_full(level));
  backlog.taken(level, 9);
  CHECK_FALSE(backlog.is_full(level));
}

TEST_CASE("without bounds nothing is ever full") {
  Backlog backlog(0, 0, [] {});
  Backlog::Level level;
  for (int i = 0; i < 1'000; ++i) backlog.added(level, 1'000);
  CHECK_FALSE(backlog.is_full());
}

TEST_CASE("each queue counts for itself, and one that drops stops nobody") {
  int resumed = 0;
  Backlog backlog(1, 0, [&] { ++resumed; });
  Backlog::Level first;
  Backlog::Level second;
  Backlog::Level dropping(false);
  backlog.added(dropping, 1);
  CHECK(backlog.is_full(dropping));
  CHECK_FALSE(backlog.is_full());
  backlog.added(first, 1);
  backlog.added(second, 1);
  CHECK(backlog.must_wait());
  backlog.taken(first, 1);
  CHECK(resumed == 0);
  backlog.taken(second, 1);
  CHECK(resumed == 1);
}

TEST_CASE("a queue that has gone makes room, and what still comes for it does not count") {
  int resumed = 0;
  Backlog backlog(1, 0, [&] { ++resumed; });
  Backlog::Level level;
  backlog.added(level, 1);
  CHECK(backlog.must_wait());
  backlog.gone(level);
  CHECK(resumed == 1);
  backlog.added(level, 1);
  backlog.taken(level, 1);
  CHECK_FALSE(backlog.is_full());
  CHECK(resumed == 1);
}

TEST_CASE("a reader that stops while somebody makes room is resumed") {
  std::atomic<bool> resumed{false};
  Backlog backlog(1, 0, [&] { resumed = true; });
  Backlog::Level level;
  for (int round = 0; round < 2'000; ++round) {
    resumed = false;
    backlog.added(level, 1);
    std::thread taker([&] { backlog.taken(level, 1); });
    const bool waits = backlog.must_wait();
    taker.join();
    // Who was told to wait has been told to go on.
    if (waits) REQUIRE(resumed);
  }
}
