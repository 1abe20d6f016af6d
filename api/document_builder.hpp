/// Builds a `Value` tree from `Sink` events: what decoders feed, and how `Document::of` copies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <span>
#include <string_view>

#include <webshocket/detail/arena.hpp>
#include <webshocket/payload.hpp>
#include <webshocket/value.hpp>

namespace webshocket::detail {

/// Clears the document, collects one value, and hands it over with `finish()`.
///
/// Of members with equal keys (same type, same content) the last value counts, at the place of the
/// first, as in Python's dict.
class DocumentBuilder final : public Sink {
 public:
  enum class Strings : std::uint8_t {
    borrow,  ///< strings and binary data outlive the document
    copy,    ///< they move into the document's arena
  };

  DocumentBuilder(Document& document, Strings strings) noexcept
      : document_(document), copy_(strings == Strings::copy) {
    document.clear();
  }
  DocumentBuilder(const DocumentBuilder&) = delete;
  DocumentBuilder& operator=(const DocumentBuilder&) = delete;

  /// Sets the document's root. False, and the document stays null, if the events were not one
  /// value.
  bool finish() noexcept;

  /// Where borrowed strings may live that the message does not hold.
  Arena& arena() noexcept { return document_.arena(); }

  void null() override { ::new (place()) Value(); }
  void boolean(bool value) override { ::new (place()) Value(Value::of(value)); }
  void integer(std::int64_t value) override { ::new (place()) Value(Value::of(value)); }
  void unsigned_integer(std::uint64_t value) override { ::new (place()) Value(Value::of(value)); }
  void real(double value) override { ::new (place()) Value(Value::of(value)); }
  void string(std::string_view text) override;
  void binary(std::span<const std::byte> bytes) override;
  void ext(std::int8_t type, std::span<const std::byte> bytes) override;
  void begin_array(std::size_t size) override;
  void end_array() override;
  void begin_map(std::size_t size) override;
  void end_map() override;

  // By decoders, of containers that begin and end there in a message of that format. If strings are
  // borrowed from it, containers can leave in the bytes that they came in, unless what they are now
  // would be written otherwise: as of members with equal keys only one is left.
  void begin_array_at(const std::byte* begin) { open(false, begin); }
  void end_array_at(const std::byte* end, Format format);
  void begin_map_at(const std::byte* begin) { open(true, begin); }
  void end_map_at(const std::byte* end, Format format);

  /// A part of the innermost open container, or what stands between them, would be written
  /// otherwise than it came in.
  void forget_bytes() noexcept {
    if (frame_ != kNoFrame) frame().begin = nullptr;
  }

  /// As if nothing had been told.
  void restart() noexcept;

 private:
  static constexpr std::size_t kInline = 64;
  static constexpr std::size_t kLargest = std::numeric_limits<std::uint32_t>::max();

  /// Stands below the elements of an open container, and remembers the one around it.
  struct Frame {
    const std::byte* begin;  ///< of its bytes; nullptr: not known, or not what would be written
    std::uint32_t around;
    std::uint16_t height;  ///< levels of containers inside
    bool is_map;
  };
  static_assert(sizeof(Frame) <= sizeof(Value));
  static constexpr std::uint32_t kNoFrame = static_cast<std::uint32_t>(-1);

  /// For the next value. It is made in place: made elsewhere and copied, the copy would wait for
  /// the parts to arrive in memory.
  void* place() {
    if (size_ == capacity_) grow();
    return &stack_[size_++];
  }
  void grow();
  void string_slow(std::string_view text);
  void open(bool map, const std::byte* begin);
  Frame& frame() noexcept;
  /// The parts of the innermost container.
  std::span<const Value> close(bool map);
  /// Room for so many parts of it, and for where it came from.
  template <class Part>
  std::span<Part> make(std::size_t count);
  void end(Value container, const std::byte* end, Format format);

  Document& document_;
  const bool copy_;
  bool ok_ = true;

  // Values whose container is still open, and frames between them.
  alignas(Value) std::array<std::byte, kInline * sizeof(Value)> inline_;
  Value* stack_ = reinterpret_cast<Value*>(inline_.data());
  std::size_t size_ = 0;
  std::size_t capacity_ = kInline;
  std::uint32_t frame_ = kNoFrame;  ///< of the innermost open container
  std::size_t depth_ = 0;
};

inline DocumentBuilder::Frame& DocumentBuilder::frame() noexcept {
  return *std::launder(reinterpret_cast<Frame*>(stack_ + frame_));
}

inline void DocumentBuilder::string(std::string_view text) {
  if (copy_ || text.size() > kLargest) return string_slow(text);
  ::new (place()) Value(Value::of(text));
}

}  // namespace webshocket::detail
