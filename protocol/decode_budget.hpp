/// `DecodeLimits`, being used up by one message.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include <webshocket/packet.hpp>
#include <webshocket/payload.hpp>

namespace webshocket::protocol {

/// The parts of a larger message do not count in the 32 bits that they have.
inline constexpr std::size_t kLargestMessage = std::numeric_limits<std::uint32_t>::max();
inline constexpr std::string_view kTooLarge = "the message is larger than 4 GiB";

/// Why a message cannot be decoded, if it is for its limits.
inline constexpr std::string_view kTooDeep = "nested too deep";
inline constexpr std::string_view kTooMany = "too many values";

class DecodeBudget {
 public:
  explicit DecodeBudget(const DecodeLimits& limits) noexcept
      : elements_(limits.elements == 0 ? static_cast<std::size_t>(-1) : limits.elements),
        depth_(limits.depth == 0 ? Sink::kMaxDepth : std::min(limits.depth, Sink::kMaxDepth)) {}

  /// One more value or key; false if there are too many.
  bool take() noexcept {
    if (elements_ == 0) return false;
    --elements_;
    return true;
  }
  /// Whether `count` more could be taken.
  bool holds(std::size_t count) const noexcept { return count <= elements_; }

  /// One more level; false if it is too deep.
  bool descend() noexcept {
    if (depth_ == 0) return false;
    --depth_;
    return true;
  }
  void ascend() noexcept { ++depth_; }

 private:
  std::size_t elements_;
  std::size_t depth_;
};

}  // namespace webshocket::protocol
