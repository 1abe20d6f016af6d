/// Who is at the other end: an IP address and port.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace webshocket::protocol {

/// In twenty bytes. An IPv4 address that is mapped into IPv6 is kept as the IPv4 address that it
/// is, so that one machine has one name.
struct Address {
  std::array<std::byte, 16> bytes{};
  std::uint16_t port = 0;   ///< 0: not known
  std::uint8_t family = 0;  ///< 4, 6, or 0 for a unix socket

  static Address v4(std::span<const std::byte, 4> bytes, std::uint16_t port = 0) noexcept;
  static Address v6(std::span<const std::byte, 16> bytes, std::uint16_t port = 0) noexcept;
  /// "192.0.2.1" or "2001:db8::1", without a port, brackets or a zone.
  static std::optional<Address> parse(std::string_view text) noexcept;

  /// "127.0.0.1:80", "[::1]:80", "unix"; with the port 0 if it is not known.
  std::string to_string() const;

  friend bool operator==(const Address&, const Address&) = default;
};

/// A port in decimal; leading zeros only in "0" itself.
std::optional<std::uint16_t> parse_port(std::string_view text) noexcept;

}  // namespace webshocket::protocol
