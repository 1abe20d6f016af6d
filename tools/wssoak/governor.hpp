/// Finds the rate at which the machine is as busy as it shall be.
#pragma once

namespace wssoak {

/// Told once a second how busy the machine was, it says what factor the rates get next. What it
/// sees is smoothed, and it goes only part of the way each time, so that it does not swing.
class Governor {
 public:
  /// `target` is a share of all processors.
  explicit Governor(double target) noexcept : target_(target) {}

  double next(double busy) noexcept;
  double factor() const noexcept { return factor_; }

  static constexpr double kLeast = 0.05;
  static constexpr double kMost = 5'000;

 private:
  double target_;
  double factor_ = 1;
  double smooth_ = -1;  ///< nothing was seen yet
};

}  // namespace wssoak
