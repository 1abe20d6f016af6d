/// One channel of one shard: a name and those who subscribed to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "shards/subscriber.hpp"

namespace webshocket::shards {

/// The list is dense and in the order of subscribing, which for most connections is the order of
/// their arrival and so of their memory: a walk in that order is markedly cheaper than a shuffled
/// one, and filling the gap of one who leaves with the last one (swap-remove) would shuffle it more
/// with each that leaves. So a leaver leaves a gap behind, and when a quarter of the list is gaps,
/// the others move up. Leaving is O(1): each subscriber knows its place, and a move is paid by
/// three leavers.
class Channel {
 public:
  /// A name that was subscribed to; the text lies behind the object, in the same piece of memory.
  struct Deleter {
    void operator()(Channel* channel) const noexcept;
  };
  using Owner = std::unique_ptr<Channel, Deleter>;
  static Owner make(std::string_view name);

  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  std::string_view name() const noexcept { return name_; }
  std::uint32_t subscribers() const noexcept { return count_; }
  bool is_pattern() const noexcept { return is_pattern_; }

  /// REQUIRES: not in the list. Does nothing if it throws.
  void add(Subscriber& subscriber);

  /// Leaves a gap at `place`. The subscriber's own entry is left to the caller, and so is a call of
  /// tidy(), which closes gaps and must wait for the end of a walk.
  void remove(std::uint32_t place) noexcept;
  void tidy() noexcept;

  /// Those in the list when the walk begins, except for those who leave before it comes to them.
  template <class F>
  void for_each(F&& f) const {
    if (capacity_ == 1) {
      if (size_ != 0 && one_ != nullptr) f(*one_);
      return;
    }
    for (std::uint32_t i = 0, end = size_; i < end; ++i) {
      // What `f` does with one is too long for the processor to look ahead to the next.
      if (end - i > kAhead) __builtin_prefetch(many_[i + kAhead]);
      if (Subscriber* subscriber = many_[i]) f(*subscriber);
    }
  }

  /// For Channels: it has to come back to this channel after the walk.
  bool is_deferred() const noexcept { return is_deferred_; }
  void set_deferred(bool deferred) noexcept { is_deferred_ = deferred; }

 protected:
  explicit Channel(bool is_pattern) noexcept : one_(nullptr), is_pattern_(is_pattern) {}
  ~Channel();
  /// REQUIRES: the text lives as long as this object.
  void set_name(std::string_view name) noexcept { name_ = name; }

 private:
  static constexpr std::uint32_t kAhead = 8;  // recipients_with_work in channels_bench

  Subscriber** list() noexcept { return capacity_ == 1 ? &one_ : many_; }
  void compact() noexcept;
  bool resize(std::uint32_t capacity) noexcept;

  std::string_view name_;
  union {
    Subscriber* one_;  // many channels are one user's own
    Subscriber** many_;
  };
  std::uint32_t size_ = 0;  // gaps included
  std::uint32_t count_ = 0;
  std::uint32_t capacity_ = 1;
  bool is_pattern_;
  bool is_deferred_ = false;
};

template <class F>
void Subscriber::for_each_subscription(F&& f) const {
  for_each([&](const Entry& entry) { f(entry.channel->name()); });
}

}  // namespace webshocket::shards
