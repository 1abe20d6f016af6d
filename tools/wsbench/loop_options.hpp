/// How long and how fast a run goes on.
#pragma once

#include <cstdint>
#include <optional>

#include "clock.hpp"

namespace wsbench {

struct LoopOptions {
  double duration_s = 3;
  double warm_up_s = 0.5;
  double patience_s = 10;      ///< without any answer, before what lacks counts as missing
  std::optional<double> rate;  ///< a second, whatever comes back: open loop

  std::uint64_t patience_ns() const noexcept { return span_ns(patience_s); }
};

/// Times at which something is due, at a steady rate from now on.
class Schedule {
 public:
  Schedule(double rate, double seconds) noexcept
      : begin_ns_(now_ns()), rate_(rate), count_(static_cast<std::uint64_t>(rate * seconds)) {}

  bool is_over() const noexcept { return next_ == count_; }
  std::uint64_t due_ns() const noexcept {
    return begin_ns_ + span_ns(static_cast<double>(next_) / rate_);
  }
  bool is_due(std::uint64_t now) const noexcept { return !is_over() && due_ns() <= now; }
  void advance() noexcept { ++next_; }
  /// Until the next one is due.
  std::uint64_t wait_ns() const noexcept {
    const std::uint64_t now = now_ns();
    return is_over() || due_ns() <= now ? 0 : due_ns() - now;
  }

 private:
  std::uint64_t begin_ns_;
  double rate_;
  std::uint64_t count_;
  std::uint64_t next_ = 0;
};

}  // namespace wsbench
