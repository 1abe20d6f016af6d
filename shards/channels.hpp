/// Who gets what is published: the channels and patterns of one shard.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "shards/channel.hpp"
#include "shards/match_cache.hpp"
#include "shards/name_table.hpp"
#include "shards/pattern_index.hpp"
#include "shards/subscriber.hpp"

namespace webshocket::shards {

struct ChannelsOptions {
  /// Should be random, as names come from clients.
  std::uint64_t seed = 0;
  /// What remembered matches of patterns may cost, per shard.
  std::size_t match_cache_bytes = 1024 * 1024;
  /// Up to so many candidate patterns (8 at most) are tried anew at each publish, which costs less
  /// than remembering.
  std::uint32_t tried_at_once = 8;
  /// After so many publishes to more than one list their numbers begin anew, at the cost of a walk
  /// over all subscribers. Only tests want less.
  std::uint32_t publish_numbers = std::numeric_limits<std::uint32_t>::max();
};

/// One thread: the shard's. A publish costs what its recipients cost, plus a look-up per length of
/// literal prefix that patterns use; other channels and patterns cost nothing.
class Channels {
 public:
  explicit Channels(ChannelsOptions options = {});
  Channels(const Channels&) = delete;
  Channels& operator=(const Channels&) = delete;
  /// REQUIRES: nobody is subscribed any more.
  ~Channels();

  /// A name with any of `* ? [ ]` is a pattern. False if it was subscribed already.
  bool subscribe(Subscriber& subscriber, std::string_view name);
  /// False if it was not subscribed.
  bool unsubscribe(Subscriber& subscriber, std::string_view name) noexcept;
  /// Ends all its subscriptions. Costs what they are.
  void remove(Subscriber& subscriber) noexcept;
  bool subscribed(const Subscriber& subscriber, std::string_view name) const noexcept;

  /// Calls `f(Subscriber&)` once for each that a publish to `name` reaches: first those of the name
  /// itself, then those of each pattern that matches, older patterns first, each in the order of
  /// subscribing.
  ///
  /// `f` may subscribe, unsubscribe, remove (and then destroy) any subscriber: one that is gone
  /// before its turn is left out, one that joins may be left out. It may publish; only if that
  /// inner publish changes subscriptions in its turn, it may miss or repeat those concerned.
  template <class F>
  void for_each_match(std::string_view name, F&& f) {
    for_each_match(name, hash(name), f);
  }
  /// The same for who has the name's hash.
  template <class F>
  void for_each_match(std::string_view name, std::uint64_t hash, F&& f);
  /// Whether for_each_match() would call at all.
  bool has_match(std::string_view name) const noexcept;

  /// Of a name, as the tables have it.
  std::uint64_t hash(std::string_view name) const noexcept {
    return hash_name(name, options_.seed);
  }

  /// Those subscribed under exactly this name or pattern; `f` may do the same as above.
  template <class F>
  void for_each_subscriber(std::string_view name, F&& f);
  std::size_t subscriber_count(std::string_view name) const noexcept;

  /// Names and patterns that somebody is subscribed to. (Within a walk: those just left count
  /// still.)
  std::size_t channel_count() const noexcept { return names_.size(); }
  std::size_t pattern_count() const noexcept { return patterns_.size(); }
  /// In no particular order; the views live until the channel's last subscriber leaves.
  std::vector<std::string_view> channels() const;
  std::vector<std::string_view> patterns() const;

  const MatchCache& match_cache() const noexcept { return cache_; }

  /// Another number: somebody has subscribed or left.
  std::uint64_t changes() const noexcept { return changes_; }

 private:
  static constexpr std::uint32_t kMostTriedAtOnce = 8;

  // The patterns that match a name: a few of them in place, or an entry of the cache.
  struct Matches {
    std::size_t size() const noexcept {
      return entry != nullptr ? entry->patterns().size() : count;
    }
    // By index, as the list of an entry may grow during a walk. It does not shrink in one.
    Pattern& operator[](std::size_t i) const noexcept {
      return *(entry != nullptr ? entry->patterns()[i] : few[i]);
    }
    std::array<Pattern*, kMostTriedAtOnce> few;
    std::uint32_t count = 0;
    MatchCache::Entry* entry = nullptr;
  };

  // While one is alive, lists keep their places and channels stay where they are.
  class Walk {
   public:
    explicit Walk(Channels& channels) noexcept : channels_(channels) { ++channels_.walks_; }
    Walk(const Walk&) = delete;
    Walk& operator=(const Walk&) = delete;
    ~Walk() {
      if (--channels_.walks_ == 0 && !channels_.deferred_.empty()) channels_.settle_deferred();
    }

   private:
    Channels& channels_;
  };

  class Pin {
   public:
    Pin(MatchCache& cache, MatchCache::Entry* entry) noexcept : cache_(cache), entry_(entry) {
      if (entry_ != nullptr) cache_.pin(*entry_);
    }
    Pin(const Pin&) = delete;
    Pin& operator=(const Pin&) = delete;
    ~Pin() {
      if (entry_ != nullptr) cache_.unpin(*entry_);
    }

   private:
    MatchCache& cache_;
    MatchCache::Entry* entry_;
  };

  Channel* find(std::string_view name) const noexcept;
  Channel& make(std::string_view name);
  void settle_or_defer(Channel& channel) noexcept;
  void settle(Channel& channel) noexcept;
  void settle_deferred() noexcept;
  Matches match(std::string_view name, std::uint64_t hash);
  std::uint32_t next_publish() noexcept;

  template <class F>
  void walk_all(Channel* exact, const Matches& matches, F& f);
  template <class F>
  void walk_all_nested(Channel* exact, const Matches& matches, F& f);

  ChannelsOptions options_;
  NameTable<Channel> names_;
  PatternIndex patterns_;
  MatchCache cache_;
  std::uint32_t walks_ = 0;
  std::uint32_t publish_ = 0;
  std::uint64_t changes_ = 0;
  std::vector<Channel*> deferred_;  // left during a walk
};

template <class F>
void Channels::for_each_match(std::string_view name, std::uint64_t hash, F&& f) {
  Channel* const exact = names_.find(name, hash);
  if (patterns_.empty()) {
    if (exact == nullptr) return;
    const Walk walk(*this);
    exact->for_each(f);
    return;
  }
  const Matches matches = match(name, hash);
  const Walk walk(*this);
  const Pin pin(cache_, matches.entry);
  const std::size_t sources = matches.size() + (exact != nullptr ? 1 : 0);
  if (sources == 0) return;
  if (sources == 1) {
    (exact != nullptr ? *exact : matches[0]).for_each(f);
  } else if (walks_ == 1) {
    walk_all(exact, matches, f);
  } else {
    walk_all_nested(exact, matches, f);
  }
}

template <class F>
void Channels::for_each_subscriber(std::string_view name, F&& f) {
  Channel* const channel = find(name);
  if (channel == nullptr) return;
  const Walk walk(*this);
  channel->for_each(f);
}

template <class F>
void Channels::walk_all(Channel* exact, const Matches& matches, F& f) {
  const std::uint32_t publish = next_publish();
  const auto once = [&](Subscriber& subscriber) {
    if (subscriber.seen_ == publish) return;
    subscriber.seen_ = publish;
    f(subscriber);
  };
  if (exact != nullptr) exact->for_each(once);
  for (std::size_t i = 0, end = matches.size(); i < end; ++i) matches[i].for_each(once);
}

// A publish from within a publish must not stamp: the outer one would send twice.
template <class F>
void Channels::walk_all_nested(Channel* exact, const Matches& matches, F& f) {
  if (exact != nullptr) exact->for_each(f);
  for (std::size_t i = 0, end = matches.size(); i < end; ++i) {
    matches[i].for_each([&](Subscriber& subscriber) {
      bool seen = exact != nullptr && subscriber.holds(exact);
      for (std::size_t j = 0; j < i && !seen; ++j) seen = subscriber.holds(&matches[j]);
      if (!seen) f(subscriber);
    });
  }
}

}  // namespace webshocket::shards
