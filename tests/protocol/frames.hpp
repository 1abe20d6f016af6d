/// Frames made by hand, byte by byte, and what a reader makes of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/frame_reader.hpp"

namespace webshocket::protocol::test {

/// "82 05 48" → the three bytes.
inline std::string hex(std::string_view digits) {
  std::string bytes;
  std::optional<unsigned> high;
  for (const char c : digits) {
    if (c == ' ') continue;
    const unsigned digit = static_cast<unsigned>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    if (high) {
      bytes.push_back(static_cast<char>(*high << 4 | digit));
      high.reset();
    } else {
      high = digit;
    }
  }
  return bytes;
}

inline constexpr unsigned kContinuation = 0x0;
inline constexpr unsigned kText = 0x1;
inline constexpr unsigned kBinary = 0x2;
inline constexpr unsigned kClose = 0x8;
inline constexpr unsigned kPing = 0x9;
inline constexpr unsigned kPong = 0xA;

struct RawFrame {
  unsigned opcode = 0x2;
  std::string payload = {};
  bool fin = true;
  unsigned reserved = 0;                                ///< RSV1 is 4
  std::optional<std::string> key = "\x37\xfa\x21\x3d";  ///< nullopt: not masked
  std::optional<unsigned> length_bytes = {};            ///< 0, 2 or 8; else the shortest
  std::optional<std::uint64_t> length = {};             ///< else the payload's

  std::string bytes() const {
    const std::uint64_t declared = length.value_or(payload.size());
    const unsigned extra = length_bytes.value_or(declared < 126 ? 0 : declared < 65536 ? 2 : 8);
    std::string out;
    out.push_back(static_cast<char>((fin ? 0x80U : 0U) | reserved << 4 | opcode));
    const unsigned seven = extra == 0 ? static_cast<unsigned>(declared) : extra == 2 ? 126U : 127U;
    out.push_back(static_cast<char>((key ? 0x80U : 0U) | seven));
    for (unsigned i = extra; i > 0; --i) {
      out.push_back(static_cast<char>(declared >> (8 * (i - 1)) & 0xFF));
    }
    if (key) out += *key;
    for (std::size_t i = 0; i < payload.size(); ++i) {
      out.push_back(static_cast<char>(key ? payload[i] ^ (*key)[i % 4] : payload[i]));
    }
    return out;
  }
};

/// An event with copies of what it showed.
struct Seen {
  FrameEvent::Kind kind{};
  Opcode opcode = Opcode::binary;
  std::string payload = {};
  CloseCode code = CloseCode::no_status;
  std::string reason = {};

  friend bool operator==(const Seen&, const Seen&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Seen& seen) {
    return out << "{kind " << static_cast<int>(seen.kind) << ", opcode "
               << static_cast<int>(seen.opcode) << ", " << seen.payload.size() << " bytes, code "
               << static_cast<int>(seen.code) << ", reason '" << seen.reason << "'}";
  }
};

inline Seen seen(const FrameEvent& event) {
  return {event.kind, event.opcode,
          std::string(reinterpret_cast<const char*>(event.payload.data()), event.payload.size()),
          event.code, std::string(event.reason)};
}

inline Seen message(Opcode opcode, std::string payload) {
  return {FrameEvent::Kind::message, opcode, std::move(payload)};
}
inline Seen ping(std::string payload) {
  return {FrameEvent::Kind::ping, Opcode::ping, std::move(payload)};
}
inline Seen pong(std::string payload) {
  return {FrameEvent::Kind::pong, Opcode::pong, std::move(payload)};
}
inline Seen closed(CloseCode code, std::string reason) {
  return {FrameEvent::Kind::close, Opcode::close, {}, code, std::move(reason)};
}
inline Seen error(CloseCode code, std::string reason) {
  return {FrameEvent::Kind::error, Opcode::binary, {}, code, std::move(reason)};
}

/// Hands the piece to the reader in memory of exactly its size, and appends what comes out.
inline void feed(FrameReader& reader, std::string_view piece, std::vector<Seen>& events,
                 std::size_t max_message = 0, PerMessageDeflate* deflate = nullptr) {
  const auto memory = std::make_unique<std::byte[]>(piece.size());
  if (!piece.empty()) std::memcpy(memory.get(), piece.data(), piece.size());
  std::span<std::byte> input(memory.get(), piece.size());
  for (;;) {
    const FrameEvent event = reader.read(input, max_message, deflate);
    if (event.kind == FrameEvent::Kind::need_more) break;
    events.push_back(seen(event));
  }
}

/// All events of the bytes, cut after each of `cuts`.
inline std::vector<Seen> read_all(std::string_view bytes, std::span<const std::size_t> cuts = {},
                                  std::size_t max_message = 0, Role role = Role::server,
                                  PerMessageDeflate* deflate = nullptr) {
  FrameReader reader(role);
  std::vector<Seen> events;
  std::size_t from = 0;
  for (const std::size_t cut : cuts) {
    feed(reader, bytes.substr(from, cut - from), events, max_message, deflate);
    from = cut;
  }
  feed(reader, bytes.substr(from), events, max_message, deflate);
  return events;
}

}  // namespace webshocket::protocol::test
