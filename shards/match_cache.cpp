#include "shards/match_cache.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace webshocket::shards {

MatchCache::~MatchCache() {
  for (Entry* entry : ring_) delete entry;
}

MatchCache::Entry& MatchCache::insert(std::string_view name, std::uint64_t hash,
                                      std::vector<Pattern*> patterns) {
  auto owner = std::make_unique<Entry>();
  owner->name_ = name;
  owner->patterns_ = std::move(patterns);
  owner->hash_ = hash;
  owner->place_ = static_cast<std::uint32_t>(ring_.size());
  ring_.push_back(owner.get());
  try {
    const auto sorted = sorted_.insert(owner.get()).first;
    try {
      by_name_.insert(*owner, hash);
    } catch (...) {
      sorted_.erase(sorted);
      throw;
    }
  } catch (...) {
    ring_.pop_back();
    throw;
  }
  Entry& entry = *owner.release();
  weigh(entry);
  // The new one must not fall to its own insertion, so it is not unpinned by unpin().
  pin(entry);
  if (bytes_ > limit_) trim();
  --entry.pins_;
  return entry;
}

template <class F>
void MatchCache::for_each_matched(const Pattern& pattern, F&& f) {
  const std::string_view prefix = pattern.prefix();
  if (prefix.empty()) {
    // All of them, and the ring is the quicker way to all.
    for (Entry* entry : ring_) {
      if (pattern.matches(entry->name())) f(*entry);
    }
    return;
  }
  for (auto it = sorted_.lower_bound(prefix); it != sorted_.end(); ++it) {
    if (!(*it)->name().starts_with(prefix)) return;
    if (pattern.matches((*it)->name())) f(**it);
  }
}

void MatchCache::on_added(Pattern& pattern) {
  try {
    for_each_matched(pattern, [&](Entry& entry) {
      entry.patterns_.push_back(&pattern);
      weigh(entry);
    });
  } catch (...) {
    on_dropped(pattern);
    throw;
  }
  if (bytes_ > limit_) trim();
}

void MatchCache::on_dropped(const Pattern& pattern) noexcept {
  for_each_matched(pattern, [&](Entry& entry) {
    auto& list = entry.patterns_;
    const auto place = std::lower_bound(
        list.begin(), list.end(), pattern.serial(),
        [](const Pattern* a, std::uint64_t serial) { return a->serial() < serial; });
    if (place != list.end() && *place == &pattern) list.erase(place);
  });
}

void MatchCache::weigh(Entry& entry) noexcept {
  // A node of the tree, slots of the table and of the ring, and what the allocator adds.
  constexpr std::size_t kOverhead = 160;
  const std::size_t bytes = sizeof(Entry) + kOverhead + entry.name_.capacity() +
                            entry.patterns_.capacity() * sizeof(Pattern*);
  bytes_ += bytes - entry.bytes_;
  entry.bytes_ = bytes;
}

void MatchCache::erase(Entry& entry) noexcept {
  bytes_ -= entry.bytes_;
  by_name_.erase(entry, entry.hash_);
  sorted_.erase(&entry);
  ring_[entry.place_] = ring_.back();
  ring_[entry.place_]->place_ = entry.place_;
  ring_.pop_back();
  delete &entry;
}

void MatchCache::trim() noexcept {
  // Two rounds: the first may find that all were asked for.
  for (std::size_t steps = ring_.size() * 2; steps > 0 && bytes_ > limit_; --steps) {
    if (hand_ >= ring_.size()) hand_ = 0;
    Entry& entry = *ring_[hand_];
    if (entry.pins_ == 0 && !entry.asked_for_) {
      erase(entry);
      if (ring_.empty()) return;
    } else {
      entry.asked_for_ = false;
      ++hand_;
    }
  }
}

}  // namespace webshocket::shards
