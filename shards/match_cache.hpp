/// Which patterns match a name, remembered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "shards/name_table.hpp"
#include "shards/pattern_index.hpp"

namespace webshocket::shards {

/// Bounded in bytes; what was not asked for lately goes first (clock). A new or dropped pattern
/// changes the lists of exactly the names that it matches, and looks at no others than those that
/// start like it, so an answer is never stale and subscribing never empties the cache.
class MatchCache {
 public:
  class Entry {
   public:
    std::string_view name() const noexcept { return name_; }
    /// In the order of their serial.
    const std::vector<Pattern*>& patterns() const noexcept { return patterns_; }

   private:
    friend class MatchCache;
    std::string name_;
    std::vector<Pattern*> patterns_;
    std::uint64_t hash_ = 0;
    std::size_t bytes_ = 0;
    std::uint32_t place_ = 0;
    std::uint32_t pins_ = 0;
    bool asked_for_ = false;
  };

  explicit MatchCache(std::size_t limit) noexcept : limit_(limit) {}
  MatchCache(const MatchCache&) = delete;
  MatchCache& operator=(const MatchCache&) = delete;
  ~MatchCache();

  /// `hash` as of hash_name().
  Entry* find(std::string_view name, std::uint64_t hash) const noexcept {
    Entry* entry = by_name_.find(name, hash);
    if (entry != nullptr) entry->asked_for_ = true;
    return entry;
  }
  /// REQUIRES: not there yet. The entry may be gone at the next call unless it is pinned; that it
  /// is over the limit all by itself is no reason not to return it.
  Entry& insert(std::string_view name, std::uint64_t hash, std::vector<Pattern*> patterns);

  void pin(Entry& entry) noexcept { ++entry.pins_; }
  void unpin(Entry& entry) noexcept {
    if (--entry.pins_ == 0 && bytes_ > limit_) trim();
  }

  /// REQUIRES: its serial is above all others'. Does nothing if it throws.
  void on_added(Pattern& pattern);
  void on_dropped(const Pattern& pattern) noexcept;

  std::size_t size() const noexcept { return ring_.size(); }
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct ByName {
    using is_transparent = void;
    bool operator()(const Entry* a, const Entry* b) const noexcept { return a->name() < b->name(); }
    bool operator()(const Entry* a, std::string_view b) const noexcept { return a->name() < b; }
    bool operator()(std::string_view a, const Entry* b) const noexcept { return a < b->name(); }
  };

  template <class F>
  void for_each_matched(const Pattern& pattern, F&& f);
  void weigh(Entry& entry) noexcept;
  void erase(Entry& entry) noexcept;
  void trim() noexcept;

  std::size_t limit_;
  std::size_t bytes_ = 0;
  std::size_t hand_ = 0;
  NameTable<Entry> by_name_;
  std::set<Entry*, ByName> sorted_;
  std::vector<Entry*> ring_;
};

}  // namespace webshocket::shards
