#include "api/rate_limit.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <vector>

namespace ws = webshocket;
using namespace std::chrono_literals;
using ws::detail::RateWindows;

namespace {

constexpr int kOne = 1;
constexpr int kOther = 2;

RateWindows::TimePoint at(std::chrono::nanoseconds time) { return RateWindows::TimePoint(time); }

}  // namespace

TEST_CASE("rate windows: so many per window, which opens with the first call") {
  RateWindows windows;
  const ws::RateLimit limit{3, 10s, false};
  CHECK(windows.take(&kOne, limit, at(100s)));
  CHECK(windows.take(&kOne, limit, at(101s)));
  CHECK(windows.take(&kOne, limit, at(109s)));
  CHECK_FALSE(windows.take(&kOne, limit, at(109s)));
  CHECK_FALSE(windows.take(&kOne, limit, at(110s - 1ns)));
  CHECK(windows.take(&kOne, limit, at(110s)));
  CHECK(windows.take(&kOne, limit, at(119s)));
  CHECK(windows.take(&kOne, limit, at(119s)));
  CHECK_FALSE(windows.take(&kOne, limit, at(119s)));
}

TEST_CASE("rate windows: refused calls do not prolong the window") {
  RateWindows windows;
  const ws::RateLimit limit{1, 1s, false};
  CHECK(windows.take(&kOne, limit, at(0s)));
  for (int i = 1; i < 1000; ++i) {
    CHECK_FALSE(windows.take(&kOne, limit, at(std::chrono::milliseconds(i))));
  }
  CHECK(windows.take(&kOne, limit, at(1s)));
}

TEST_CASE("rate windows: each method has its own") {
  RateWindows windows;
  const ws::RateLimit limit{1, 1s, false};
  CHECK(windows.take(&kOne, limit, at(0s)));
  CHECK(windows.take(&kOther, limit, at(0s)));
  CHECK_FALSE(windows.take(&kOne, limit, at(0s)));
  CHECK_FALSE(windows.take(&kOther, limit, at(0s)));
}

TEST_CASE("rate windows: a period without end") {
  RateWindows windows;
  const ws::RateLimit limit{1, std::chrono::nanoseconds::max(), false};
  CHECK(windows.take(&kOne, limit, at(100h)));
  CHECK_FALSE(windows.take(&kOne, limit, at(100'000h)));
}

TEST_CASE("rate windows: many methods, some of them passed") {
  RateWindows windows;
  const ws::RateLimit brief{1, 1s, false};
  const ws::RateLimit lasting{1, 1h, false};
  std::vector<char> methods(100);
  for (const char& method : methods) CHECK(windows.take(&method, brief, at(0s)));
  CHECK(windows.take(&kOne, lasting, at(0s)));
  for (const char& method : methods) CHECK(windows.take(&method, lasting, at(2s)));
  for (const char& method : methods) CHECK_FALSE(windows.take(&method, lasting, at(3s)));
  CHECK_FALSE(windows.take(&kOne, lasting, at(3s)));
}
