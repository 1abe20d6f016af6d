#include "protocol/network.hpp"

#include <algorithm>
#include <cstddef>

namespace webshocket::protocol {
namespace {

constexpr unsigned kMappedBits = 96;  // in front of an IPv4 address that is mapped into IPv6

/// Whether the first `bits` of both are the same.
bool same_prefix(const Address& left, const Address& right, unsigned bits) noexcept {
  const std::size_t whole = bits / 8;
  if (!std::equal(left.bytes.begin(), left.bytes.begin() + static_cast<std::ptrdiff_t>(whole),
                  right.bytes.begin())) {
    return false;
  }
  if (bits % 8 == 0) return true;
  const unsigned shift = 8 - bits % 8;
  return (left.bytes[whole] >> shift) == (right.bytes[whole] >> shift);
}

/// The address without what is behind its first `bits`.
Address prefix_of(Address address, unsigned bits) noexcept {
  for (std::size_t i = 0; i < address.bytes.size(); ++i) {
    const unsigned before = static_cast<unsigned>(i) * 8;
    const unsigned kept = bits > before ? std::min(bits - before, 8U) : 0;
    address.bytes[i] &= static_cast<std::byte>(0xFF00U >> kept);
  }
  return address;
}

}  // namespace

std::variant<Network, std::string_view> Network::parse(std::string_view text) noexcept {
  if (text == "unix") return Network(Address(), 0);
  const std::size_t slash = text.find('/');
  const std::string_view written = text.substr(0, slash);
  const auto base = Address::parse(written);
  if (!base) return "an IP address, a block such as 10.0.0.0/8, or unix";
  const unsigned all = base->family == 4 ? 32 : 128;
  if (slash == std::string_view::npos) return Network(*base, all);
  const auto length = parse_port(text.substr(slash + 1));
  if (!length) return "behind the slash, the length of the prefix in bits";
  unsigned bits = *length;
  if (base->family == 4 && written.find(':') != std::string_view::npos) {
    if (bits < kMappedBits) return "IPv4 and IPv6 in two blocks";
    bits -= kMappedBits;
  }
  if (bits > all) return "at most 32 bits of an IPv4 address, 128 of an IPv6 one";
  if (prefix_of(*base, bits) != *base) return "an address that ends with its prefix";
  return Network(*base, bits);
}

bool Network::contains(const Address& address) const noexcept {
  return address.family == base_.family && same_prefix(address, base_, bits_);
}

bool Networks::contains(const Address& address) const noexcept {
  return std::ranges::any_of(list_,
                             [&](const Network& network) { return network.contains(address); });
}

}  // namespace webshocket::protocol
