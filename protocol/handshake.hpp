/// The opening handshake of RFC 6455, both ends. What extensions are about is in extensions.hpp.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/buffer.hpp"
#include "protocol/http.hpp"

namespace webshocket::protocol {

inline constexpr std::string_view kMsgpackSubprotocol = "webshocket.v1";
inline constexpr std::string_view kJsonSubprotocol = "webshocket.v1.json";

/// What a good upgrade request asks for.
struct UpgradeOffer {
  std::string key;
  std::vector<std::string> subprotocols;  ///< in the client's order, each once
};

/// 405 for another method than GET, 426 for another version than 13, else 400; the text names the
/// fault.
std::variant<UpgradeOffer, HttpError> check_upgrade(const HttpHead& head);

/// The first offer that is one of ours; the view is a constant's.
std::optional<std::string_view> choose_subprotocol(std::span<const std::string> offers) noexcept;

/// Sec-WebSocket-Accept for a Sec-WebSocket-Key.
std::string accept_key(std::string_view key);

/// A Sec-WebSocket-Key, made of 16 bytes that the caller drew at random.
std::string encode_key(std::span<const std::byte, 16> random);

/// The 101. Headers of `extra` that belong to the handshake or could end their line are left out,
/// and so is a subprotocol that is no token. `extensions`: from `accept_deflate`, or empty.
void write_upgrade_reply(Buffer& out, std::string_view key,
                         std::optional<std::string_view> subprotocol,
                         std::string_view extensions = {}, std::span<const HttpHeader> extra = {});

/// Headers that the handshake itself is made of, in any case.
bool belongs_to_handshake(std::string_view name) noexcept;

/// The value of an Authorization header for "user:password".
std::string basic_credentials(std::string_view userinfo);

struct UpgradeRequestOptions {
  std::string host;    ///< with the port, if it is not the scheme's
  std::string target;  ///< path and query, percent-encoded
  std::string key;     ///< from `encode_key`
  std::vector<std::string> subprotocols = {};
  std::string extensions = {};           ///< from `deflate_offer`
  std::vector<HttpHeader> headers = {};  ///< besides; left out as in `write_upgrade_reply`
};

/// Returns false and writes nothing if host, target, key or a subprotocol cannot stand in a
/// request.
[[nodiscard]] bool write_upgrade_request(Buffer& out, const UpgradeRequestOptions& options);

/// What is wrong with the server's answer, for people to read; nothing if the connection is open.
/// The extensions are for `read_deflate_reply` to judge.
std::optional<std::string> check_upgrade_reply(const HttpReply& reply, std::string_view key,
                                               std::span<const std::string> offered);

}  // namespace webshocket::protocol
