/// What the shards of a process keep of messages together, against one limit.
#pragma once

#include <atomic>
#include <cstddef>

namespace webshocket::shards {

/// Each shard tells what it keeps. When all of it is too much, those give way that keep more than
/// their share of the limit: there is one at least. Any thread.
class MemoryBudget {
 public:
  /// Less of a difference is not worth a write to what all shards read.
  static constexpr std::size_t kGrain = 64 * 1024;

  /// A `limit` of 0: none.
  MemoryBudget(std::size_t limit, std::size_t shards) noexcept : limit_(limit), shards_(shards) {}

  /// `told` is what the same shard has told before, and is brought up to date.
  void tell(std::size_t& told, std::size_t bytes) noexcept {
    const std::size_t difference = bytes > told ? bytes - told : told - bytes;
    if (limit_ == 0 || difference < kGrain) return;
    used_.fetch_add(bytes - told, std::memory_order_relaxed);
    told = bytes;
  }
  bool is_over() const noexcept {
    return limit_ != 0 && used_.load(std::memory_order_relaxed) > limit_;
  }
  std::size_t share() const noexcept { return limit_ / shards_; }

  /// True for the first who asks since it has become too much: he is to tell the others.
  bool must_tell_others() noexcept {
    if (!is_over()) {
      if (is_known_.load(std::memory_order_relaxed)) is_known_.store(false);
      return false;
    }
    return !is_known_.exchange(true);
  }

 private:
  const std::size_t limit_;
  const std::size_t shards_;
  std::atomic<std::size_t> used_{0};
  std::atomic<bool> is_known_{false};
};

}  // namespace webshocket::shards
