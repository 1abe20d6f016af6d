#include "tools/wssoak/governor.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tools/wssoak/machine.hpp"

using wssoak::Governor;

namespace {

/// A machine whose load is `idle` and `each` for the factor 1.
struct Machine {
  double idle = 0;
  double each = 0.01;

  double busy(double factor) const { return std::min(1.0, idle + each * factor); }
};

struct Course {
  double end = 0;   ///< how busy it was at last
  double most = 0;  ///< since the beginning
};

Course run(const Machine& machine, double target, int seconds, double swing = 0) {
  Governor governor(target);
  Course course;
  double busy = machine.busy(governor.factor());
  for (int i = 0; i < seconds; ++i) {
    busy = machine.busy(governor.next(std::clamp(busy + (i % 2 == 0 ? swing : -swing), 0.0, 1.0)));
    course.most = std::max(course.most, busy);
  }
  course.end = busy;
  return course;
}

}  // namespace

TEST_CASE("governor: finds the load, from far below and from above, and does not overshoot much") {
  for (const double each : {0.0005, 0.01, 0.3}) {
    for (const double idle : {0.0, 0.2}) {
      CAPTURE(each);
      CAPTURE(idle);
      const Course course = run({idle, each}, 0.7, 120);
      CHECK(course.end == doctest::Approx(0.7).epsilon(0.04));
      CHECK(course.most < 0.85);
    }
  }
  CHECK(run({0, 5}, 0.7, 120).end == doctest::Approx(0.7).epsilon(0.04));
}

TEST_CASE("governor: noise does not make it swing") {
  CHECK(run({0, 0.01}, 0.7, 300, 0.05).end == doctest::Approx(0.7).epsilon(0.08));
}

TEST_CASE("governor: a machine that others use is left to them, but for the least") {
  Governor governor(0.7);
  for (int i = 0; i < 100; ++i) governor.next(1);
  CHECK(governor.factor() == Governor::kLeast);
  for (int i = 0; i < 1'000; ++i) governor.next(0);
  CHECK(governor.factor() == Governor::kMost);
}

TEST_CASE("machine: the kernel's times") {
  // user nice system idle iowait irq softirq steal guest guest_nice
  const auto times = wssoak::parse_cpu_times("cpu  100 1 20 500 30 4 5 6 70 8");
  CHECK(times.busy == 100 + 1 + 20 + 4 + 5 + 6);
  CHECK(times.all == times.busy + 500 + 30);
  CHECK(wssoak::busy_share({.busy = 10, .all = 100}, {.busy = 40, .all = 160}) == 0.5);
  CHECK(wssoak::busy_share({.busy = 10, .all = 100}, {.busy = 10, .all = 100}) == 0);
  const auto now = wssoak::cpu_times();
  CHECK(now.all > now.busy);
  CHECK(wssoak::own_resident_bytes() > 1'000'000);
}
