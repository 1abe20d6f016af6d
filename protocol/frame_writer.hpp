/// A message in, framed bytes out.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <webshocket/types.hpp>

#include "protocol/buffer.hpp"
#include "protocol/frame_header.hpp"
#include "protocol/mask.hpp"

namespace webshocket::protocol {

/// What `write_message` adds to the buffer. A `fragment_size` of 0 never splits.
inline std::size_t framed_size(std::size_t payload, std::size_t fragment_size,
                               bool masked = false) noexcept {
  if (fragment_size == 0 || payload <= fragment_size) {
    return FrameHeader::size_for(payload, masked) + payload;
  }
  const std::size_t rest = payload % fragment_size;
  return payload / fragment_size * (FrameHeader::size_for(fragment_size, masked) + fragment_size) +
         (rest == 0 ? 0 : FrameHeader::size_for(rest, masked) + rest);
}

/// Appends the message as one frame, or, when it is larger than `fragment_size`, as fragments of
/// exactly that size and a last one with the rest, which is never empty. Without a mask source the
/// frames are a server's. `compressed`: the payload is permessage-deflate's.
/// REQUIRES: `opcode` is text or binary; the payload is not in `out`.
void write_message(Buffer& out, Opcode opcode, std::span<const std::byte> payload,
                   std::size_t fragment_size, MaskSource mask = {}, bool compressed = false);

/// The body is empty for the codes that never go on the wire (`no_status`, `abnormal`). The reason
/// is cut between two code points at 123 bytes; one that is not UTF-8 is left out.
void write_close(Buffer& out, CloseCode code, std::string_view reason, MaskSource mask = {});

/// REQUIRES: at most 125 bytes; what is beyond is cut off.
void write_ping(Buffer& out, std::span<const std::byte> payload, MaskSource mask = {});
void write_pong(Buffer& out, std::span<const std::byte> payload, MaskSource mask = {});

}  // namespace webshocket::protocol
