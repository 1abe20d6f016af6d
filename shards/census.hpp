/// Who could want a message: counts of connections per shard, per bucket of channels, per form.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "shards/message.hpp"
#include "shards/name_table.hpp"

namespace webshocket::shards {

/// Raised before `subscribe` or `on_connect` returns, lowered when the last has gone; so a
/// publisher sees everybody who was there before it. It may see too many, as channels share
/// buckets: then a shard gets a message that it drops. Each count belongs to its shard's thread;
/// any thread may ask for the forms.
///
/// Who comes while messages are on their way is served from a moment on, and then without a gap,
/// although some of those messages happen to be there in a form that fits: `moment` is asked for
/// before `forms`, and `made` says which forms have been wanted all the time since then.
class Census {
 public:
  using Bucket = std::size_t;
  static constexpr Bucket kEverybody = 0;
  static constexpr Bucket kPatterns = 1;

  Census(std::size_t shards, std::uint64_t seed)
      : seed_(seed),
        entries_(std::make_unique<Entry[]>(shards * kBuckets)),
        latest_(std::make_unique<Latest[]>(shards)),
        forms_(std::make_unique<std::atomic<Forms>[]>(shards * kBuckets)) {}

  /// With this the channels of every shard are hashed, too: so it is done once.
  std::uint64_t seed() const noexcept { return seed_; }
  std::uint64_t hash(std::string_view channel) const noexcept { return hash_name(channel, seed_); }
  static Bucket bucket_of(std::uint64_t hash) noexcept { return kFirstName + hash % kNames; }
  Bucket bucket_of(std::string_view channel) const noexcept { return bucket_of(hash(channel)); }

  void raise(std::size_t shard, Bucket bucket, Form form) noexcept;
  void lower(std::size_t shard, Bucket bucket, Form form) noexcept;

  Forms forms(std::size_t shard, Bucket bucket) const noexcept {
    return forms_[shard * kBuckets + bucket].load(std::memory_order_acquire);
  }

  /// Any thread. Never goes back.
  std::uint64_t moment() const noexcept { return moment_.load(std::memory_order_acquire); }

  /// Whether nobody whose form was new has come to the shard since. The shard's thread.
  bool is_settled(std::size_t shard, std::uint64_t moment) const noexcept {
    return latest_[shard].moment <= moment;
  }
  /// The forms that each message to the bucket, and to patterns unless it is everybody's, has been
  /// made in for this shard from `moment` on. The shard's thread.
  Forms made(std::size_t shard, Bucket bucket, std::uint64_t moment) const noexcept;

 private:
  static constexpr std::size_t kFirstName = 2;
  static constexpr std::size_t kNames = 1022;
  static constexpr std::size_t kBuckets = kFirstName + kNames;
  static constexpr std::uint64_t kNever = static_cast<std::uint64_t>(-1);

  struct Entry {
    Entry() noexcept { since.fill(kNever); }
    std::array<std::uint32_t, kForms> counts{};
    /// For how long messages have been made so: for those who are counted here, or, if they have
    /// gone, for those of patterns who were there meanwhile.
    std::array<std::uint64_t, kForms> since;
  };
  /// Each on a cache line of its own: it is looked at with every delivery.
  struct alignas(64) Latest {
    std::uint64_t moment = 0;
  };

  Entry& entry(std::size_t shard, Bucket bucket) noexcept {
    return entries_[shard * kBuckets + bucket];
  }
  const Entry& entry(std::size_t shard, Bucket bucket) const noexcept {
    return entries_[shard * kBuckets + bucket];
  }
  void tell(std::size_t shard, Bucket bucket) noexcept;

  std::uint64_t seed_;
  std::unique_ptr<Entry[]> entries_;
  std::unique_ptr<Latest[]> latest_;
  std::unique_ptr<std::atomic<Forms>[]> forms_;       ///< those whose count is not 0: what is read
  alignas(64) std::atomic<std::uint64_t> moment_{0};  ///< grows with each form that comes up
};

}  // namespace webshocket::shards
