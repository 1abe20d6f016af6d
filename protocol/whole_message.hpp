/// The message that lies whole in the input: what nearly all input is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <webshocket/types.hpp>

#include "protocol/frame_header.hpp"
#include "protocol/mask.hpp"
#include "protocol/text.hpp"

namespace webshocket::protocol {

struct WholeMessage {
  Opcode opcode = Opcode::binary;     ///< text or binary
  std::span<std::byte> payload = {};  ///< unmasked, where it lies
};

/// Takes a message in one plain frame off the front of the input. Nothing, and the input as it was,
/// if what lies there is anything else, or anything is wrong with it: what then, a `FrameReader`
/// knows. REQUIRES: the input begins between two messages. `role` and `max_message` as there.
inline std::optional<WholeMessage> take_whole(std::span<std::byte>& input, Role role,
                                              std::size_t max_message) noexcept {
  if (input.size() < FrameHeader::kMinSize || !FrameHeader::is_plain(input, role)) return {};
  const std::size_t size = FrameHeader::size(input);
  if (input.size() < size) return {};
  const bool masked = role == Role::server;
  const std::uint64_t length = FrameHeader::payload_length(input);
  if (length > input.size() - size || size != FrameHeader::size_for(length, masked)) return {};
  if (max_message != 0 && length > max_message) return {};
  const std::span<std::byte> payload = input.subspan(size, static_cast<std::size_t>(length));
  const MaskKey key = masked ? FrameHeader::mask_key(input) : MaskKey{};
  if (masked) apply_mask(payload, key);
  const Opcode opcode = FrameHeader::opcode_of(input);
  if (opcode == Opcode::text && !is_text(as_text(payload))) {
    if (masked) apply_mask(payload, key);
    return {};
  }
  input = input.subspan(size + payload.size());
  return WholeMessage{opcode, payload};
}

}  // namespace webshocket::protocol
