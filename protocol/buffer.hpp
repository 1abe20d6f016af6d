/// Bytes that grow: what every encoder writes into.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <utility>

namespace webshocket::protocol {

/// Like std::vector<std::byte>, but growing does not clear memory that is about to be written.
class Buffer {
 public:
  Buffer() noexcept = default;
  Buffer(Buffer&& other) noexcept
      : bytes_(std::move(other.bytes_)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    bytes_ = std::move(other.bytes_);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }

  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return capacity_; }
  bool empty() const noexcept { return size_ == 0; }
  std::byte* data() noexcept { return bytes_.get(); }
  const std::byte* data() const noexcept { return bytes_.get(); }
  std::span<std::byte> span() noexcept { return {bytes_.get(), size_}; }
  std::span<const std::byte> span() const noexcept { return {bytes_.get(), size_}; }
  std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(bytes_.get()), size_};
  }

  /// Room for `count` more bytes at the end; they count as written.
  std::byte* extend(std::size_t count) {
    if (capacity_ - size_ < count) grow(count);
    std::byte* place = bytes_.get() + size_;
    size_ += count;
    return place;
  }
  void append(std::span<const std::byte> bytes) {
    if (!bytes.empty()) std::memcpy(extend(bytes.size()), bytes.data(), bytes.size());
  }
  void append(std::string_view text) { append(std::as_bytes(std::span(text))); }
  void push_back(std::byte byte) { *extend(1) = byte; }

  void reserve(std::size_t capacity) {
    if (capacity > capacity_) grow(capacity - size_);
  }
  void resize_down(std::size_t size) noexcept { size_ = size; }
  /// Gives back what it does not need, if there is memory to do it.
  void shrink() noexcept {
    if (capacity_ == size_) return;
    std::unique_ptr<std::byte[]> bytes(size_ == 0 ? nullptr : new (std::nothrow) std::byte[size_]);
    if (size_ != 0 && bytes == nullptr) return;
    if (size_ != 0) std::memcpy(bytes.get(), bytes_.get(), size_);
    bytes_ = std::move(bytes);
    capacity_ = size_;
  }
  void clear() noexcept { size_ = 0; }
  /// Empty, and the memory given back if it is more than `keep` bytes.
  void release(std::size_t keep = 0) noexcept {
    size_ = 0;
    if (capacity_ > keep) {
      bytes_.reset();
      capacity_ = 0;
    }
  }

 private:
  void grow(std::size_t count) {
    std::size_t capacity = capacity_ < 64 ? 64 : capacity_ * 2;
    if (capacity < size_ + count) capacity = size_ + count;
    auto bytes = std::make_unique_for_overwrite<std::byte[]>(capacity);
    if (size_ != 0) std::memcpy(bytes.get(), bytes_.get(), size_);
    bytes_ = std::move(bytes);
    capacity_ = capacity;
  }

  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace webshocket::protocol
