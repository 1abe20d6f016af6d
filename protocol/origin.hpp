/// Which web pages may open a WebSocket (the Origin of their requests), and by which names a server
/// lets itself be called (the Host). Both are compared without regard to case, in ASCII.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/address.hpp"

namespace webshocket::protocol {

/// A host's name, "*.example.com" for every name below it (and not for itself), or an address.
class HostPattern {
 public:
  /// The pattern, or what is wrong with the text, for people to read.
  static std::variant<HostPattern, std::string_view> parse(std::string_view text);

  /// `host` is without a port; an IPv6 address may be in brackets.
  bool matches(std::string_view host) const noexcept;

 private:
  explicit HostPattern(std::string_view name) : name_(name) {}
  explicit HostPattern(const Address& address) noexcept : address_(address) {}

  std::string name_;
  std::optional<Address> address_;
};

/// "https://example.com", "https://*.example.com:8443", "http://localhost:*" for any port, "null"
/// for that word, "*" for every origin there is.
class OriginPattern {
 public:
  static std::variant<OriginPattern, std::string_view> parse(std::string_view text);

  bool matches(std::string_view origin) const noexcept;

 private:
  enum class Kind : std::uint8_t { any, null, url };

  explicit OriginPattern(Kind kind) noexcept : kind_(kind) {}

  Kind kind_;
  std::string scheme_;
  std::optional<HostPattern> host_;
  std::optional<std::uint16_t> port_;  ///< none: any
};

/// The parts of a Host header, or nothing if it is none. The port is 0 if it is not there.
struct HostPort {
  std::string_view host;  ///< an IPv6 address in its brackets
  std::uint16_t port = 0;

  static std::optional<HostPort> parse(std::string_view text) noexcept;
};

/// Whether a page comes from the host that it calls. Where a port is missing it is that of the
/// origin's scheme, on both sides: that of the server is not known when a proxy does its TLS.
bool is_same_origin(std::string_view origin, std::string_view host) noexcept;

/// A list of allowed origins: empty, it is `is_same_origin`.
bool allows_origin(const std::vector<OriginPattern>& allowed, std::string_view origin,
                   std::string_view host) noexcept;

/// A list of allowed hosts: empty, it is all of them.
bool allows_host(const std::vector<HostPattern>& allowed, std::string_view host) noexcept;

}  // namespace webshocket::protocol
