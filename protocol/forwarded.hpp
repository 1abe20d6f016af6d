/// Whom a request is from, as the proxies on its way have written it down: X-Forwarded-For, and
/// Forwarded (RFC 7239).
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "protocol/address.hpp"
#include "protocol/http_fields.hpp"
#include "protocol/network.hpp"

namespace webshocket::protocol {

/// Whose word counts.
struct ForwardedRules {
  std::string_view header = "X-Forwarded-For";  ///< "Forwarded" is RFC 7239, any other a list
  std::size_t max_hops = 16;                    ///< 0: no limit
};

/// Each proxy adds, on the right, whom it has the request from. So from the right, and beginning
/// with `peer`, whoever is trusted is believed about the one before it: the first one who is not
/// is the client. Where a trusted one names nobody, or what it says is malformed, it is the last
/// that is known. All header lines of the name are one list.
Address forwarded_for(const HttpFields& fields, const Address& peer, const Networks& trusted,
                      const ForwardedRules& rules) noexcept;

/// An element of X-Forwarded-For: an address, with or without a port and brackets.
std::optional<Address> parse_listed_address(std::string_view element) noexcept;

/// The `for` of an element of Forwarded, if there is one, it is an address, and the element is well
/// formed.
std::optional<Address> parse_forwarded_element(std::string_view element) noexcept;

}  // namespace webshocket::protocol
