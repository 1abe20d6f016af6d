/// A steady clock that stands still until somebody sets it: the whole program's, in place of the
/// standard library's, so that what is tested needs no clock that is handed around.
#pragma once

#include <chrono>

namespace webshocket::fuzz {

class SteppedClock {
 public:
  /// To where it began, which is so late that the system's own timers never come to it.
  static void reset() noexcept;
  static void advance(std::chrono::nanoseconds step) noexcept;
};

}  // namespace webshocket::fuzz
