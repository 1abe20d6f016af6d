/// The checks that settings of either end go through: what is wrong names its field and its value.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <webshocket/compression.hpp>
#include <webshocket/error.hpp>

namespace webshocket::engine {

/// Lengths inside a decoded message are kept in 32 bits.
inline constexpr std::size_t kMaxMessage = std::numeric_limits<std::uint32_t>::max();

/// Of one struct's fields. Each throws `UsageError`.
class Checks {
 public:
  explicit constexpr Checks(std::string_view settings) noexcept : settings_(settings) {}

  [[noreturn]] void refuse(std::string_view field, const std::string& value,
                           std::string_view wanted) const {
    throw UsageError(std::string(settings_) + "::" + std::string(field) + " = " + value + ": " +
                     std::string(wanted));
  }
  void duration(std::string_view field, std::chrono::milliseconds value, bool may_be_zero) const {
    if (value.count() < 0 || (value.count() == 0 && !may_be_zero)) {
      refuse(field, std::to_string(value.count()) + " ms",
             may_be_zero ? "must not be negative" : "must be positive");
    }
  }
  void at_most(std::string_view field, std::size_t value, std::size_t limit) const {
    if (value > limit) refuse(field, std::to_string(value), "at most " + std::to_string(limit));
  }
  void within(std::string_view field, int value, int least, int most) const {
    if (value >= least && value <= most) return;
    refuse(field, std::to_string(value),
           "from " + std::to_string(least) + " to " + std::to_string(most));
  }
  void compression(const Compression& settings) const {
    within("compression.level", settings.level, 1, 9);
    within("compression.window_bits", settings.window_bits, 9, 15);
    within("compression.memory_level", settings.memory_level, 1, 9);
  }

 private:
  std::string_view settings_;
};

/// Of a path that requests are compared with, as they come: what is wrong with it, or nothing.
constexpr std::string_view wrong_with_path(std::string_view path) noexcept {
  if (!path.starts_with('/')) return "a path begins with /";
  for (const char c : path) {
    if (c == '?' || c == '#') return "a path ends before ? and #";
    if (c <= ' ' || c >= 0x7F) return "a path is written as it is sent, percent-encoded";
  }
  return {};
}

inline std::string quoted(std::string_view text) { return '"' + std::string(text) + '"'; }

}  // namespace webshocket::engine
