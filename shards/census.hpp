/// Who could want a message: counts of connections per shard, per bucket of channels, per form.
#pragma once

#include <xxhash.h>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "shards/message.hpp"

namespace webshocket::shards {

/// Raised before `subscribe` or `on_connect` returns, lowered when the last has gone; so a
/// publisher sees everybody who was there before it. It may see too many, as channels share
/// buckets: then a shard gets a message that it drops. Each count belongs to its shard's thread;
/// any thread may ask for the forms.
class Census {
 public:
  using Bucket = std::size_t;
  static constexpr Bucket kEverybody = 0;
  static constexpr Bucket kPatterns = 1;

  Census(std::size_t shards, std::uint64_t seed)
      : seed_(seed),
        counts_(std::make_unique<Counts[]>(shards * kBuckets)),
        forms_(std::make_unique<std::atomic<Forms>[]>(shards * kBuckets)) {}

  Bucket bucket_of(std::string_view channel) const noexcept {
    return kFirstName + XXH3_64bits_withSeed(channel.data(), channel.size(), seed_) % kNames;
  }

  void raise(std::size_t shard, Bucket bucket, Form form) noexcept { add(shard, bucket, form, 1); }
  void lower(std::size_t shard, Bucket bucket, Form form) noexcept {
    add(shard, bucket, form, static_cast<std::uint32_t>(-1));
  }

  Forms forms(std::size_t shard, Bucket bucket) const noexcept {
    return forms_[shard * kBuckets + bucket].load(std::memory_order_acquire);
  }

 private:
  static constexpr std::size_t kFirstName = 2;
  static constexpr std::size_t kNames = 1022;
  static constexpr std::size_t kBuckets = kFirstName + kNames;
  using Counts = std::array<std::uint32_t, kForms>;

  void add(std::size_t shard, Bucket bucket, Form form, std::uint32_t change) noexcept {
    Counts& counts = counts_[shard * kBuckets + bucket];
    counts[static_cast<std::size_t>(form)] += change;
    Forms forms;
    for (std::size_t i = 0; i < kForms; ++i) {
      if (counts[i] != 0) forms.add(static_cast<Form>(i));
    }
    forms_[shard * kBuckets + bucket].store(forms, std::memory_order_release);
  }

  std::uint64_t seed_;
  std::unique_ptr<Counts[]> counts_;
  std::unique_ptr<std::atomic<Forms>[]> forms_;  ///< those whose count is not 0: what is read
};

}  // namespace webshocket::shards
