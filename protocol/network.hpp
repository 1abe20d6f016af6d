/// Blocks of addresses, as people write down whom they trust.
#pragma once

#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/address.hpp"

namespace webshocket::protocol {

/// "10.0.0.0/8", "fd00::/8", an address alone, or "unix": every peer on a unix socket. IPv4 and
/// IPv6 are worlds apart: "::/0" holds no IPv4 address.
class Network {
 public:
  /// The block, or what is wrong with the text, for people to read.
  static std::variant<Network, std::string_view> parse(std::string_view text) noexcept;

  bool contains(const Address& address) const noexcept;

 private:
  Network(const Address& base, unsigned bits) noexcept : base_(base), bits_(bits) {}

  Address base_;
  unsigned bits_;
};

class Networks {
 public:
  void add(const Network& network) { list_.push_back(network); }
  bool empty() const noexcept { return list_.empty(); }
  bool contains(const Address& address) const noexcept;

 private:
  std::vector<Network> list_;
};

}  // namespace webshocket::protocol
