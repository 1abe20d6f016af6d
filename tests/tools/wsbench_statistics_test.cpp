#include "tools/wsbench/statistics.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tools/wsbench/result.hpp"

using wsbench::Result;
using wsbench::spread_of;

namespace {

std::vector<Result> runs_of(const std::vector<double>& values) {
  std::vector<Result> runs;
  for (const double value : values) runs.emplace_back().add("cost_ns", value);
  return runs;
}

}  // namespace

TEST_CASE("statistics: the median and its spread") {
  CHECK_FALSE(spread_of({}));
  CHECK(spread_of({3})->median == 3);
  CHECK(spread_of({9, 1, 5})->median == 5);
  CHECK(spread_of({9, 1, 5})->lowest == 1);
  CHECK(spread_of({9, 1, 5})->highest == 9);
  CHECK(spread_of({4, 1, 2, 9})->median == 3);
}

TEST_CASE("statistics: ratios pair the runs") {
  const auto ratios = wsbench::ratios_of(runs_of({2, 6, 5}), runs_of({4, 4}), "cost_ns");
  CHECK(ratios == std::vector<double>{0.5, 1.5});
  CHECK(wsbench::ratios_of(runs_of({2}), runs_of({0}), "cost_ns").empty());
  CHECK(wsbench::ratios_of(runs_of({2}), runs_of({2}), "other").empty());
}

TEST_CASE("statistics: numbers for people") {
  CHECK(wsbench::text_of(0.0) == "0");
  CHECK(wsbench::text_of(0.19512) == "0.1951");
  CHECK(wsbench::text_of(3.14159) == "3.142");
  CHECK(wsbench::text_of(31.4159) == "31.42");
  CHECK(wsbench::text_of(314.159) == "314.2");
  CHECK(wsbench::text_of(999.0) == "999");
  CHECK(wsbench::text_of(1000.0) == "1,000");
  CHECK(wsbench::text_of(1234567.8) == "1,234,568");
  CHECK(wsbench::text_of(-1234.0) == "-1,234");
}
