/// What reading and writing JSON strings have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace webshocket::protocol {

/// Needs no escape.
constexpr bool stands_for_itself(char c) noexcept {
  return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20;
}

/// How many characters from the start stand for themselves within a string.
inline std::size_t plain_run(const char* text, std::size_t size) noexcept {
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  constexpr std::uint64_t kHighs = 0x8080808080808080U;
  std::size_t run = 0;
  // Eight at a time. Each term has the high bit of a byte that is `"`, `\` or below 0x20, and of
  // bytes behind such a byte perhaps wrongly; that is enough to know that there is one.
  for (; run + 8 <= size; run += 8) {
    std::uint64_t word;
    std::memcpy(&word, text + run, sizeof word);
    const std::uint64_t quote = word ^ (kOnes * '"');
    const std::uint64_t backslash = word ^ (kOnes * '\\');
    const std::uint64_t found = ((quote - kOnes) & ~quote) | ((backslash - kOnes) & ~backslash) |
                                ((word - kOnes * 0x20) & ~word);
    if ((found & kHighs) != 0) break;
  }
  while (run < size && stands_for_itself(text[run])) ++run;
  return run;
}

/// Where the string that `at` lies in ends: at the next quote that no backslash escapes, or at
/// `end`.
inline const char* end_of_string(const char* at, const char* end) noexcept {
  while (at != end && *at != '"') at += *at == '\\' && at + 1 != end ? 2 : 1;
  return at;
}

}  // namespace webshocket::protocol
