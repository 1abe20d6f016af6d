/// msgpack: bytes to a `Value` tree, `Sink` events to bytes.
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

/// Feeds the one value that `message` is to `builder`. False, and why, if the bytes are not exactly
/// one value, hold text that is not UTF-8, or exceed the limits. Strings and binary data point into
/// `message`. Never recurses, allocates nothing from a declared length.
bool read_msgpack(std::span<const std::byte> message, const DecodeLimits& limits,
                  detail::DocumentBuilder& builder, std::string_view& why);

/// The same, in one pass, for a message that is all right, as nearly all are: of any other one it
/// says no more than false, and the builder has to be restarted.
bool read_well_formed_msgpack(std::span<const std::byte> message, const DecodeLimits& limits,
                              detail::DocumentBuilder& builder);
/// The same by msgpack-cxx, which says why, takes half as long again, and does not tell where a
/// value begins.
bool judge_msgpack(std::span<const std::byte> message, const DecodeLimits& limits,
                   detail::DocumentBuilder& builder, std::string_view& why);

/// Appends one value, with the shortest header that holds it. Text that is not UTF-8 is sent with
/// U+FFFD in place of what is wrong.
class MsgpackWriter final : public Sink {
 public:
  explicit MsgpackWriter(Buffer& out) noexcept : out_(out) {}

  /// Whether exactly one value was written and msgpack can hold it.
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
  Buffer& out_;
  Nesting nesting_;
};

}  // namespace webshocket::protocol
