#include "governor.hpp"

#include <algorithm>
#include <cmath>

namespace wssoak {

double Governor::next(double busy) noexcept {
  constexpr double kWeight = 0.4;  // of what was seen last
  constexpr double kNear = 0.015;  // of the target: nothing is to be done
  constexpr double kPart = 0.4;    // of the way, as a power
  constexpr double kLeastSeen = 0.02;
  smooth_ = smooth_ < 0 ? busy : smooth_ + kWeight * (busy - smooth_);
  // Beyond the target what comes last counts, as there the next seconds only get worse.
  const double seen = std::max(kLeastSeen, std::max(smooth_, std::min(busy, 1.0) - 0.1));
  if (std::abs(seen - target_) < kNear) return factor_;
  const double step = std::clamp(std::pow(target_ / seen, kPart), 0.7, 1.25);
  factor_ = std::clamp(factor_ * step, kLeast, kMost);
  return factor_;
}

}  // namespace wssoak
