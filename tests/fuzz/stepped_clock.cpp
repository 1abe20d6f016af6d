#include "tests/fuzz/stepped_clock.hpp"

#include <atomic>

namespace webshocket::fuzz {
namespace {

using std::chrono::steady_clock;

constexpr auto kBegin = std::chrono::hours(24 * 365 * 30);
std::atomic<steady_clock::duration> passed{kBegin};

}  // namespace

void SteppedClock::reset() noexcept { passed.store(kBegin); }
void SteppedClock::advance(std::chrono::nanoseconds step) noexcept {
  passed.store(passed.load() + step);
}

}  // namespace webshocket::fuzz

// The program's own definition comes before the shared library's.
std::chrono::steady_clock::time_point std::chrono::steady_clock::now() noexcept {
  return time_point(webshocket::fuzz::passed.load());
}
