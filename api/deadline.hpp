/// Timeouts that people give, made safe for arithmetic.
#pragma once

#include <algorithm>
#include <chrono>

namespace webshocket::detail {

/// "For ever" is ten years: `now + timeout` must not overflow. A negative timeout is none.
inline std::chrono::nanoseconds bounded_timeout(std::chrono::milliseconds timeout) noexcept {
  return std::clamp<std::chrono::milliseconds>(timeout, std::chrono::milliseconds(0),
                                               std::chrono::years(10));
}

}  // namespace webshocket::detail
