/// Packets to bytes and back, in either format: the wire protocol's envelope.
///
///     packet   := map { source: 1…5, [data], [rpc], [channel], [timestamp], [correlation_id] }
///     rpc      := request | response
///     request  := map { type: "request", method, [args], [kwargs], [call_id] }
///     response := map { type: "response", call_id, [response], [error], [is_stream], [is_end] }
///
/// Readers take keys in any order, skip unknown ones, and accept null where the full spelling has
/// it (data, rpc, channel, timestamp, correlation_id, response, error). Writers leave out what is
/// null, but for a response, whose keys are always all there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <webshocket/packet.hpp>
#include <webshocket/payload.hpp>
#include <webshocket/types.hpp>
#include <webshocket/value.hpp>

#include "protocol/buffer.hpp"
#include "protocol/text.hpp"
#include "protocol/utf8.hpp"

namespace webshocket::protocol {

/// One pass. Throws `std::bad_alloc`, and else never fails: what cannot be decoded is {source:
/// unknown, data: the raw bytes}, and `why` (if asked for; a literal) says what is wrong, empty for
/// a packet. Everything borrows from `message` and from `document`, which is cleared first.
Packet decode_packet(Format format, std::span<const std::byte> message, const DecodeLimits& limits,
                     Document& document, std::string_view* why = nullptr);

// All encoders append to `out`, in compact spelling. False, and `out` unchanged, if the format
// cannot hold the value, or if the value's own `webshocket_write` throws or does not make one
// value. For want of memory they throw `std::bad_alloc`: `out` is unchanged then, too.

bool encode_data(Format format, PacketSource source, std::optional<std::string_view> channel,
                 Payload data, Buffer& out);

/// False too if `args` is not one array or `kwargs` not one map with string keys. An empty call id
/// is left out, and the receiver makes one.
bool encode_request(Format format, std::string_view method, Payload args, Payload kwargs,
                    std::string_view call_id, Buffer& out);

bool encode_response(Format format, std::string_view call_id, Payload response,
                     std::optional<RpcErrorCode> error, bool is_stream, bool is_end, Buffer& out);

bool encode_packet(Format format, const Packet& packet, Buffer& out);

/// A value alone, no packet around it.
bool encode_value(Format format, Payload value, Buffer& out);

/// What a string or bytes are on a raw connection, where they lie. Nothing of any other value, nor
/// of text that is no UTF-8: `encode_raw` makes something of these.
inline std::optional<Opcode> raw_as_it_lies(Payload data) noexcept {
  if (data.is_binary()) return Opcode::binary;
  if (data.is_string() && is_text(data.string())) return Opcode::text;
  return std::nullopt;
}

/// For `Format::raw`: bytes as BINARY, a string as TEXT, any other value as JSON TEXT. Nothing
/// where the other encoders return false.
std::optional<Opcode> encode_raw(Payload data, Buffer& out);

}  // namespace webshocket::protocol
