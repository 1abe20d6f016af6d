/// What waits for those who read too slowly, by channel.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <webshocket/config.hpp>

#include "api/glob.hpp"

namespace webshocket::shards {

/// `Config::channel_outboxes`. Immutable, so any thread may ask.
class OutboxRules {
 public:
  static constexpr std::uint8_t kNone = 0;
  static constexpr std::size_t kMost = 255;

  OutboxRules() = default;
  explicit OutboxRules(const Config& config);

  /// The number of its rule; `kNone`: the connection's own holds.
  std::uint8_t of(std::string_view channel) const noexcept;
  /// What holds for a connection whose own rule is `own`.
  OutboxRule combine(std::uint8_t rule, const OutboxRule& own) const noexcept;

 private:
  struct Rule {
    Glob channels;
    OutboxRule rule;
  };
  std::vector<Rule> rules_;
};

}  // namespace webshocket::shards
