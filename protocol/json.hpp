/// JSON (RFC 8259): text to a `Value` tree, `Sink` events to text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <webshocket/packet.hpp>
#include <webshocket/payload.hpp>

#include "api/document_builder.hpp"
#include "protocol/buffer.hpp"
#include "protocol/nesting.hpp"

namespace webshocket::protocol {

/// Feeds the one value that `message` is to `builder`. False, and why, if the text is not exactly
/// one value in UTF-8, or exceeds the limits. Strings point into `message`, those with escapes into
/// the builder's arena. Numbers without fraction and exponent are integers while 64 bits hold them,
/// all others are real. Never recurses.
bool read_json(std::span<const std::byte> message, const DecodeLimits& limits,
               detail::DocumentBuilder& builder, std::string_view& why);

/// The same, in one pass, for a message that is all right, as nearly all are: of any other one it
/// says no more than false, and the builder has to be restarted.
bool read_well_formed_json(std::span<const std::byte> message, const DecodeLimits& limits,
                           detail::DocumentBuilder& builder);
/// The same by RapidJSON, which says why, and does not tell where a value begins. To it any
/// exponent beyond 308 is too large, also that of a number that is not.
bool judge_json(std::span<const std::byte> message, const DecodeLimits& limits,
                detail::DocumentBuilder& builder, std::string_view& why);

/// Appends one value without spaces. Binary data becomes base64, NaN and infinities null, keys of
/// any type strings; text that is not UTF-8 is sent with U+FFFD in place of what is wrong. An ext
/// value cannot be written.
class JsonWriter final : public Sink {
 public:
  explicit JsonWriter(Buffer& out) noexcept : out_(out) {}

  /// Whether exactly one value was written and JSON can hold it.
  bool complete() const noexcept { return nesting_.complete(); }
  /// Whether the value is a map and the next event one of its own keys, or its end.
  bool at_outermost_key() const noexcept { return nesting_.depth() == 1 && nesting_.at_key(); }

  void null() override;
  void boolean(bool value) override;
  void integer(std::int64_t value) override;
  void unsigned_integer(std::uint64_t value) override;
  void real(double value) override;
  void string(std::string_view text) override;
  void binary(std::span<const std::byte> bytes) override;
  void ext(std::int8_t type, std::span<const std::byte> bytes) override;
  void begin_array(std::size_t size) override;
  void end_array() override;
  void begin_map(std::size_t size) override;
  void end_map() override;
  bool take_encoded(Format format, std::span<const std::byte> bytes, std::size_t height) override;

 private:
  void separate();
  void literal(std::string_view text);
  void begin(bool map, std::size_t size);
  void end(bool map);

  Buffer& out_;
  bool first_ = true;  ///< nothing was written yet since the innermost bracket
  Nesting nesting_;
};

}  // namespace webshocket::protocol
