#include "protocol/utf8.hpp"

#include <simdjson.h>

namespace webshocket::protocol {
namespace {

constexpr unsigned byte_at(std::string_view text, std::size_t index) noexcept {
  return static_cast<unsigned char>(text[index]);
}

constexpr bool is_continuation(unsigned byte) noexcept { return (byte & 0xC0U) == 0x80U; }

// RFC 3629: these leads narrow the range of the byte behind them.
constexpr bool can_follow(unsigned lead, unsigned second) noexcept {
  switch (lead) {
    case 0xE0:
      return second >= 0xA0 && second <= 0xBF;
    case 0xED:
      return second >= 0x80 && second <= 0x9F;
    case 0xF0:
      return second >= 0x90 && second <= 0xBF;
    case 0xF4:
      return second >= 0x80 && second <= 0x8F;
    default:
      return is_continuation(second);
  }
}

constexpr std::size_t sequence_length(unsigned lead) noexcept {
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 1;
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
  return text.empty() || simdjson::validate_utf8(text.data(), text.size());
}

std::size_t incomplete_utf8_tail(std::string_view text) noexcept {
  for (std::size_t tail = 1; tail <= 3 && tail <= text.size(); ++tail) {
    const std::size_t start = text.size() - tail;
    const unsigned lead = byte_at(text, start);
    if (is_continuation(lead)) continue;
    if (tail >= sequence_length(lead)) return 0;
    if (tail >= 2 && !can_follow(lead, byte_at(text, start + 1))) return 0;
    return tail;
  }
  return 0;
}

std::string_view cut_utf8(std::string_view text, std::size_t limit) noexcept {
  if (text.size() <= limit) return text;
  std::size_t size = limit;
  while (size > 0 && is_continuation(byte_at(text, size))) --size;
  return text.substr(0, size);
}

}  // namespace webshocket::protocol
