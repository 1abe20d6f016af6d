#include "protocol/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace webshocket::protocol {

Address Address::v4(std::span<const std::byte, 4> bytes, std::uint16_t port) noexcept {
  Address address;
  std::ranges::copy(bytes, address.bytes.begin());
  address.port = port;
  address.family = 4;
  return address;
}

Address Address::v6(std::span<const std::byte, 16> bytes, std::uint16_t port) noexcept {
  constexpr std::byte kOnes{0xFF};
  const bool is_mapped =
      bytes[10] == kOnes && bytes[11] == kOnes &&
      std::ranges::all_of(bytes.first<10>(), [](std::byte b) { return b == std::byte{0}; });
  if (is_mapped) return v4(bytes.last<4>(), port);
  Address address;
  std::ranges::copy(bytes, address.bytes.begin());
  address.port = port;
  address.family = 6;
  return address;
}

std::optional<Address> Address::parse(std::string_view text) noexcept {
  // The library wants a NUL behind it, and must not stop at one inside.
  std::array<char, INET6_ADDRSTRLEN> copy{};
  if (text.size() >= copy.size() || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::ranges::copy(text, copy.begin());
  std::array<std::byte, 16> bytes{};
  if (::inet_pton(AF_INET, copy.data(), bytes.data()) == 1) return v4(std::span(bytes).first<4>());
  if (::inet_pton(AF_INET6, copy.data(), bytes.data()) == 1) return v6(bytes);
  return std::nullopt;
}

std::string Address::to_string() const {
  if (family == 0) return "unix";
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(family == 4 ? AF_INET : AF_INET6, bytes.data(), text.data(), text.size());
  const std::string host(text.data());
  return (family == 4 ? host : "[" + host + "]") + ":" + std::to_string(port);
}

std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc() || at != end) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return port;
}

}  // namespace webshocket::protocol
