#include "tools/wssoak/drift.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <vector>

using wssoak::Point;

namespace {

constexpr double kMost = 0.02;

/// 100 points about 100 MiB: a slope per point, and a saw whose teeth are so high.
std::vector<Point> series(double slope, double saw = 0) {
  std::vector<Point> points;
  for (std::size_t i = 0; i < 100; ++i) {
    const auto x = static_cast<double>(i);
    points.push_back({x, 100 + slope * x + (i % 2 == 0 ? saw : -saw)});
  }
  return points;
}

bool grows(const std::vector<Point>& points) { return wssoak::drift_of(points)->has_grown(kMost); }

}  // namespace

TEST_CASE("drift: a line through points") {
  const std::vector<Point> points{{0, 1}, {1, 3}, {2, 5}, {3, 7}};
  const auto line = wssoak::fit(points);
  CHECK(line->slope == doctest::Approx(2));
  CHECK(line->level == doctest::Approx(1));
  CHECK(line->slope_error == doctest::Approx(0));
  // Computed by hand: residues 1, -1, -1, 1 around y = x, xx = 5.
  const std::vector<Point> scattered{{0, 1}, {1, 0}, {2, 1}, {3, 4}};
  CHECK(wssoak::fit(scattered)->slope == doctest::Approx(1));
  CHECK(wssoak::fit(scattered)->level == doctest::Approx(0));
  CHECK(wssoak::fit(scattered)->slope_error == doctest::Approx(std::sqrt(4.0 / 2 / 5)));
  CHECK_FALSE(wssoak::fit(std::vector<Point>{{0, 1}, {1, 2}}));
  CHECK_FALSE(wssoak::fit(std::vector<Point>{{1, 1}, {1, 2}, {1, 3}}));
}

TEST_CASE("drift: what grows is found, what only swings is not") {
  CHECK_FALSE(grows(series(0)));
  CHECK_FALSE(grows(series(0, 10)));
  CHECK_FALSE(grows(series(-0.5)));
  CHECK(grows(series(0.1)));  // 7 % from the second fifth to the last one
  CHECK(grows(series(0.1, 2)));
  CHECK_FALSE(grows(series(0.01)));      // 0.7 %: too little to matter
  CHECK_FALSE(grows(series(0.05, 20)));  // 4 %: chance
}

TEST_CASE("drift: the warm-up does not count") {
  auto points = series(0);
  for (std::size_t i = 0; i < 20; ++i) points[i].y = static_cast<double>(i);
  const auto drift = wssoak::drift_of(points);
  CHECK(drift->growth() == doctest::Approx(0));
  CHECK(drift->lowest == 100);
  CHECK_FALSE(drift->has_grown(kMost));
}

TEST_CASE("drift: a step late in the run is growth") {
  auto points = series(0);
  for (std::size_t i = 70; i < 100; ++i) points[i].y = 110;
  CHECK(grows(points));
}

TEST_CASE("drift: what is too little in absolute terms does not count") {
  CHECK(wssoak::drift_of(series(0.1))->has_grown(kMost, 5));
  CHECK_FALSE(wssoak::drift_of(series(0.1))->has_grown(kMost, 10));
}

TEST_CASE("drift: too few points say nothing") {
  CHECK_FALSE(wssoak::drift_of(std::vector<Point>(9)));
}
