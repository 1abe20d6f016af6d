#include "protocol/forwarded.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace webshocket::protocol {
namespace {

/// RFC 7239, section 6: a port, or an obfuscated one.
std::optional<std::uint16_t> parse_node_port(std::string_view text) noexcept {
  if (text.size() > 1 && text.front() == '_' && std::ranges::all_of(text, [](char c) {
        return is_token({&c, 1});
      })) {
    return std::uint16_t{0};
  }
  return parse_port(text);
}

/// `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80`.
std::optional<Address> parse_node(std::string_view text) noexcept {
  const bool in_brackets = text.starts_with('[');
  const std::size_t end = in_brackets ? text.find(']') : std::min(text.find(':'), text.size());
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view host = in_brackets ? text.substr(1, end - 1) : text.substr(0, end);
  std::string_view rest = text.substr(in_brackets ? end + 1 : end);
  const bool is_v6 = host.find(':') != std::string_view::npos;
  if (is_v6 != in_brackets) return std::nullopt;
  auto address = Address::parse(host);
  if (!address || rest.empty()) return address;
  if (rest.front() != ':') return std::nullopt;
  rest.remove_prefix(1);
  const auto port = parse_node_port(rest);
  if (!port) return std::nullopt;
  address->port = *port;
  return address;
}

/// Takes the last element off a list, without the blanks around it. Quoted strings are skipped
/// backwards: what a client has put in front cannot open one that swallows a proxy's word.
std::string_view take_last(std::string_view& list, bool has_quotes) noexcept {
  std::size_t begin = list.size();
  bool quoted = false;
  while (begin > 0) {
    const char c = list[begin - 1];
    if (c == ',' && !quoted) break;
    --begin;
    if (c != '"' || !has_quotes) continue;
    // Inside, one with an odd number of backslashes before it is a character like another.
    std::size_t slashes = 0;
    while (quoted && slashes < begin && list[begin - 1 - slashes] == '\\') ++slashes;
    if (slashes % 2 == 0) quoted = !quoted;
  }
  const std::string_view element = trim_blanks(list.substr(begin));
  list = list.substr(0, begin == 0 ? 0 : begin - 1);
  return element;
}

/// Takes a token or a quoted string off the front and puts what it says into `into`. False if there
/// is neither, or it is longer than any address.
bool take_value(std::string_view& text, std::span<char> into, std::string_view& value) noexcept {
  if (!text.starts_with('"')) {
    const std::size_t end = std::min(text.find_first_of(" \t;"), text.size());
    value = text.substr(0, end);
    text.remove_prefix(end);
    return is_token(value);
  }
  std::size_t size = 0;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      value = {into.data(), std::min(size, into.size())};
      text.remove_prefix(i + 1);
      return true;
    }
    if (text[i] == '\\' && ++i == text.size()) return false;
    if (size < into.size()) into[size] = text[i];
    ++size;
  }
  return false;
}

/// The elements of all lines, from the last one on.
class FromTheRight {
 public:
  FromTheRight(const HttpFields& fields, std::string_view name, bool has_quotes) noexcept
      : fields_(fields), name_(name), has_quotes_(has_quotes), line_(fields.headers.size()) {}

  /// Empty ones are none.
  std::optional<std::string_view> next() noexcept {
    for (;;) {
      while (!rest_.empty()) {
        const std::string_view element = take_last(rest_, has_quotes_);
        if (!element.empty()) return element;
      }
      if (line_ == 0) return std::nullopt;
      const HttpHeader& header = fields_.headers[--line_];
      if (same_text(header.name, name_)) rest_ = header.value;
    }
  }

 private:
  const HttpFields& fields_;
  std::string_view name_;
  bool has_quotes_;
  std::size_t line_;
  std::string_view rest_;
};

}  // namespace

std::optional<Address> parse_listed_address(std::string_view element) noexcept {
  if (auto address = parse_node(element)) return address;
  return Address::parse(element);
}

std::optional<Address> parse_forwarded_element(std::string_view element) noexcept {
  std::optional<Address> address;
  bool has_for = false;
  // Pairs that are empty may stand between semicolons.
  while (!element.empty()) {
    const std::size_t equals = element.find_first_of("=;");
    if (equals != std::string_view::npos && element[equals] == ';') {
      if (!trim_blanks(element.substr(0, equals)).empty()) return std::nullopt;
      element = trim_blanks(element.substr(equals + 1));
      continue;
    }
    if (equals == std::string_view::npos || !is_token(element.substr(0, equals))) {
      return std::nullopt;
    }
    const std::string_view name = element.substr(0, equals);
    element.remove_prefix(equals + 1);
    std::array<char, 128> memory{};
    std::string_view value;
    if (!take_value(element, memory, value)) return std::nullopt;
    if (same_text(name, "for")) {
      if (has_for) return std::nullopt;
      has_for = true;
      address = parse_node(value);
    }
    element = trim_blanks(element);
    if (element.empty()) break;
    if (element.front() != ';') return std::nullopt;
    element = trim_blanks(element.substr(1));
  }
  return address;
}

Address forwarded_for(const HttpFields& fields, const Address& peer, const Networks& trusted,
                      const ForwardedRules& rules) noexcept {
  Address client = peer;
  if (!trusted.contains(client)) return client;
  const bool is_standard = same_text(rules.header, "Forwarded");
  FromTheRight elements(fields, rules.header, is_standard);
  for (std::size_t hops = 0; rules.max_hops == 0 || hops < rules.max_hops; ++hops) {
    const auto element = elements.next();
    if (!element) break;
    const auto before =
        is_standard ? parse_forwarded_element(*element) : parse_listed_address(*element);
    if (!before) break;
    client = *before;
    if (!trusted.contains(client)) break;
  }
  return client;
}

}  // namespace webshocket::protocol
