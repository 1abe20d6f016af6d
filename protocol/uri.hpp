/// WebSocket URIs (RFC 6455, section 3), as a client is given them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace webshocket::protocol {

struct Uri {
  bool secure = false;
  std::string host;  ///< as it is resolved: an IPv6 literal without brackets, with its zone
  std::uint16_t port = 0;
  std::string target;    ///< path and query, percent-encoded; begins with a slash
  std::string userinfo;  ///< "user:password" as Basic authorization wants it; or empty

  /// The value of the Host header: an IPv6 literal in brackets and without its zone, which means
  /// something on this machine only; the port unless it is the scheme's.
  std::string host_header() const;
};

inline constexpr std::size_t kMaxUri = 8192;

/// The URI, or what is wrong with it, for people to read: it shows the URI, but nobody's password.
std::variant<Uri, std::string> parse_uri(std::string_view text);

}  // namespace webshocket::protocol
