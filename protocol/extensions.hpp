/// Sec-WebSocket-Extensions: how the two ends agree on permessage-deflate (RFC 7692, section 7.1).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <webshocket/compression.hpp>

#include "protocol/deflate.hpp"
#include "protocol/frame_header.hpp"
#include "protocol/http_fields.hpp"

namespace webshocket::protocol {

inline constexpr std::string_view kExtensionsHeader = "Sec-WebSocket-Extensions";

/// What was agreed on. A window is the sender's: what it compresses with.
struct DeflateTerms {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  int server_window_bits = kMostWindowBits;  ///< 8 to 15
  int client_window_bits = kMostWindowBits;

  bool no_context_takeover(Role of) const noexcept {
    return of == Role::server ? server_no_context_takeover : client_no_context_takeover;
  }
  int window_bits(Role of) const noexcept {
    return of == Role::server ? server_window_bits : client_window_bits;
  }
  bool operator==(const DeflateTerms&) const = default;
};

struct DeflateAnswer {
  DeflateTerms terms;
  std::string text;  ///< of the header
};

/// The server's side: the first of the client's offers that can be kept, if there is one. What is
/// not understood is declined, never refused.
std::optional<DeflateAnswer> accept_deflate(const HttpFields& request, const Compression& settings);

/// As a client offers it.
std::string deflate_offer(const Compression& settings);

/// The client's side: what the server makes of the offer (nothing: it declined), or what is wrong
/// with its answer, for people to read. Without `settings.enabled` nothing was offered.
std::variant<std::optional<DeflateTerms>, std::string> read_deflate_reply(
    const HttpFields& reply, const Compression& settings);

}  // namespace webshocket::protocol
