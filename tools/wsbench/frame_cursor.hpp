/// A server's frames, cut out of what is read, without a copy.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace wsbench {

struct FrameHead {
  std::uint8_t opcode = 0;
  bool fin = false;
  std::uint64_t length = 0;

  bool control() const noexcept { return (opcode & 0x8U) != 0; }
};

/// Where one connection stands within its stream of frames.
class FrameCursor {
 public:
  /// Calls `visitor.frame(head, payload)` for a frame that lies in the bytes as a whole, and for
  /// others `begin(head)`, `piece(bytes)` for each part, `end()`. The views are into `bytes`.
  /// False: the server masks, or uses reserved bits; what follows can't be read then.
  template <class Visitor>
  bool feed(std::string_view bytes, Visitor& visitor) {
    const char* at = bytes.data();
    const char* const end = at + bytes.size();
    while (at != end) {
      const auto here = static_cast<std::size_t>(end - at);
      if (inside_) {
        const std::size_t part = std::min<std::uint64_t>(left_, here);
        visitor.piece(std::string_view(at, part));
        at += part;
        left_ -= part;
        if (left_ == 0) end_frame(visitor);
      } else if (begun_ == 0 && here >= 2 && here >= head_size(at)) {
        FrameHead head;
        if (!parse(at, head)) return false;
        at += head_size(at);
        if (head.length <= static_cast<std::size_t>(end - at)) {
          visitor.frame(head, std::string_view(at, head.length));
          at += head.length;
        } else {
          begin_frame(head, visitor);
        }
      } else {
        head_[begun_++] = *at++;
        if (begun_ < 2 || begun_ < head_size(head_.data())) continue;
        FrameHead head;
        if (!parse(head_.data(), head)) return false;
        begun_ = 0;
        begin_frame(head, visitor);
        if (head.length == 0) end_frame(visitor);
      }
    }
    return true;
  }

 private:
  static std::size_t head_size(const char* at) noexcept {
    const auto length = static_cast<unsigned char>(at[1]) & 0x7fU;
    return length < 126 ? 2 : (length == 126 ? 4 : 10);
  }

  static bool parse(const char* at, FrameHead& head) noexcept {
    const auto first = static_cast<unsigned char>(at[0]);
    const auto second = static_cast<unsigned char>(at[1]);
    head.opcode = first & 0x0fU;
    head.fin = (first & 0x80U) != 0;
    head.length = second;
    if (second == 126) {
      std::uint16_t length = 0;
      std::memcpy(&length, at + 2, sizeof length);
      head.length = __builtin_bswap16(length);
    } else if (second == 127) {
      std::memcpy(&head.length, at + 2, sizeof head.length);
      head.length = __builtin_bswap64(head.length);
    }
    return (first & 0x70U) == 0 && second < 128;
  }

  template <class Visitor>
  void begin_frame(const FrameHead& head, Visitor& visitor) {
    left_ = head.length;
    inside_ = true;
    visitor.begin(head);
  }

  template <class Visitor>
  void end_frame(Visitor& visitor) {
    inside_ = false;
    visitor.end();
  }

  std::uint64_t left_ = 0;       ///< payload of the frame that it is inside of
  std::array<char, 10> head_{};  ///< of a header that came in parts
  std::uint8_t begun_ = 0;       ///< so many bytes of it
  bool inside_ = false;
};

static_assert(std::endian::native == std::endian::little);

}  // namespace wsbench
