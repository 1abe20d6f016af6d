#include "tools/wsbench/histogram.hpp"

#include <doctest/doctest.h>

#include <cstdint>

using wsbench::Histogram;

TEST_CASE("histogram: every bucket ends where the next one begins") {
  std::uint64_t value = 0;
  for (std::size_t bucket = 0; bucket < 57 * 128; ++bucket) {
    CAPTURE(bucket);
    REQUIRE(Histogram::bucket_of(value) == bucket);
    REQUIRE(Histogram::bucket_of(Histogram::upper_end(bucket)) == bucket);
    value = Histogram::upper_end(bucket) + 1;
  }
  CHECK(Histogram::bucket_of(~std::uint64_t{0}) == 58 * 128 - 1);
  CHECK(Histogram::upper_end(58 * 128 - 1) == ~std::uint64_t{0});
}

TEST_CASE("histogram: nothing in it") {
  const Histogram histogram;
  CHECK(histogram.count() == 0);
  CHECK(histogram.at(0.5) == 0);
  CHECK(histogram.mean() == 0);
  CHECK(histogram.buckets().empty());
}

TEST_CASE("histogram: small values are exact") {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 100; ++value) histogram.add(value);
  CHECK(histogram.at(0) == 1);
  CHECK(histogram.at(0.01) == 1);
  CHECK(histogram.at(0.5) == 50);
  CHECK(histogram.at(0.501) == 51);
  CHECK(histogram.at(0.99) == 99);
  CHECK(histogram.at(1) == 100);
  CHECK(histogram.mean() == doctest::Approx(50.5));
}

TEST_CASE("histogram: large ones are right within a hundredth, the largest exactly") {
  Histogram histogram;
  for (std::uint64_t i = 1; i <= 1000; ++i) histogram.add(i * 1'000'003);
  for (const double share : {0.1, 0.5, 0.9, 0.99}) {
    const double exact = share * 1000 * 1'000'003;
    CHECK(static_cast<double>(histogram.at(share)) >= exact);
    CHECK(static_cast<double>(histogram.at(share)) <= exact * 1.008);
  }
  CHECK(histogram.at(1) == 1'000'003'000);
  CHECK(histogram.largest() == 1'000'003'000);
}

TEST_CASE("histogram: merged, and cleared") {
  Histogram one;
  Histogram other;
  one.add(3);
  other.add(3);
  other.add(70'000);
  one.merge(other);
  CHECK(one.count() == 3);
  CHECK(one.largest() == 70'000);
  CHECK(one.buckets().size() == 2);
  CHECK(one.buckets().front() == std::pair<std::uint64_t, std::uint64_t>{3, 2});
  one.clear();
  CHECK(one.count() == 0);
  CHECK(one.buckets().empty());
}
