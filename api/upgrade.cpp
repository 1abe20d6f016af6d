#include <webshocket/upgrade.hpp>

#include <algorithm>

#include <webshocket/error.hpp>

namespace webshocket {
namespace {

// Header names and query strings are ASCII whatever the locale is.
char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_in_any_case(std::string_view left, std::string_view right) noexcept {
  return std::ranges::equal(left, right, {}, lower, lower);
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// As forms encode it: `+` is a space. A `%` without two digits behind it stands for itself.
std::string percent_decoded(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
        hex_digit(text[i + 2]) >= 0) {
      decoded += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool has_control_character(std::string_view text) noexcept {
  return std::ranges::any_of(
      text, [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == '\x7f'; });
}

}  // namespace

const std::string* HttpRequest::header(std::string_view name) const noexcept {
  for (const auto& [key, value] : headers) {
    if (equal_in_any_case(key, name)) return &value;
  }
  return nullptr;
}

std::optional<std::string> HttpRequest::query_value(std::string_view name) const {
  std::string_view rest = query;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (percent_decoded(pair.substr(0, equals)) != name) continue;
    return percent_decoded(pair.substr(std::min(equals + 1, pair.size())));
  }
  return std::nullopt;
}

Upgrade Upgrade::reject(int status, std::string body) {
  if (status < 300 || status > 599) {
    throw UsageError("Upgrade::reject: status is " + std::to_string(status) +
                     ", it must be 300 to 599");
  }
  Upgrade answer;
  answer.rejected_status = status;
  answer.rejected_body = std::move(body);
  return answer;
}

Upgrade Upgrade::header(std::string name, std::string value) && {
  // Anything else could end the header and begin another: response splitting.
  if (!is_token(name)) throw UsageError("Upgrade::header: not a header name: \"" + name + "\"");
  if (has_control_character(value)) {
    throw UsageError("Upgrade::header: a control character in the value of " + name);
  }
  headers.emplace_back(std::move(name), std::move(value));
  return std::move(*this);
}

Upgrade Upgrade::session(std::string key, Scalar value) && {
  session_values.emplace_back(std::move(key), std::move(value));
  return std::move(*this);
}

Upgrade Upgrade::pin(std::string key) && {
  pin_key = std::move(key);
  return std::move(*this);
}

Upgrade Upgrade::raw() && {
  is_raw = true;
  return std::move(*this);
}

}  // namespace webshocket
