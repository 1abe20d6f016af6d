/// Text on the wire is UTF-8: the check, and the cure for what a user's std::string may hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "protocol/utf8.hpp"

namespace webshocket::protocol {

inline std::string_view as_text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Whether every byte is below 0x80.
inline bool is_ascii(std::string_view text) noexcept {
  const auto word = [&]<class Word>(std::size_t at, Word) {
    Word value;
    std::memcpy(&value, text.data() + at, sizeof value);
    return std::uint64_t{value};
  };
  std::uint64_t seen = 0;
  // What is left at the end is part of a word that ends there.
  const std::size_t size = text.size();
  if (size >= 8) {
    for (std::size_t at = 0; at + 8 < size; at += 8) seen |= word(at, std::uint64_t{});
    seen |= word(size - 8, std::uint64_t{});
  } else if (size >= 4) {
    seen = word(0, std::uint32_t{}) | word(size - 4, std::uint32_t{});
  } else {
    for (const char c : text) seen |= static_cast<unsigned char>(c);
  }
  return (seen & 0x8080808080808080U) == 0;
}

/// Whether it is UTF-8. For the many short strings of a message: up to a few dozen bytes, the call
/// into simdjson costs more than looking at each word.
inline bool is_text(std::string_view text) noexcept {
  return (text.size() <= 64 && is_ascii(text)) || is_utf8(text);
}

/// The text with U+FFFD in place of each part that is not UTF-8, as browsers and Python do it.
std::string repair_utf8(std::string_view text);

}  // namespace webshocket::protocol
