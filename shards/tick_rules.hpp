/// Which channels have a tick.
#pragma once

#include <chrono>
#include <string_view>
#include <vector>

#include <webshocket/config.hpp>

#include "api/glob.hpp"

namespace webshocket::shards {

/// `Config::tick` and `Config::channel_ticks`. Immutable, so any thread may ask.
class TickRules {
 public:
  TickRules() = default;
  explicit TickRules(const Config& config);

  /// 0: it does not wait.
  std::chrono::milliseconds of(std::string_view channel) const noexcept;
  std::chrono::milliseconds of_broadcasts() const noexcept { return tick_; }

 private:
  struct Rule {
    Glob channels;
    std::chrono::milliseconds tick;
  };
  std::chrono::milliseconds tick_{0};
  std::vector<Rule> rules_;
};

}  // namespace webshocket::shards
