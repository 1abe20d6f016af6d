/// What a connection knows about its own subscriptions.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace webshocket::shards {

class Channel;

/// A compact set of (channel, place in that channel's list). The first subscription lies in the
/// object itself, as most connections have none or one; up to eight lie in an array in the order of
/// subscribing; more than that in a hash table.
class Subscriptions {
 public:
  struct Entry {
    Channel* channel;
    std::uint32_t place;
  };

  Subscriptions() noexcept = default;
  Subscriptions(const Subscriptions&) = delete;
  Subscriptions& operator=(const Subscriptions&) = delete;
  ~Subscriptions() { clear(); }

  std::size_t size() const noexcept;
  bool holds(const Channel* channel) const noexcept { return find(channel) != nullptr; }
  /// The place of `channel`, null if it is not in the set.
  std::uint32_t* find(const Channel* channel) noexcept;
  const std::uint32_t* find(const Channel* channel) const noexcept {
    return const_cast<Subscriptions*>(this)->find(channel);
  }
  /// REQUIRES: `channel` is not in the set. Does nothing if it throws.
  void insert(Channel* channel, std::uint32_t place);
  /// REQUIRES: `channel` is in the set.
  void erase(const Channel* channel) noexcept;
  void clear() noexcept;

  /// REQUIRES: `f` leaves the set as it is.
  template <class F>
  void for_each(F&& f) const;

 private:
  struct Block {
    std::uint32_t count;
    std::uint32_t capacity;
    Entry* entries() noexcept { return reinterpret_cast<Entry*>(this + 1); }
    bool hashed() const noexcept { return capacity > kLargestArray; }
  };
  static constexpr std::uint32_t kLargestArray = 8;
  static constexpr std::uint32_t kFirstTable = 32;
  static constexpr std::uintptr_t kBlockTag = 1;

  bool has_block() const noexcept { return (held_ & kBlockTag) != 0; }
  Block* block() const noexcept { return reinterpret_cast<Block*>(held_ - kBlockTag); }
  Channel* only() const noexcept { return reinterpret_cast<Channel*>(held_); }
  static Entry* slot(Block& block, const Channel* channel) noexcept;
  static Block* make(std::uint32_t capacity) noexcept;
  bool rebuild(std::uint32_t capacity) noexcept;

  std::uintptr_t held_ = 0;  // nothing, a Channel*, or a Block* with its lowest bit set
  std::uint32_t place_ = 0;  // of the only channel
};

/// Base of a connection: what Channels needs of it, in 16 bytes, and nothing else as long as there
/// is no second subscription. One thread: that of the Channels object it is subscribed in.
class Subscriber : private Subscriptions {
 public:
  std::size_t subscription_count() const noexcept { return size(); }

  /// Names and patterns, in the order of subscribing up to eight of them and in any order beyond.
  /// The views live as long as the subscription. REQUIRES: `f` does not subscribe or unsubscribe
  /// this one.
  template <class F>
  void for_each_subscription(F&& f) const;
  std::vector<std::string_view> subscriptions() const;

 protected:
  Subscriber() noexcept = default;
  /// REQUIRES: Channels::remove() came first, if it was subscribed to anything.
  ~Subscriber() { assert(subscription_count() == 0); }

 private:
  friend class Channel;
  friend class Channels;

  std::uint32_t seen_ = 0;  // the last publish that reached it, see Channels
};

// The compiler may put `seen_` behind `place_`: a class with private members lends its padding.
static_assert(sizeof(Subscriber) == 16 || sizeof(void*) != 8);

template <class F>
void Subscriptions::for_each(F&& f) const {
  if (held_ == 0) return;
  if (!has_block()) {
    f(Entry{only(), place_});
    return;
  }
  Block& many = *block();
  for (std::uint32_t i = 0; i < many.capacity; ++i) {
    const Entry& entry = many.entries()[i];
    if (entry.channel != nullptr) f(entry);
  }
}

}  // namespace webshocket::shards
