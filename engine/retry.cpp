#include "engine/retry.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <system_error>
#include <utility>

#include "api/deadline.hpp"

namespace webshocket::engine {
namespace {

/// Without an end to the tries, their reasons must have one.
constexpr std::size_t kComplaintsKept = 32;

std::optional<std::chrono::milliseconds> asked_pause(std::string_view reason) noexcept {
  constexpr std::string_view kBegin = "reconnect in ";
  constexpr std::string_view kEnd = " ms";
  if (!reason.starts_with(kBegin) || !reason.ends_with(kEnd)) return std::nullopt;
  reason.remove_prefix(kBegin.size());
  if (reason.size() <= kEnd.size()) return std::nullopt;
  reason.remove_suffix(kEnd.size());
  std::uint32_t count = 0;
  const auto [end, error] = std::from_chars(reason.data(), reason.data() + reason.size(), count);
  if (error != std::errc() || end != reason.data() + reason.size()) return std::nullopt;
  return std::chrono::milliseconds(count);
}

}  // namespace

Tries::Tries(const Retry& retry, Clock::time_point now)
    : attempts_(retry.attempts),
      interval_(webshocket::detail::bounded_timeout(retry.interval)),
      max_interval_(webshocket::detail::bounded_timeout(retry.max_interval)),
      jitter_(webshocket::detail::bounded_timeout(retry.jitter)),
      deadline_(webshocket::detail::bounded_timeout(retry.deadline)),
      began_(now) {}

std::optional<std::chrono::nanoseconds> Tries::allowance(std::chrono::nanoseconds timeout,
                                                         Clock::time_point now) const noexcept {
  if (deadline_.count() == 0) return timeout;
  const std::chrono::nanoseconds left = began_ + deadline_ - now;
  if (left.count() <= 0) return std::nullopt;
  return timeout.count() == 0 ? left : std::min(timeout, left);
}

void Tries::failed(std::string complaint, int http_status) {
  ++count_;
  http_status_ = http_status;
  if (complaints_.size() == kComplaintsKept) complaints_.erase(complaints_.begin());
  complaints_.push_back(std::move(complaint));
}

std::chrono::nanoseconds Tries::jitter(std::uint64_t random) const noexcept {
  const auto most = static_cast<std::uint64_t>(jitter_.count());
  return std::chrono::nanoseconds(most == 0 ? 0 : random % most);
}

std::chrono::nanoseconds Tries::first_pause(std::uint64_t random,
                                            std::string_view close_reason) const noexcept {
  const auto asked = asked_pause(close_reason);
  if (!asked) return jitter(random);
  return std::min(webshocket::detail::bounded_timeout(*asked), max_interval_);
}

std::optional<std::chrono::nanoseconds> Tries::pause(std::uint64_t random,
                                                     Clock::time_point now) const noexcept {
  if (attempts_ != 0 && count_ >= attempts_) return std::nullopt;
  std::chrono::nanoseconds wait = interval_;
  for (std::size_t i = 1; i < count_ && wait < max_interval_ && wait.count() != 0; ++i) wait *= 2;
  wait = std::min(wait, max_interval_) + jitter(random);
  if (deadline_.count() != 0 && now + wait >= began_ + deadline_) return std::nullopt;
  return wait;
}

ConnectionFailedError Tries::error(std::string_view uri, Clock::time_point now) const {
  std::string text = "cannot connect to " + std::string(uri);
  if (count_ <= 1) {
    text += ": " + (complaints_.empty() ? "no time was left to try" : complaints_.front());
  } else {
    std::array<char, 64> spent{};
    std::snprintf(spent.data(), spent.size(), " after %zu tries in %.1f s", count_,
                  std::chrono::duration<double>(now - began_).count());
    text += spent.data();
    std::size_t number = count_ - complaints_.size();
    std::string_view separator = ": ";
    for (const std::string& complaint : complaints_) {
      text += std::string(separator) + std::to_string(++number) + ": " + complaint;
      separator = "; ";
    }
  }
  return ConnectionFailedError(text, complaints_, http_status_);
}

}  // namespace webshocket::engine
