#include "protocol/uri.hpp"

#include <http_parser.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "protocol/http_fields.hpp"
#include "protocol/text.hpp"

namespace webshocket::protocol {
namespace {

constexpr std::uint16_t default_port(bool secure) noexcept { return secure ? 443 : 80; }

/// One line that is fit for a log. A URI that is wrong may hold its password anywhere before its
/// last @.
std::string shown(std::string_view text) {
  constexpr std::size_t kMax = 200;
  std::string line(text);
  if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
    const std::size_t scheme = text.find("://");
    const std::size_t begin = scheme < at && scheme == text.find(':') ? scheme + 3 : 0;
    line.replace(begin, at - begin, "***");
  }
  const bool cut = line.size() > kMax;
  line = repair_utf8(std::string_view(line).substr(0, kMax));
  std::ranges::replace_if(line, is_control, ' ');
  return cut ? line + "..." : line;
}

/// nullopt: a percent sign without two hexadecimal digits behind it.
std::optional<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  while (!text.empty()) {
    if (text.front() != '%') {
      decoded += text.front();
      text.remove_prefix(1);
      continue;
    }
    const std::string_view digits = text.substr(1, 2);
    unsigned char byte = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2) return std::nullopt;
    decoded += static_cast<char>(byte);
    text.remove_prefix(3);
  }
  return decoded;
}

/// What is wrong with the user's name and password, or nothing: RFC 7617, section 2.
std::string_view read_userinfo(std::string_view text, std::string& userinfo) {
  const std::size_t colon = text.find(':');
  const auto user = percent_decode(text.substr(0, colon));
  const auto password =
      percent_decode(colon == std::string_view::npos ? "" : text.substr(colon + 1));
  if (!user || !password) return "its user info holds a % that is no percent-encoding";
  if (user->find(':') != std::string::npos) return "its user name holds a colon";
  userinfo = *user + ':' + *password;
  if (std::ranges::any_of(userinfo, is_control)) return "its user info holds a control character";
  return {};
}

/// What is wrong, or nothing.
std::string_view read_uri(std::string_view text, Uri& uri) {
  if (text.size() > kMaxUri) return "it is longer than 8192 bytes";
  if (std::ranges::any_of(text, [](char c) { return c <= ' ' || c >= 0x7F; })) {
    return "spaces, control characters and what is not ASCII must be percent-encoded "
           "(a host's name: in Punycode)";
  }
  const std::size_t colon = text.find("://");
  const std::string_view scheme = text.substr(0, colon);
  uri.secure = same_text(scheme, "wss");
  if (colon == std::string_view::npos || (!uri.secure && !same_text(scheme, "ws"))) {
    return "it begins with neither ws:// nor wss://";
  }
  if (text.find('#') != std::string_view::npos) {
    return "it has a fragment (a # that is none is %23)";
  }
  const std::size_t authority = colon + 3;
  const std::size_t target = std::min(text.find_first_of("/?", authority), text.size());
  if (target == authority) return "it names no host";

  http_parser_url url;
  http_parser_url_init(&url);
  const bool parsed = http_parser_parse_url(text.data(), text.size(), 0, &url) == 0;
  const auto has = [&url](http_parser_url_fields field) {
    return (url.field_set & 1U << field) != 0;
  };
  const auto part = [&](http_parser_url_fields field) {
    return has(field) ? text.substr(url.field_data[field].off, url.field_data[field].len)
                      : std::string_view();
  };
  // The library says so of a port that does not fit, but takes 0.
  if (has(UF_PORT) && (!parsed || url.port == 0)) return "its port is not from 1 to 65535";
  if (!parsed) return "its host or port is malformed";

  uri.host = part(UF_HOST);
  // In a URI, the zone of an IPv6 address stands behind an encoded percent sign (RFC 6874).
  const std::size_t zone = uri.host.find('%');
  if (zone != std::string::npos && uri.host.compare(zone, 3, "%25") == 0) {
    uri.host.erase(zone + 1, 2);
  }
  // The library does not look closely at what stands in brackets.
  if (text[url.field_data[UF_HOST].off - 1] == '[' &&
      (uri.host.find(':') == std::string::npos || uri.host.ends_with('%'))) {
    return "what stands in brackets is no IPv6 address";
  }
  uri.port = has(UF_PORT) ? url.port : default_port(uri.secure);
  uri.target = text.substr(target);
  if (!uri.target.starts_with('/')) uri.target.insert(0, 1, '/');
  return has(UF_USERINFO) ? read_userinfo(part(UF_USERINFO), uri.userinfo) : std::string_view();
}

}  // namespace

std::string Uri::host_header() const {
  std::string value = host;
  if (host.find(':') != std::string::npos) value = '[' + host.substr(0, host.find('%')) + ']';
  if (port != default_port(secure)) value += ':' + std::to_string(port);
  return value;
}

std::variant<Uri, std::string> parse_uri(std::string_view text) {
  Uri uri;
  const std::string_view why = read_uri(text, uri);
  if (why.empty()) return uri;
  return '"' + shown(text) + "\" is no WebSocket URI: " + std::string(why);
}

}  // namespace webshocket::protocol
