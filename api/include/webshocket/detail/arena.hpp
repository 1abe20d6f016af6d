/// Memory for a decoded message: bump allocation, given back all at once.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace webshocket::detail {

/// Not thread-safe. What it hands out lives until `reset()`, `release()` or its end.
class Arena {
 public:
  Arena() noexcept = default;
  Arena(Arena&&) noexcept = default;
  Arena& operator=(Arena&&) noexcept = default;

  /// `size` bytes, uninitialised. `alignment` is a power of two, at most `alignof(max_align_t)`.
  std::byte* allocate(std::size_t size, std::size_t alignment = alignof(std::max_align_t)) {
    const std::size_t start = (used_ + alignment - 1) & ~(alignment - 1);
    if (current_ < blocks_.size() && start + size <= blocks_[current_].size) {
      used_ = start + size;
      return blocks_[current_].bytes.get() + start;
    }
    return allocate_slow(size);
  }

  template <class T>
  std::span<const T> copy(std::span<const T> items) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (items.empty()) return {};
    auto* place = allocate(items.size_bytes(), alignof(T));
    std::memcpy(place, items.data(), items.size_bytes());
    return {reinterpret_cast<const T*>(place), items.size()};
  }

  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    auto* place = allocate(text.size(), 1);
    std::memcpy(place, text.data(), text.size());
    return {reinterpret_cast<const char*>(place), text.size()};
  }

  /// Forgets every allocation. Keeps at most `keep` bytes of blocks for the next message.
  void reset(std::size_t keep = kKeep) noexcept;

  /// The bytes that have been allocated, and what is lost between them.
  std::size_t used() const noexcept;
  /// The bytes that the arena holds from the system.
  std::size_t capacity() const noexcept;

 private:
  static constexpr std::size_t kFirstBlock = 1024;
  static constexpr std::size_t kLargestBlock = 1024 * 1024;
  static constexpr std::size_t kKeep = 256 * 1024;

  struct Block {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t size;
  };

  std::byte* allocate_slow(std::size_t size);

  std::vector<Block> blocks_;
  std::size_t current_ = 0;  ///< the block that is being filled
  std::size_t used_ = 0;     ///< bytes taken from it
};

}  // namespace webshocket::detail
