#include "protocol/origin.hpp"

#include <algorithm>

#include "protocol/http_fields.hpp"

namespace webshocket::protocol {
namespace {

bool is_name(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
}

/// RFC 3986: a letter, then letters, digits, `+`, `-` and `.`.
bool is_scheme(std::string_view text) noexcept {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !text.empty() && is_letter(text.front()) && std::ranges::all_of(text, [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
}

std::uint16_t default_port(std::string_view scheme) noexcept {
  if (same_text(scheme, "http") || same_text(scheme, "ws")) return 80;
  return same_text(scheme, "https") || same_text(scheme, "wss") ? 443 : 0;
}

std::optional<Address> address_in(std::string_view host) noexcept {
  if (!host.starts_with('[') || !host.ends_with(']')) return Address::parse(host);
  host = host.substr(1, host.size() - 2);
  return host.find(':') == std::string_view::npos ? std::nullopt : Address::parse(host);
}

struct Origin {
  std::string_view scheme;
  std::string_view host;
  std::uint16_t port = 0;  ///< the scheme's, if it is not there; 0 if that has none

  static std::optional<Origin> parse(std::string_view text) noexcept {
    const std::size_t colon = text.find("://");
    if (colon == std::string_view::npos || !is_scheme(text.substr(0, colon))) return std::nullopt;
    const auto rest = HostPort::parse(text.substr(colon + 3));
    if (!rest) return std::nullopt;
    Origin origin{text.substr(0, colon), rest->host, rest->port};
    if (origin.port == 0) origin.port = default_port(origin.scheme);
    return origin;
  }
};

bool same_host(std::string_view left, std::string_view right) noexcept {
  if (same_text(left, right)) return true;
  const auto address = address_in(left);
  return address && address == address_in(right);
}

}  // namespace

std::optional<HostPort> HostPort::parse(std::string_view text) noexcept {
  HostPort parts;
  const bool in_brackets = text.starts_with('[');
  const std::size_t end = in_brackets ? text.find(']') : std::min(text.find(':'), text.size());
  if (end == std::string_view::npos) return std::nullopt;
  parts.host = text.substr(0, in_brackets ? end + 1 : end);
  std::string_view rest = text.substr(parts.host.size());
  if (in_brackets ? !address_in(parts.host) : !is_name(parts.host)) return std::nullopt;
  if (rest.empty() || rest == ":") return parts;
  if (rest.front() != ':') return std::nullopt;
  const auto port = parse_port(rest.substr(1));
  if (!port || *port == 0) return std::nullopt;
  parts.port = *port;
  return parts;
}

// --- hosts --------------------------------------------------------------------------------------

std::variant<HostPattern, std::string_view> HostPattern::parse(std::string_view text) {
  if (const auto address = address_in(text)) return HostPattern(*address);
  const std::string_view name = text.starts_with("*.") ? text.substr(2) : text;
  if (!is_name(name)) return "a name such as example.com or *.example.com, or an IP address";
  return HostPattern(text);
}

bool HostPattern::matches(std::string_view host) const noexcept {
  if (address_) return address_ == address_in(host);
  if (!name_.starts_with('*')) return same_text(host, name_);
  const std::string_view end = std::string_view(name_).substr(1);
  if (host.size() <= end.size() || !same_text(host.substr(host.size() - end.size()), end)) {
    return false;
  }
  // The end of an IPv4 address is no name that others are below.
  if (address_in(host)) return false;
  const std::string_view labels = host.substr(0, host.size() - end.size());
  return !labels.starts_with('.') && !labels.ends_with('.');
}

bool allows_host(const std::vector<HostPattern>& allowed, std::string_view host) noexcept {
  if (allowed.empty()) return true;
  const auto parts = HostPort::parse(host);
  return parts && std::ranges::any_of(allowed, [&](const HostPattern& pattern) {
           return pattern.matches(parts->host);
         });
}

// --- origins ------------------------------------------------------------------------------------

std::variant<OriginPattern, std::string_view> OriginPattern::parse(std::string_view text) {
  if (text == "*") return OriginPattern(Kind::any);
  if (text == "null") return OriginPattern(Kind::null);
  OriginPattern pattern(Kind::url);
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos || !is_scheme(text.substr(0, colon))) {
    return "an origin begins with its scheme, such as https://";
  }
  pattern.scheme_ = text.substr(0, colon);
  std::string_view host = text.substr(colon + 3);
  if (host.ends_with(":*")) {
    host.remove_suffix(2);
  } else if (const std::size_t end = host.rfind(':');
             end != std::string_view::npos && host.find(']', end) == std::string_view::npos) {
    const auto port = parse_port(host.substr(end + 1));
    if (!port || *port == 0) return "a port is a number from 1 to 65535, or *";
    pattern.port_ = *port;
    host = host.substr(0, end);
  } else {
    pattern.port_ = default_port(pattern.scheme_);
  }
  auto parsed = HostPattern::parse(host);
  if (const auto* wrong = std::get_if<std::string_view>(&parsed)) return *wrong;
  pattern.host_ = std::get<HostPattern>(std::move(parsed));
  return pattern;
}

bool OriginPattern::matches(std::string_view text) const noexcept {
  if (kind_ == Kind::any) return true;
  if (kind_ == Kind::null) return text == "null";
  const auto origin = Origin::parse(text);
  return origin && same_text(origin->scheme, scheme_) && (!port_ || *port_ == origin->port) &&
         host_->matches(origin->host);
}

bool is_same_origin(std::string_view text, std::string_view host) noexcept {
  const auto origin = Origin::parse(text);
  const auto called = HostPort::parse(host);
  if (!origin || !called) return false;
  const std::uint16_t port = called->port == 0 ? default_port(origin->scheme) : called->port;
  return port == origin->port && same_host(origin->host, called->host);
}

bool allows_origin(const std::vector<OriginPattern>& allowed, std::string_view origin,
                   std::string_view host) noexcept {
  if (allowed.empty()) return is_same_origin(origin, host);
  return std::ranges::any_of(
      allowed, [origin](const OriginPattern& pattern) { return pattern.matches(origin); });
}

}  // namespace webshocket::protocol
