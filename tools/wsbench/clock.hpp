/// The one clock of schedules, stamps and latencies.
#pragma once

#include <ctime>

#include <cstdint>

namespace wsbench {

inline constexpr std::uint64_t kSecond = 1'000'000'000;
inline constexpr std::uint64_t kMillisecond = 1'000'000;

inline std::uint64_t nanoseconds_of(const timespec& time) noexcept {
  return static_cast<std::uint64_t>(time.tv_sec) * kSecond +
         static_cast<std::uint64_t>(time.tv_nsec);
}

/// Nanoseconds since some point in the past; never goes back.
inline std::uint64_t now_ns() noexcept {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return nanoseconds_of(time);
}

inline std::uint64_t span_ns(double seconds) noexcept {
  return static_cast<std::uint64_t>(seconds * static_cast<double>(kSecond));
}

inline double seconds_of(std::uint64_t nanoseconds) noexcept {
  return static_cast<double>(nanoseconds) / static_cast<double>(kSecond);
}

}  // namespace wsbench
