#include "api/token_bucket.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>

using webshocket::detail::TokenBucket;
using webshocket::detail::TokenRate;
using namespace std::chrono_literals;

namespace {

constexpr TokenBucket::TimePoint kStart{1h};

int taken(TokenBucket& bucket, const TokenRate& rate, TokenBucket::TimePoint now) {
  int count = 0;
  while (count < 1'000 && bucket.take(rate, now)) ++count;
  return count;
}

}  // namespace

TEST_CASE("a burst at once, then as many as come") {
  const TokenRate rate{10, 5};
  TokenBucket bucket;
  CHECK(bucket.is_full(kStart));
  CHECK(taken(bucket, rate, kStart) == 5);
  CHECK(bucket.wait(rate, kStart) == 100ms);
  CHECK_FALSE(bucket.take(rate, kStart + 99ms));
  CHECK(bucket.take(rate, kStart + 100ms));
  CHECK(taken(bucket, rate, kStart + 350ms) == 2);
  CHECK_FALSE(bucket.is_full(kStart + 799ms));
  CHECK(bucket.is_full(kStart + 800ms));
  CHECK(taken(bucket, rate, kStart + 1h) == 5);
}

TEST_CASE("what is charged beyond the burst is waited for") {
  const TokenRate bytes{1'000, 500};
  TokenBucket bucket;
  bucket.charge(bytes, 500, kStart);
  CHECK(bucket.wait(bytes, kStart) == 1ms);
  bucket.charge(bytes, 2'000, kStart);
  CHECK(bucket.wait(bytes, kStart) == 2'001ms);
  CHECK(bucket.wait(bytes, kStart + 2'001ms) == 0ms);
}

TEST_CASE("no rate, no limit; the highest one is still one") {
  TokenBucket bucket;
  CHECK(taken(bucket, {}, kStart) == 1'000);
  CHECK(bucket.is_full(kStart));
  const TokenRate high{1'000'000'000, 10};
  CHECK(taken(bucket, high, kStart) == 10);
  CHECK(taken(bucket, high, kStart + 3ns) == 3);
  const TokenRate all{1, 1'000'000'000};
  bucket.charge(all, 1'000'000'000, kStart + 1h);
  CHECK(bucket.wait(all, kStart + 1h) == 1s);
}
