/// The small words that everything else speaks in.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace webshocket {

/// What a connection speaks, fixed by the subprotocol it was opened with.
enum class Format : std::uint8_t {
  msgpack,  ///< `webshocket.v1`: packets in msgpack, BINARY frames
  json,     ///< `webshocket.v1.json`: packets in JSON, TEXT frames; no subprotocol: JSON in BINARY
  raw,      ///< no packets: the application's own messages
};

/// RFC 6455, section 5.2.
enum class Opcode : std::uint8_t {
  continuation = 0x0,
  text = 0x1,
  binary = 0x2,
  close = 0x8,
  ping = 0x9,
  pong = 0xA,
};

/// RFC 6455, section 7.4. Any number in 3000…4999 may be cast to it for an application's own.
enum class CloseCode : std::uint16_t {
  normal = 1000,
  going_away = 1001,
  protocol_error = 1002,
  unsupported_data = 1003,
  no_status = 1005,  ///< never on the wire: a CLOSE without a body
  abnormal = 1006,   ///< never on the wire: the connection ended without a CLOSE
  invalid_data = 1007,
  policy_violation = 1008,
  message_too_big = 1009,
  mandatory_extension = 1010,
  internal_error = 1011,
  service_restart = 1012,
  try_again_later = 1013,
  bad_gateway = 1014,
};

/// What an RPC response says went wrong.
enum class RpcErrorCode : std::int32_t {
  rate_limit_exceeded = -32000,
  application_error = -32001,
  access_denied = -32002,
  method_not_found = -32601,
  invalid_params = -32602,
  internal_server_error = -32603,
};

enum class ConnectionState : std::uint8_t {
  disconnected = 1,
  connecting = 2,
  connected = 3,
  closed = 4,
};

enum class ServerState : std::uint8_t { closed, serving, draining };

/// What became of a message handed to `send`.
enum class SendStatus : std::uint8_t {
  ok,         ///< accepted
  congested,  ///< accepted, but the receiver is slow: its outbox is past the low mark
  dropped,    ///< not accepted: the connection is closed, or its outbox is full
};

std::string_view to_string(Format format) noexcept;
std::string_view to_string(ConnectionState state) noexcept;
std::string_view to_string(ServerState state) noexcept;

/// The unique name of a connection, minted by the server (a random UUID). Decides its shard.
struct Uid {
  std::array<std::byte, 16> bytes{};

  /// 36 characters, RFC 4122.
  std::string to_string() const;
  static std::optional<Uid> parse(std::string_view text) noexcept;

  friend auto operator<=>(const Uid&, const Uid&) = default;
};

/// Where a message about the server's own doings goes: see `Config::log`.
enum class LogLevel : std::uint8_t { debug, info, warning, error };

}  // namespace webshocket

template <>
struct std::hash<webshocket::Uid> {
  std::size_t operator()(const webshocket::Uid& uid) const noexcept {
    std::size_t result = 0;
    for (std::size_t i = 0; i < sizeof result; ++i) {
      result |= std::to_integer<std::size_t>(uid.bytes[i]) << (8 * i);
    }
    return result;  // the bytes are random already
  }
};
