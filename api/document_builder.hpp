/// Builds a `Value` tree from `Sink` events: what decoders feed, and how `Document::of` copies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
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

 private:
  static constexpr std::size_t kInline = 64;

  /// For the next value. It is made in place: made elsewhere and copied, the copy would wait for
  /// the parts to arrive in memory.
  void* place() {
    if (size_ == capacity_) grow();
    return &stack_[size_++];
  }
  void grow();
  void open(bool map);
  std::span<const Value> close(bool map);
  void end(Value container);

  Document& document_;
  const bool copy_;
  bool ok_ = true;

  // Values whose container is still open. Below the elements of an open container stands a
  // placeholder that remembers the container around it.
  alignas(Value) std::array<std::byte, kInline * sizeof(Value)> inline_;
  Value* stack_ = reinterpret_cast<Value*>(inline_.data());
  std::size_t size_ = 0;
  std::size_t capacity_ = kInline;
  std::size_t frame_ = kNoFrame;  ///< the placeholder of the innermost open container
  std::size_t depth_ = 0;

  static constexpr std::size_t kNoFrame = static_cast<std::size_t>(-1);
};

}  // namespace webshocket::detail
