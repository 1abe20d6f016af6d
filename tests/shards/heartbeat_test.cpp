// When silence is asked about.

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>

#include "shards/endpoint.hpp"
#include "shards/uid.hpp"

using webshocket::shards::spread_heartbeat;
using namespace std::chrono_literals;
using std::chrono::nanoseconds;

TEST_CASE("never later than the interval, and never more than a tenth earlier") {
  for (const nanoseconds interval :
       {nanoseconds(0), nanoseconds(1), nanoseconds(5ms), nanoseconds(20s), nanoseconds(87'600h)}) {
    for (std::uint64_t i = 0; i < 10'000; ++i) {
      const std::uint64_t seed = i * 0x123456789ABCDEF1;
      const nanoseconds spread = spread_heartbeat(interval, seed);
      REQUIRE(spread <= interval);
      REQUIRE(spread >= interval - interval / 10);
      REQUIRE(spread == spread_heartbeat(interval, seed));
    }
  }
  CHECK(spread_heartbeat(20s, 0) == 20s);
}

TEST_CASE("those who fall silent together are asked one after the other") {
  const auto check = [](const std::function<std::uint64_t(std::uint64_t)>& seed_of) {
    constexpr std::size_t kParts = 10;
    constexpr std::size_t kMany = 10'000;
    std::array<std::size_t, kParts> parts{};
    std::set<nanoseconds> moments;
    for (std::uint64_t i = 0; i < kMany; ++i) {
      const nanoseconds early = 20s - spread_heartbeat(20s, seed_of(i));
      moments.insert(early);
      ++parts.at(static_cast<std::size_t>(early / (nanoseconds(2s) / kParts)));
    }
    CHECK(moments.size() > 900);
    CHECK(*std::ranges::min_element(parts) > kMany / kParts / 2);
    CHECK(*std::ranges::max_element(parts) < kMany / kParts * 2);
  };
  check([](std::uint64_t) { return std::hash<webshocket::Uid>()(webshocket::shards::mint_uid()); });
  check([](std::uint64_t i) { return 0x7F0000001000 + i * 416; });  // addresses of ends in a row
}
