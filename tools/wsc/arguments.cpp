#include "arguments.hpp"

#include <webshocket/packet.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

namespace wsc {
namespace {

namespace ws = webshocket;

constexpr std::string_view kHex = "hex:";

bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_identifier(std::string_view text) noexcept {
  return !text.empty() && is_letter(text.front()) &&
         std::ranges::all_of(text, [](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

unsigned digit_of(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  throw SyntaxError(std::string("'") + c + "' is no hexadecimal digit; in \"…\" it is text");
}

std::vector<std::byte> bytes_of(std::string_view digits) {
  if (digits.size() % 2 != 0) throw SyntaxError("hex: wants two digits for each byte");
  std::vector<std::byte> bytes;
  bytes.reserve(digits.size() / 2);
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(digit_of(digits[i]) * 16 + digit_of(digits[i + 1])));
  }
  return bytes;
}

std::optional<ws::Document> json_of(std::string_view text) {
  try {
    return ws::from_json(text);
  } catch (const ws::PacketValidationError&) {
    return std::nullopt;
  }
}

ws::Document value_of(std::string_view text, bool is_text) {
  if (!is_text) {
    if (text.starts_with(kHex)) return ws::Document::of(bytes_of(text.substr(kHex.size())));
    if (auto json = json_of(text)) return std::move(*json);
  }
  return ws::Document::of(text);
}

}  // namespace

Arguments arguments_of(std::span<const Word> words) {
  Arguments arguments;
  for (const Word& word : words) {
    const std::string_view text = word.text;
    const std::string_view name = text.substr(0, word.equals);
    if (word.equals == std::string::npos || !is_identifier(name)) {
      arguments.positional.push_back(value_of(text, word.is_text));
      continue;
    }
    auto value = value_of(text.substr(word.equals + 1), word.is_text);
    if (!arguments.keywords.emplace(name, std::move(value)).second) {
      throw SyntaxError(std::string(name) + "= is there twice");
    }
  }
  return arguments;
}

ws::Document value_of(std::span<const Word> words) {
  if (words.size() == 1) return value_of(words.front().text, words.front().is_text);
  std::string text;
  for (const Word& word : words) {
    if (!text.empty()) text += ' ';
    text += word.text;
  }
  return value_of(text, true);
}

}  // namespace wsc
