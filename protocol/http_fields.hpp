/// Header fields of HTTP/1.1, and the rules that requests and replies share.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace webshocket::protocol {

struct HttpHeader {
  std::string name;
  std::string value;
};

struct HttpFields {
  std::vector<HttpHeader> headers;

  /// The value of the first header of that name, in any case; nullptr if there is none.
  const std::string* find(std::string_view name) const noexcept;
  std::size_t count(std::string_view name) const noexcept;
  /// Whether the comma-separated lists of all headers of that name hold the token, in any case.
  bool has_token(std::string_view name, std::string_view token) const noexcept;
};

/// ASCII only, as the grammar of HTTP wants it.
constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// The same but for `lower`.
bool same_text(std::string_view left, std::string_view right) noexcept;

/// A method, a header's name, a subprotocol: RFC 9110, section 5.6.2.
bool is_token(std::string_view text) noexcept;

/// NUL to US, and DEL.
constexpr bool is_control(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

/// What may stand behind a header's name: no control character but a tab.
bool is_field_value(std::string_view text) noexcept;

/// What may be written as it is: a name that is a token, a value that cannot end its line.
inline bool is_writable(const HttpHeader& header) noexcept {
  return is_token(header.name) && is_field_value(header.value);
}

/// Without the blanks and tabs at either end.
constexpr std::string_view trim_blanks(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Calls `visit(element)` for every element of a comma-separated list, without blanks and without
/// the empty ones, until it returns false. Returns false if it did.
template <typename Visit>
bool for_each_element(std::string_view list, Visit&& visit) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view element = trim_blanks(list.substr(0, comma));
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    if (!element.empty() && !visit(element)) return false;
  }
  return true;
}

}  // namespace webshocket::protocol
