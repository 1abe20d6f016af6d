/// The header of a frame: its fields, and whether it may come now.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <webshocket/types.hpp>

#include "protocol/mask.hpp"

struct wslay_event_context;

namespace webshocket::protocol {

/// Which end of the connection we are.
enum class Role : std::uint8_t { server, client };

///  byte 0: FIN, RSV1 to RSV3, opcode (4 bits); byte 1: MASK, length (7 bits); then 2 more bytes of
///  length if that says 126, 8 if 127; then 4 bytes of key if MASK is set.
struct FrameHeader {
  static constexpr std::size_t kMinSize = 2;
  static constexpr std::size_t kMaxSize = 14;
  static constexpr std::size_t kMaxControlPayload = 125;

  Opcode opcode = Opcode::binary;
  bool fin = false;
  std::uint8_t reserved = 0;  ///< RSV1 is 4, RSV2 is 2, RSV3 is 1
  bool masked = false;
  bool minimal = true;  ///< the length is in its shortest form
  MaskKey key{};
  std::uint64_t length = 0;

  /// What the header takes, as the first `kMinSize` bytes tell.
  static std::size_t size(std::span<const std::byte> begin) noexcept;
  /// What the header of a frame with such a payload takes.
  static constexpr std::size_t size_for(std::uint64_t payload, bool masked) noexcept {
    return kMinSize + length_bytes_for(payload) + (masked ? 4 : 0);
  }
  /// Whether they begin a message in one frame without anything special, masked as the other end
  /// of `role` has to.
  static bool is_plain(std::span<const std::byte> begin, Role role) noexcept;
  static Opcode opcode_of(std::span<const std::byte> begin) noexcept {
    return static_cast<Opcode>(std::to_integer<std::uint8_t>(begin[0]) & 0x0FU);
  }
  /// Of the payload. REQUIRES, as what follows: all of the header's bytes.
  static std::uint64_t payload_length(std::span<const std::byte> bytes) noexcept;
  /// REQUIRES: there is one.
  static MaskKey mask_key(std::span<const std::byte> bytes) noexcept;
  /// Judges nothing.
  static FrameHeader parse(std::span<const std::byte> bytes) noexcept;
  /// Of a server's frame: the only one of a message, or one of several. The opcode is the
  /// message's.
  static FrameHeader of_message(Opcode opcode, bool is_first, bool is_last, bool compressed,
                                std::size_t size) noexcept {
    FrameHeader header;
    header.opcode = is_first ? opcode : Opcode::continuation;
    header.fin = is_last;
    header.reserved = is_first && compressed ? 4 : 0;  // is said of the message
    header.length = size;
    return header;
  }
  /// `parse` backwards, the length in its shortest form; how many bytes it took. REQUIRES: room for
  /// them; `kMaxSize` is always enough.
  std::size_t write(std::byte* place) const noexcept;

  bool control() const noexcept { return (static_cast<unsigned>(opcode) & 0x8U) != 0; }

 private:
  static constexpr std::uint8_t kFin = 0x80;
  static constexpr std::uint8_t kMask = 0x80;
  static constexpr std::uint8_t kLength = 0x7F;

  static std::size_t extra_length_bytes(std::uint8_t short_length) noexcept {
    return short_length < 126 ? 0 : short_length == 126 ? 2 : 8;
  }
  static constexpr std::size_t length_bytes_for(std::uint64_t length) noexcept {
    return length < 126 ? 0 : length < 65536 ? 2 : 8;
  }
};

// For every frame that comes in.
inline std::size_t FrameHeader::size(std::span<const std::byte> begin) noexcept {
  const auto second = std::to_integer<std::uint8_t>(begin[1]);
  return kMinSize + extra_length_bytes(second & kLength) + ((second & kMask) != 0 ? 4 : 0);
}

inline bool FrameHeader::is_plain(std::span<const std::byte> begin, Role role) noexcept {
  const auto first = std::to_integer<std::uint8_t>(begin[0]);
  const auto second = std::to_integer<std::uint8_t>(begin[1]);
  const std::uint8_t mask = role == Role::server ? kMask : 0;
  return (first == (kFin | static_cast<unsigned>(Opcode::text)) ||
          first == (kFin | static_cast<unsigned>(Opcode::binary))) &&
         (second & kMask) == mask;
}

inline std::uint64_t FrameHeader::payload_length(std::span<const std::byte> bytes) noexcept {
  const auto short_length = std::to_integer<std::uint8_t>(bytes[1] & std::byte{kLength});
  if (short_length < 126) return short_length;
  std::uint64_t length = 0;
  for (const std::byte byte : bytes.subspan(kMinSize, extra_length_bytes(short_length))) {
    length = length << 8 | std::to_integer<std::uint64_t>(byte);
  }
  return length;
}

inline MaskKey FrameHeader::mask_key(std::span<const std::byte> bytes) noexcept {
  MaskKey key;
  std::memcpy(key.data(), bytes.data() + size(bytes) - key.size(), key.size());
  return key;
}

inline FrameHeader FrameHeader::parse(std::span<const std::byte> bytes) noexcept {
  const auto first = std::to_integer<std::uint8_t>(bytes[0]);
  FrameHeader header;
  header.opcode = opcode_of(bytes);
  header.fin = (first & kFin) != 0;
  header.reserved = static_cast<std::uint8_t>(first >> 4 & 7);
  header.masked = (bytes[1] & std::byte{kMask}) != std::byte{0};
  header.length = payload_length(bytes);
  header.minimal = size(bytes) == size_for(header.length, header.masked);
  if (header.masked) header.key = mask_key(bytes);
  return header;
}

// For every frame that goes out.
inline std::size_t FrameHeader::write(std::byte* place) const noexcept {
  const std::size_t more = length_bytes_for(length);
  const std::uint64_t short_length = more == 0 ? length : more == 2 ? 126 : 127;
  place[0] = static_cast<std::byte>((fin ? kFin : 0U) | static_cast<unsigned>(reserved) << 4 |
                                    static_cast<unsigned>(opcode));
  place[1] = static_cast<std::byte>((masked ? kMask : 0U) | short_length);
  for (std::size_t i = 0; i < more; ++i) {
    place[kMinSize + i] = static_cast<std::byte>(length >> (8 * (more - 1 - i)) & 0xFFU);
  }
  if (masked) std::memcpy(place + kMinSize + more, key.data(), key.size());
  return kMinSize + more + (masked ? key.size() : 0);
}

/// Where the frame ends in which `offset` lies, or that ends there. REQUIRES: `frames` is whole
/// frames, and reaches to `offset`.
std::size_t frame_end(std::span<const std::byte> frames, std::size_t offset) noexcept;

/// wslay's judgement on the headers of one connection, in their order: reserved bits, opcodes, the
/// rules of fragments and control frames, the masking that the role demands.
///
/// wslay sees every payload as empty: its own unmasking and UTF-8 check go byte by byte, its size
/// limit is per frame, and it takes close codes 1012 to 1014 for invalid. So lengths and payloads
/// are the caller's to check.
class HeaderJudge {
 public:
  /// nullptr: out of memory.
  static std::unique_ptr<HeaderJudge> create(Role role) noexcept;
  ~HeaderJudge();
  HeaderJudge(const HeaderJudge&) = delete;
  HeaderJudge& operator=(const HeaderJudge&) = delete;

  /// `compression`: RSV1 may be set, on a message's first frame. False: the peer breaks the
  /// protocol
  /// (`header_fault` says how). After that, and after a close, the judge accepts nothing more.
  bool accepts(const FrameHeader& header, bool compression) noexcept;

 private:
  struct Callbacks;

  HeaderJudge() noexcept = default;

  wslay_event_context* context_ = nullptr;
  std::span<const std::byte> feed_;
  bool accepted_ = false;
};

/// Why a header was refused. `open`: a message has begun and not ended.
std::string_view header_fault(const FrameHeader& header, Role role, bool open) noexcept;

}  // namespace webshocket::protocol
