/// A client's frames: masked, as they must be, with keys that cost nothing to draw.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace wsbench {

inline constexpr std::uint8_t kContinuation = 0;
inline constexpr std::uint8_t kText = 1;
inline constexpr std::uint8_t kBinary = 2;
inline constexpr std::uint8_t kClose = 8;
inline constexpr std::uint8_t kPing = 9;
inline constexpr std::uint8_t kPong = 10;

/// Nobody is protected by these keys: a load generator chooses its payloads itself.
class FrameWriter {
 public:
  /// Appends a whole message.
  void append(std::string& out, std::uint8_t opcode, std::string_view payload);

 private:
  std::uint32_t next_key() noexcept;

  std::uint32_t state_ = 0x9e3779b9;
};

}  // namespace wsbench
