/// A steady clock that can be made to stand still until somebody sets it: the whole program's, in
/// place of the standard library's, so that what is tested needs no clock that is handed around.
#pragma once

#include <chrono>

namespace webshocket::test {

class SteppedClock {
 public:
  /// Stops it, where it always stands first: so late that the system's own timers never come to it.
  static void reset() noexcept;
  /// REQUIRES: it stands still.
  static void advance(std::chrono::nanoseconds step) noexcept;
  /// From here on it goes by itself, as before `reset`.
  static void release() noexcept;
};

}  // namespace webshocket::test
