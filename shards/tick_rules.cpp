#include "shards/tick_rules.hpp"

namespace webshocket::shards {

TickRules::TickRules(const Config& config) : tick_(config.tick) {
  for (const ChannelTick& rule : config.channel_ticks) {
    rules_.push_back({Glob(rule.channels), rule.tick});
  }
}

std::chrono::milliseconds TickRules::of(std::string_view channel) const noexcept {
  for (const Rule& rule : rules_) {
    if (rule.channels.matches(channel)) return rule.tick;
  }
  return tick_;
}

}  // namespace webshocket::shards
