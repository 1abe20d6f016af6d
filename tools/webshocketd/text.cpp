#include "text.hpp"

namespace webshocketd {
namespace {

bool is_continuation(char byte) noexcept {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

char32_t decode(std::string_view sequence) noexcept {
  const auto lead = static_cast<unsigned char>(sequence.front());
  if (lead < 0x80) return lead;
  auto value = static_cast<char32_t>(lead & (0x7F >> sequence.size()));
  for (const char byte : sequence.substr(1)) {
    value = value << 6 | (static_cast<unsigned char>(byte) & 0x3F);
  }
  return value;
}

std::string_view first(std::string_view text) noexcept {
  std::size_t size = 1;
  while (size < text.size() && is_continuation(text[size])) ++size;
  return text.substr(0, size);
}

std::string_view last(std::string_view text) noexcept {
  std::size_t start = text.size() - 1;
  while (start > 0 && is_continuation(text[start])) --start;
  return text.substr(start);
}

bool is_blank(char32_t c) noexcept {
  return c <= 0x20 || c == 0x7F || c == 0x85 || c == 0xA0 || c == 0xAD || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         (c >= 0x2060 && c <= 0x2064) || c == 0x2800 || c == 0x3000 || c == 0x3164 || c == 0xFEFF;
}

bool breaks_a_line(char32_t c) noexcept {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x200E || c == 0x200F || c == 0x2028 ||
         c == 0x2029 || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

}  // namespace

std::size_t code_points(std::string_view text) noexcept {
  std::size_t count = 0;
  for (const char byte : text) count += is_continuation(byte) ? 0 : 1;
  return count;
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && is_blank(decode(first(text)))) text.remove_prefix(first(text).size());
  while (!text.empty() && is_blank(decode(last(text)))) text.remove_suffix(last(text).size());
  return text;
}

std::string_view shortened(std::string_view text, std::size_t limit) noexcept {
  std::string_view rest = text;
  while (limit-- > 0 && !rest.empty()) rest.remove_prefix(first(rest).size());
  return text.substr(0, text.size() - rest.size());
}

bool fits_on_a_line(std::string_view text) noexcept {
  for (; !text.empty(); text.remove_prefix(first(text).size())) {
    if (breaks_a_line(decode(first(text)))) return false;
  }
  return true;
}

}  // namespace webshocketd
