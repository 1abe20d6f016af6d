#include "shards/census.hpp"

#include <algorithm>

namespace webshocket::shards {

void Census::raise(std::size_t shard, Bucket bucket, Form form) noexcept {
  const auto which = static_cast<std::size_t>(form);
  Entry& own = entry(shard, bucket);
  if (own.counts[which]++ != 0) return;
  tell(shard, bucket);
  // Who reads this moment, or a later one, finds the form.
  const std::uint64_t now = moment_.fetch_add(1, std::memory_order_acq_rel) + 1;
  latest_[shard].moment = now;
  if (own.since[which] != kNever) return;  // patterns have had it made so all along
  own.since[which] = now;
  if (bucket >= kFirstName) {
    own.since[which] = std::min(now, entry(shard, kPatterns).since[which]);
  }
}

void Census::lower(std::size_t shard, Bucket bucket, Form form) noexcept {
  const auto which = static_cast<std::size_t>(form);
  Entry& own = entry(shard, bucket);
  if (--own.counts[which] != 0) return;
  tell(shard, bucket);
  if (bucket == kPatterns) {
    for (Bucket name = kFirstName; name < kBuckets; ++name) {
      Entry& other = entry(shard, name);
      if (other.counts[which] == 0) other.since[which] = kNever;
    }
  }
  const bool goes_on = bucket >= kFirstName && entry(shard, kPatterns).counts[which] != 0;
  if (!goes_on) own.since[which] = kNever;
}

Forms Census::made(std::size_t shard, Bucket bucket, std::uint64_t moment) const noexcept {
  const Entry& own = entry(shard, bucket);
  const Entry& patterns = bucket == kEverybody ? own : entry(shard, kPatterns);
  Forms made;
  for (std::size_t i = 0; i < kForms; ++i) {
    if (std::min(own.since[i], patterns.since[i]) <= moment) made.add(static_cast<Form>(i));
  }
  return made;
}

void Census::tell(std::size_t shard, Bucket bucket) noexcept {
  const Entry& own = entry(shard, bucket);
  Forms forms;
  for (std::size_t i = 0; i < kForms; ++i) {
    if (own.counts[i] != 0) forms.add(static_cast<Form>(i));
  }
  forms_[shard * kBuckets + bucket].store(forms, std::memory_order_release);
}

}  // namespace webshocket::shards
