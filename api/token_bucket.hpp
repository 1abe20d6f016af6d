/// How often something may happen.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

namespace webshocket::detail {

/// So many a second on average, and so many at once. A `per_second` of 0: no limit.
struct TokenRate {
  std::uint64_t per_second = 0;
  std::uint64_t burst = 1;

  explicit operator bool() const noexcept { return per_second != 0; }
  /// In which `count` tokens come.
  std::chrono::nanoseconds time_of(std::uint64_t count) const noexcept {
    constexpr auto kSecond = std::uint64_t{std::nano::den};
    return std::chrono::seconds(count / per_second) +
           std::chrono::nanoseconds(count % per_second * kSecond / per_second);
  }
};

/// A bucket that is filled steadily, as one point in time: when it will be full again. Who uses it
/// tells it the rate, the same each time, and the time.
class TokenBucket {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Takes a token; false, and nothing has happened, if there is none.
  bool take(const TokenRate& rate, TimePoint now) noexcept {
    if (wait(rate, now) > std::chrono::nanoseconds(0)) return false;
    charge(rate, 1, now);
    return true;
  }
  /// Takes tokens, also those that are not there yet.
  void charge(const TokenRate& rate, std::uint64_t count, TimePoint now) noexcept {
    if (rate) full_at_ = (is_full(now) ? now : full_at_) + rate.time_of(count);
  }
  /// Until there is a token; nothing if there is one.
  std::chrono::nanoseconds wait(const TokenRate& rate, TimePoint now) const noexcept {
    if (!rate || is_full(now)) return {};
    const auto lacking = rate.time_of(1) + (full_at_ - now);
    const auto whole = rate.time_of(rate.burst);
    return lacking > whole ? lacking - whole : std::chrono::nanoseconds(0);
  }
  bool is_full(TimePoint now) const noexcept { return full_at_ <= now; }

 private:
  TimePoint full_at_{};
};

/// A bucket with its rate. Any thread.
class SharedBucket {
 public:
  using TimePoint = TokenBucket::TimePoint;

  explicit SharedBucket(TokenRate rate) noexcept : rate_(rate) {}

  std::chrono::nanoseconds wait(TimePoint now) const {
    if (!rate_) return {};
    const std::scoped_lock lock(mutex_);
    return bucket_.wait(rate_, now);
  }
  void charge(TimePoint now) {
    if (!rate_) return;
    const std::scoped_lock lock(mutex_);
    bucket_.charge(rate_, 1, now);
  }

 private:
  const TokenRate rate_;
  mutable std::mutex mutex_;
  TokenBucket bucket_;
};

}  // namespace webshocket::detail
