/// Who got which message: exact counts of what is missing, came twice, or in a wrong order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace wsbench {

/// For subscribers of one channel each. Sequences of a channel count from 0.
class DeliveryLog {
 public:
  struct Counts {
    std::uint64_t missing = 0;
    std::uint64_t duplicate = 0;
    std::uint64_t out_of_order = 0;  ///< came, but behind a later one
    std::uint64_t never_sent = 0;    ///< of another channel, or beyond the last one sent
    std::uint64_t damaged = 0;       ///< cut off, or pieced together wrongly

    bool exact() const noexcept {
      return missing + duplicate + out_of_order + never_sent + damaged == 0;
    }
  };

  /// Subscriber i listens to channel `channels[i]`, below `channel_count`.
  DeliveryLog(std::vector<std::uint32_t> channels, std::size_t channel_count);

  /// Another message goes to the channel: its sequence.
  std::uint64_t send(std::uint32_t channel) noexcept { return sent_[channel]++; }
  std::uint64_t listeners(std::uint32_t channel) const noexcept { return listeners_[channel]; }

  /// True: a message that this subscriber had not got yet. A subscriber's first one is where its
  /// counting begins.
  bool take(std::size_t subscriber, std::uint32_t channel, std::uint64_t sequence) {
    Subscriber& own = subscribers_[subscriber];
    if (own.channel == channel && own.next == sequence && sequence < sent_[channel]) {
      ++own.next;
      return true;
    }
    return take_odd(subscriber, channel, sequence);
  }
  void damaged() noexcept { ++counts_.damaged; }

  /// Whether the subscriber has got the newest message of its channel.
  bool is_current(std::size_t subscriber) const noexcept;
  std::size_t size() const noexcept { return subscribers_.size(); }

  /// From now on nothing is missing there, and it is no listener.
  void ignore(std::size_t subscriber) noexcept;

  Counts counts() const;
  /// For people; empty if the counts are exact.
  std::vector<std::string> faults() const;

 private:
  struct Subscriber {
    std::uint64_t next = kNone;
    std::uint32_t channel = 0;
    bool ignored = false;
  };
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};

  bool take_odd(std::size_t subscriber, std::uint32_t channel, std::uint64_t sequence);

  std::vector<Subscriber> subscribers_;
  std::vector<std::uint64_t> sent_;
  std::vector<std::uint64_t> listeners_;
  std::unordered_map<std::size_t, std::set<std::uint64_t>>
      gaps_;       ///< not yet come, later ones have
  Counts counts_;  ///< but for `missing`
};

}  // namespace wsbench
