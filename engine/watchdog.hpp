/// Notices a handler that blocks its shard while it does so.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "shards/loop.hpp"
#include "shards/shard.hpp"
#include "shards/site.hpp"

namespace webshocket::engine {

/// On the control thread. Looks at every shard twice in each `Config::slow_callback_threshold`; a
/// turn that has lasted longer is logged, once, with what runs in it.
class Watchdog {
 public:
  Watchdog(const shards::Site& site, std::span<const std::unique_ptr<shards::Shard>> shards);

  void start(shards::Loop& loop) noexcept;
  void stop() noexcept { timer_.close(); }

 private:
  using Clock = shards::Loop::Clock;

  void look_again_later() noexcept;
  void look() noexcept;
  void look_at(std::size_t index) noexcept;

  const shards::Site& site_;
  const std::span<const std::unique_ptr<shards::Shard>> shards_;
  std::vector<Clock::time_point> told_;  ///< by shard: when the last turn began that was logged
  shards::Timer timer_;
};

}  // namespace webshocket::engine
