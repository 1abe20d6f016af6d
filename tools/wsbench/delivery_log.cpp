#include "delivery_log.hpp"

#include <string_view>
#include <utility>

namespace wsbench {

DeliveryLog::DeliveryLog(std::vector<std::uint32_t> channels, std::size_t channel_count)
    : subscribers_(channels.size()), sent_(channel_count), listeners_(channel_count) {
  for (std::size_t i = 0; i < channels.size(); ++i) {
    subscribers_[i].channel = channels[i];
    ++listeners_[channels[i]];
  }
}

bool DeliveryLog::take_odd(std::size_t subscriber, std::uint32_t channel, std::uint64_t sequence) {
  Subscriber& own = subscribers_[subscriber];
  if (channel != own.channel || sequence >= sent_[channel]) {
    ++counts_.never_sent;
    return false;
  }
  if (own.next == kNone) own.next = sequence;
  if (sequence >= own.next) {
    if (sequence > own.next) {
      auto& gaps = gaps_[subscriber];
      for (std::uint64_t i = own.next; i < sequence; ++i) gaps.insert(gaps.end(), i);
    }
    own.next = sequence + 1;
    return true;
  }
  const auto gaps = gaps_.find(subscriber);
  if (gaps != gaps_.end() && gaps->second.erase(sequence) == 1) {
    ++counts_.out_of_order;
    return true;
  }
  ++counts_.duplicate;
  return false;
}

void DeliveryLog::ignore(std::size_t subscriber) noexcept {
  subscribers_[subscriber].ignored = true;
  --listeners_[subscribers_[subscriber].channel];
}

bool DeliveryLog::is_current(std::size_t subscriber) const noexcept {
  const Subscriber& own = subscribers_[subscriber];
  return own.next != kNone && own.next == sent_[own.channel];
}

DeliveryLog::Counts DeliveryLog::counts() const {
  Counts counts = counts_;
  for (std::size_t i = 0; i < subscribers_.size(); ++i) {
    const Subscriber& own = subscribers_[i];
    if (own.ignored) continue;
    counts.missing += sent_[own.channel] - (own.next == kNone ? 0 : own.next);
    if (const auto gaps = gaps_.find(i); gaps != gaps_.end()) counts.missing += gaps->second.size();
  }
  return counts;
}

std::vector<std::string> DeliveryLog::faults() const {
  const Counts counts = this->counts();
  std::vector<std::string> faults;
  const auto add = [&](std::uint64_t count, std::string_view what) {
    if (count != 0) {
      faults.push_back(std::to_string(count) + (count == 1 ? " delivery " : " deliveries ") +
                       std::string(what));
    }
  };
  add(counts.missing, "missing");
  add(counts.duplicate, "duplicate");
  add(counts.out_of_order, "out of order");
  add(counts.never_sent, "of messages that were never sent");
  add(counts.damaged, "damaged");
  return faults;
}

}  // namespace wsbench
