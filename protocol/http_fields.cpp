#include "protocol/http_fields.hpp"

#include <algorithm>

namespace webshocket::protocol {
namespace {

constexpr bool is_token_char(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

}  // namespace

const std::string* HttpFields::find(std::string_view name) const noexcept {
  for (const HttpHeader& header : headers) {
    if (same_text(header.name, name)) return &header.value;
  }
  return nullptr;
}

std::size_t HttpFields::count(std::string_view name) const noexcept {
  return static_cast<std::size_t>(
      std::count_if(headers.begin(), headers.end(),
                    [name](const HttpHeader& header) { return same_text(header.name, name); }));
}

bool HttpFields::has_token(std::string_view name, std::string_view token) const noexcept {
  for (const HttpHeader& header : headers) {
    if (!same_text(header.name, name)) continue;
    const bool missing = for_each_element(
        header.value, [token](std::string_view element) { return !same_text(element, token); });
    if (!missing) return true;
  }
  return false;
}

bool same_text(std::string_view left, std::string_view right) noexcept {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

bool is_field_value(std::string_view text) noexcept {
  return std::none_of(text.begin(), text.end(), [](char c) { return is_control(c) && c != '\t'; });
}

}  // namespace webshocket::protocol
