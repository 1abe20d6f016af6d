#include "api/rate_limit.hpp"

namespace webshocket::detail {
namespace {

RateWindows::TimePoint end_of(const RateLimit& limit, RateWindows::TimePoint now) noexcept {
  constexpr auto kForever = RateWindows::TimePoint::max();
  return kForever - now < limit.period ? kForever : now + limit.period;
}

}  // namespace

bool RateWindows::take(const void* method, const RateLimit& limit, TimePoint now) {
  Window* free = nullptr;
  for (Window& window : windows_) {
    const bool passed = now >= window.end;
    if (window.method == method && !passed) {
      if (window.used >= limit.limit) return false;
      ++window.used;
      return true;
    }
    if (passed) free = &window;
  }
  const Window opened{method, end_of(limit, now), 1};
  if (free != nullptr) {
    *free = opened;
  } else {
    windows_.push_back(opened);
  }
  return true;
}

}  // namespace webshocket::detail
