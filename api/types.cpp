#include <webshocket/types.hpp>

namespace webshocket {
namespace {

// RFC 4122: 8-4-4-4-12 digits.
constexpr std::size_t kTextLength = 36;
constexpr bool dash_before(std::size_t byte) noexcept {
  return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

constexpr int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string_view to_string(Format format) noexcept {
  switch (format) {
    case Format::msgpack:
      return "msgpack";
    case Format::json:
      return "json";
    case Format::raw:
      return "raw";
  }
  return "invalid";
}

std::string_view to_string(ConnectionState state) noexcept {
  switch (state) {
    case ConnectionState::disconnected:
      return "disconnected";
    case ConnectionState::connecting:
      return "connecting";
    case ConnectionState::connected:
      return "connected";
    case ConnectionState::closed:
      return "closed";
  }
  return "invalid";
}

std::string_view to_string(ServerState state) noexcept {
  switch (state) {
    case ServerState::closed:
      return "closed";
    case ServerState::serving:
      return "serving";
    case ServerState::draining:
      return "draining";
  }
  return "invalid";
}

std::string Uid::to_string() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(kTextLength);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (dash_before(i)) text += '-';
    const auto byte = std::to_integer<unsigned>(bytes[i]);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::optional<Uid> Uid::parse(std::string_view text) noexcept {
  if (text.size() != kTextLength) return std::nullopt;
  Uid uid;
  std::size_t at = 0;
  for (std::size_t i = 0; i < uid.bytes.size(); ++i) {
    if (dash_before(i) && text[at++] != '-') return std::nullopt;
    const int high = hex_digit(text[at++]);
    const int low = hex_digit(text[at++]);
    if (high < 0 || low < 0) return std::nullopt;
    uid.bytes[i] = static_cast<std::byte>(high << 4 | low);
  }
  return uid;
}

}  // namespace webshocket
