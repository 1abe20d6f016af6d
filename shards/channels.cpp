#include "shards/channels.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace webshocket::shards {

Channels::Channels(ChannelsOptions options)
    : options_(options), patterns_(options.seed), cache_(options.match_cache_bytes) {
  options_.tried_at_once = std::min(options_.tried_at_once, kMostTriedAtOnce);
}

Channels::~Channels() {
  names_.for_each([](Channel& channel) { Channel::Owner owner(&channel); });
}

Channel* Channels::find(std::string_view name) const noexcept {
  if (is_pattern(name)) return patterns_.find(name);
  return names_.find(name, hash(name));
}

Channel& Channels::make(std::string_view name) {
  if (is_pattern(name)) {
    Pattern& pattern = patterns_.add(name);
    try {
      cache_.on_added(pattern);
    } catch (...) {
      patterns_.drop(pattern);
      throw;
    }
    return pattern;
  }
  Channel::Owner channel = Channel::make(name);
  names_.insert(*channel, hash(name));
  return *channel.release();
}

bool Channels::subscribe(Subscriber& subscriber, std::string_view name) {
  Channel* channel = find(name);
  if (channel != nullptr && subscriber.holds(channel)) return false;
  if (channel == nullptr) channel = &make(name);
  // Without a subscription it was not seen when the numbers began anew. A walk that goes on leaves
  // it out, as that may have reached it before.
  if (subscriber.subscription_count() == 0) subscriber.seen_ = walks_ == 0 ? 0 : publish_;
  try {
    channel->add(subscriber);
  } catch (...) {
    settle_or_defer(*channel);
    throw;
  }
  ++changes_;
  return true;
}

bool Channels::unsubscribe(Subscriber& subscriber, std::string_view name) noexcept {
  Channel* const channel = find(name);
  if (channel == nullptr) return false;
  const std::uint32_t* const place = subscriber.find(channel);
  if (place == nullptr) return false;
  channel->remove(*place);
  subscriber.erase(channel);
  ++changes_;
  settle_or_defer(*channel);
  return true;
}

void Channels::remove(Subscriber& subscriber) noexcept {
  ++changes_;
  subscriber.for_each([&](const Subscriptions::Entry& entry) {
    entry.channel->remove(entry.place);
    settle_or_defer(*entry.channel);
  });
  subscriber.clear();
}

bool Channels::subscribed(const Subscriber& subscriber, std::string_view name) const noexcept {
  if (subscriber.subscription_count() == 0) return false;
  const Channel* const channel = find(name);
  return channel != nullptr && subscriber.holds(channel);
}

void Channels::settle_or_defer(Channel& channel) noexcept {
  if (walks_ == 0) return settle(channel);
  if (channel.is_deferred()) return;
  try {
    deferred_.push_back(&channel);
    channel.set_deferred(true);
  } catch (...) {
    // No memory to remember it: the channel keeps its gaps until somebody else leaves it.
  }
}

void Channels::settle(Channel& channel) noexcept {
  channel.tidy();
  if (channel.subscribers() != 0) return;
  if (channel.is_pattern()) {
    auto& pattern = static_cast<Pattern&>(channel);
    cache_.on_dropped(pattern);
    patterns_.drop(pattern);
  } else {
    names_.erase(channel, hash(channel.name()));
    const Channel::Owner owner(&channel);
  }
}

void Channels::settle_deferred() noexcept {
  for (Channel* channel : deferred_) {
    channel->set_deferred(false);
    settle(*channel);
  }
  deferred_.clear();
}

Channels::Matches Channels::match(std::string_view name, std::uint64_t name_hash) {
  Matches matches;
  matches.entry = cache_.find(name, name_hash);
  if (matches.entry != nullptr) return matches;

  std::array<const PatternGroup*, kMostTriedAtOnce> groups;
  std::size_t group_count = 0;
  std::size_t candidates = 0;
  patterns_.for_each_candidate(name, [&](const PatternGroup& group) {
    candidates += group.patterns.size();
    if (candidates > options_.tried_at_once) return false;
    groups[group_count++] = &group;
    return true;
  });
  const auto older = [](const Pattern* a, const Pattern* b) { return a->serial() < b->serial(); };
  if (candidates > options_.tried_at_once) {
    std::vector<Pattern*> found;
    patterns_.for_each_candidate(name, [&](const PatternGroup& group) {
      std::copy_if(group.patterns.begin(), group.patterns.end(), std::back_inserter(found),
                   [&](const Pattern* pattern) { return pattern->matches(name); });
      return true;
    });
    std::sort(found.begin(), found.end(), older);
    matches.entry = &cache_.insert(name, name_hash, std::move(found));
    return matches;
  }
  auto* end = matches.few.data();
  for (std::size_t i = 0; i < group_count; ++i) {
    for (Pattern* pattern : groups[i]->patterns) {
      if (pattern->matches(name)) *end++ = pattern;
    }
  }
  std::sort(matches.few.data(), end, older);
  matches.count = static_cast<std::uint32_t>(end - matches.few.data());
  return matches;
}

bool Channels::has_match(std::string_view name) const noexcept {
  const std::uint64_t name_hash = hash(name);
  const Channel* const exact = names_.find(name, name_hash);
  if (exact != nullptr && exact->subscribers() != 0) return true;
  if (patterns_.empty()) return false;
  const auto has_subscribers = [](const Pattern* pattern) { return pattern->subscribers() != 0; };
  if (const MatchCache::Entry* entry = cache_.find(name, name_hash)) {
    return std::any_of(entry->patterns().begin(), entry->patterns().end(), has_subscribers);
  }
  bool found = false;
  patterns_.for_each_candidate(name, [&](const PatternGroup& group) {
    found = std::any_of(group.patterns.begin(), group.patterns.end(), [&](const Pattern* pattern) {
      return has_subscribers(pattern) && pattern->matches(name);
    });
    return !found;
  });
  return found;
}

std::size_t Channels::subscriber_count(std::string_view name) const noexcept {
  const Channel* const channel = find(name);
  return channel == nullptr ? 0 : channel->subscribers();
}

std::vector<std::string_view> Channels::channels() const {
  std::vector<std::string_view> names;
  names.reserve(names_.size());
  names_.for_each([&](const Channel& channel) {
    if (channel.subscribers() != 0) names.push_back(channel.name());
  });
  return names;
}

std::vector<std::string_view> Channels::patterns() const {
  std::vector<std::string_view> names;
  names.reserve(patterns_.size());
  patterns_.for_each([&](const Pattern& pattern) {
    if (pattern.subscribers() != 0) names.push_back(pattern.name());
  });
  return names;
}

std::uint32_t Channels::next_publish() noexcept {
  if (publish_ < options_.publish_numbers) return ++publish_;
  // Else a mark of the last round would pass for one of this.
  const auto forget = [](const Channel& channel) {
    channel.for_each([](Subscriber& subscriber) { subscriber.seen_ = 0; });
  };
  names_.for_each(forget);
  patterns_.for_each(forget);
  return publish_ = 1;
}

}  // namespace webshocket::shards
