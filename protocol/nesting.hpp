/// Where in a value a stream of `Sink` events stands.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <webshocket/payload.hpp>

namespace webshocket::protocol {

/// Judges whether events make exactly one value: announced sizes are kept, keys are scalars, what
/// was begun is ended. A user's `webshocket_write` may do anything, and bytes that do not add up
/// would poison a connection.
class Nesting {
 public:
  /// Before a scalar. False: it may not stand here, or an earlier event was wrong.
  bool scalar() noexcept {
    if (left_ == 0) return fail();
    --left_;
    return ok_;
  }

  bool open(bool map, std::size_t size) noexcept {
    const bool sized = size != Sink::kUnknownSize;
    if (left_ == 0 || depth_ == Sink::kMaxDepth || at_key() || (sized && size > kLargest)) {
      return fail();
    }
    levels_[depth_++] = {left_ - 1, map_};
    // The parity of what is left tells keys from values: an unknown size must be even.
    left_ = !sized ? kUnknown : map ? std::uint64_t{size} * 2 : std::uint64_t{size};
    map_ = map;
    return ok_;
  }

  /// In place of a whole array or map with so many levels.
  bool whole(std::size_t height) noexcept {
    if (left_ == 0 || at_key() || height > Sink::kMaxDepth - depth_) return fail();
    --left_;
    return ok_;
  }

  bool close(bool map) noexcept {
    const bool all_there = left_ == 0 || (left_ > kUnknown / 2 && !(map && left_ % 2 == 1));
    if (depth_ == 0 || map_ != map || !all_there) return fail();
    const Level& level = levels_[--depth_];
    left_ = level.left;
    map_ = level.map;
    return ok_;
  }

  /// Whether the next event is a map's key.
  bool at_key() const noexcept { return map_ && left_ % 2 == 0; }
  /// Whether the next event is a map's value.
  bool at_value() const noexcept { return map_ && left_ % 2 == 1; }
  std::size_t depth() const noexcept { return depth_; }

  bool complete() const noexcept { return ok_ && depth_ == 0 && left_ == 0; }
  bool fail() noexcept { return ok_ = false; }

 private:
  static constexpr std::size_t kLargest = UINT32_MAX;
  static constexpr std::uint64_t kUnknown = UINT64_MAX - 1;

  struct Level {
    std::uint64_t left;
    bool map;
  };

  std::uint64_t left_ = 1;  ///< scalars and containers still to come on this level
  std::size_t depth_ = 0;
  bool map_ = false;
  bool ok_ = true;
  std::array<Level, Sink::kMaxDepth> levels_;  // left uninitialised: only what is open is touched
};

}  // namespace webshocket::protocol
