#include "shards/pattern_index.hpp"

#include <algorithm>
#include <utility>

namespace webshocket::shards {

PatternIndex::~PatternIndex() {
  groups_.for_each([](PatternGroup& group) { delete &group; });
  by_text_.for_each([](Pattern& pattern) { delete &pattern; });
}

Pattern& PatternIndex::add(std::string_view text) {
  std::unique_ptr<Pattern> pattern(new Pattern(text, next_serial_));
  const std::uint64_t hash = hash_name(text, seed_);
  by_text_.insert(*pattern, hash);
  try {
    join_group(*pattern);
  } catch (...) {
    by_text_.erase(*pattern, hash);
    throw;
  }
  ++next_serial_;
  return *pattern.release();
}

void PatternIndex::drop(Pattern& pattern) noexcept {
  leave_group(pattern);
  by_text_.erase(pattern, hash_name(pattern.name(), seed_));
  delete &pattern;
}

void PatternIndex::join_group(Pattern& pattern) {
  const std::string_view prefix = pattern.prefix();
  const std::uint64_t hash = hash_name(prefix, seed_);
  if (PatternGroup* group = groups_.find(prefix, hash)) {
    group->patterns.push_back(&pattern);
    pattern.group_ = group;
    pattern.place_ = static_cast<std::uint32_t>(group->patterns.size() - 1);
    return;
  }
  auto group = std::make_unique<PatternGroup>();
  group->patterns.push_back(&pattern);
  const auto length = std::lower_bound(lengths_.begin(), lengths_.end(), prefix.size(),
                                       [](const Length& a, std::size_t b) { return a.prefix < b; });
  const auto at = length - lengths_.begin();
  const bool is_new = length == lengths_.end() || length->prefix != prefix.size();
  if (is_new) lengths_.reserve(lengths_.size() + 1);
  groups_.insert(*group, hash);
  // From here on nothing throws.
  if (is_new) lengths_.insert(lengths_.begin() + at, {prefix.size(), 0});
  ++lengths_[static_cast<std::size_t>(at)].groups;
  pattern.group_ = group.release();
  pattern.place_ = 0;
}

void PatternIndex::leave_group(Pattern& pattern) noexcept {
  PatternGroup& group = *pattern.group_;
  if (group.patterns.size() > 1) {
    Pattern* const last = group.patterns.back();
    group.patterns[pattern.place_] = last;
    last->place_ = pattern.place_;
    group.patterns.pop_back();
    return;
  }
  const std::string_view prefix = pattern.prefix();
  groups_.erase(group, hash_name(prefix, seed_));
  const auto length = std::find_if(lengths_.begin(), lengths_.end(), [&](const Length& candidate) {
    return candidate.prefix == prefix.size();
  });
  if (--length->groups == 0) lengths_.erase(length);
  delete &group;
}

}  // namespace webshocket::shards
