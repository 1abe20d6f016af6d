#include "tests/support/stepped_clock.hpp"

#include <time.h>

#include <atomic>

namespace webshocket::test {
namespace {

using std::chrono::steady_clock;

constexpr steady_clock::duration kBegin = std::chrono::hours(24 * 365 * 30);
constexpr steady_clock::duration kGoing{-1};
constinit std::atomic<steady_clock::duration> stands_at{kGoing};

steady_clock::duration system_time() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace

void SteppedClock::reset() noexcept { stands_at.store(kBegin); }
void SteppedClock::advance(std::chrono::nanoseconds step) noexcept {
  stands_at.store(stands_at.load() + step);
}
void SteppedClock::release() noexcept { stands_at.store(kGoing); }

}  // namespace webshocket::test

// The program's own definition comes before the shared library's.
std::chrono::steady_clock::time_point std::chrono::steady_clock::now() noexcept {
  const duration stands = webshocket::test::stands_at.load();
  return time_point(stands == webshocket::test::kGoing ? webshocket::test::system_time() : stands);
}
