#include "shards/outbox_rules.hpp"

#include <algorithm>

namespace webshocket::shards {

OutboxRules::OutboxRules(const Config& config) {
  for (const ChannelOutbox& outbox : config.channel_outboxes) {
    rules_.push_back({Glob(outbox.channels), outbox.rule});
  }
}

std::uint8_t OutboxRules::of(std::string_view channel) const noexcept {
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    if (rules_[i].channels.matches(channel)) return static_cast<std::uint8_t>(i + 1);
  }
  return kNone;
}

OutboxRule OutboxRules::combine(std::uint8_t rule, const OutboxRule& own) const noexcept {
  if (rule == kNone) return own;
  OutboxRule combined = rules_[rule - 1U].rule;
  if (combined.limit == 0 || (own.limit != 0 && own.limit < combined.limit)) {
    combined.limit = own.limit;
  }
  return combined;
}

}  // namespace webshocket::shards
