#include "engine/watchdog.hpp"

#include <string>

#include "api/log_gate.hpp"
#include "api/working.hpp"

namespace webshocket::engine {

Watchdog::Watchdog(const shards::Site& site, std::span<const std::unique_ptr<shards::Shard>> shards)
    : site_(site), shards_(shards), told_(shards.size(), Clock::time_point::min()) {}

void Watchdog::start(shards::Loop& loop) noexcept {
  timer_.open(loop);
  look_again_later();
}

void Watchdog::look_again_later() noexcept {
  const std::chrono::nanoseconds threshold = site_.config.slow_callback_threshold;
  if (threshold.count() != 0) timer_.start<&Watchdog::look>(*this, threshold / 2);
}

void Watchdog::look() noexcept {
  for (std::size_t i = 0; i < shards_.size(); ++i) look_at(i);
  look_again_later();
}

void Watchdog::look_at(std::size_t index) noexcept {
  const shards::Shard& shard = *shards_[index];
  const auto began = shard.turn_began();
  if (began == Clock::time_point::min() || began == told_[index]) return;
  const auto lasted = Clock::now() - began;
  if (lasted <= site_.config.slow_callback_threshold) return;
  const detail::Label* label = shard.working();
  if (shard.turn_began() != began) return;  // it has gone on, and the label may be of a later turn
  told_[index] = began;
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(lasted).count();
  detail::log_if_possible(shard, LogLevel::warning, [&] {
    return "shard " + std::to_string(index) + " is blocked by " +
           std::string(label == nullptr ? "no handler" : label->text) + ", for " +
           std::to_string(milliseconds) + " ms so far";
  });
}

}  // namespace webshocket::engine
