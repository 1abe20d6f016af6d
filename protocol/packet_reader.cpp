#include "protocol/packet_reader.hpp"

#include <cstddef>
#include <cstring>

namespace webshocket::protocol {
namespace {

bool refuse(std::string_view& why, std::string_view text) noexcept {
  why = text;
  return false;
}

// Not by `==`, whose comparison is a call.
template <std::size_t N>
bool is(std::string_view name, const char (&literal)[N]) noexcept {
  return name.size() == N - 1 && std::memcmp(name.data(), literal, N - 1) == 0;
}

bool read_text(const Value& value, std::string_view& text) noexcept {
  if (!value.is_string()) return false;
  text = value.string();
  return true;
}

bool read_text_or_null(const Value& value, std::optional<std::string_view>& text) noexcept {
  if (value.is_null()) return true;
  if (!value.is_string()) return false;
  text = value.string();
  return true;
}

bool read_flag(const Value& value, bool& flag) noexcept {
  if (value.type() != Value::Type::boolean) return false;
  flag = value.boolean();
  return true;
}

bool read_source(const Value& value, PacketSource& source) noexcept {
  if (value.type() != Value::Type::integer) return false;
  if (value.integer() < 1 || value.integer() > 5) return false;
  source = static_cast<PacketSource>(value.integer());
  return true;
}

bool read_error(const Value& value, std::optional<RpcErrorCode>& error) noexcept {
  if (value.is_null()) return true;
  if (value.type() != Value::Type::integer) return false;
  switch (value.integer()) {
    case -32000:
    case -32001:
    case -32002:
    case -32601:
    case -32602:
    case -32603:
      error = static_cast<RpcErrorCode>(value.integer());
      return true;
    default:
      return false;
  }
}

bool read_keywords(const Value& value, std::span<const Value::Member>& members) noexcept {
  if (!value.is_map()) return false;
  for (const auto& [key, keyword] : value.members()) {
    if (!key.is_string()) return false;
  }
  members = value.members();
  return true;
}

bool read_request(const Value& map, RpcRequest& request, std::string_view& why) noexcept {
  bool has_method = false;
  for (const auto& [key, value] : map.members()) {
    if (!key.is_string()) return refuse(why, "rpc: a key is not a string");
    const std::string_view name = key.string();
    if (is(name, "method")) {
      if (!read_text(value, request.method)) return refuse(why, "rpc.method is not a string");
      has_method = true;
    } else if (is(name, "args")) {
      if (!value.is_array()) return refuse(why, "rpc.args is not an array");
      request.args = value.elements();
    } else if (is(name, "kwargs")) {
      if (!read_keywords(value, request.kwargs)) {
        return refuse(why, "rpc.kwargs is not a map with string keys");
      }
    } else if (is(name, "call_id")) {
      if (!read_text(value, request.call_id)) return refuse(why, "rpc.call_id is not a string");
    }
  }
  return has_method || refuse(why, "rpc.method is missing");
}

bool read_response(const Value& map, RpcResponse& response, std::string_view& why) noexcept {
  bool has_call_id = false;
  for (const auto& [key, value] : map.members()) {
    if (!key.is_string()) return refuse(why, "rpc: a key is not a string");
    const std::string_view name = key.string();
    if (is(name, "call_id")) {
      if (!read_text(value, response.call_id)) return refuse(why, "rpc.call_id is not a string");
      has_call_id = true;
    } else if (is(name, "response")) {
      response.response = value;
    } else if (is(name, "error")) {
      if (!read_error(value, response.error)) return refuse(why, "rpc.error is no known code");
    } else if (is(name, "is_stream")) {
      if (!read_flag(value, response.is_stream)) {
        return refuse(why, "rpc.is_stream is not a boolean");
      }
    } else if (is(name, "is_end")) {
      if (!read_flag(value, response.is_end)) return refuse(why, "rpc.is_end is not a boolean");
    }
  }
  return has_call_id || refuse(why, "rpc.call_id is missing");
}

bool read_rpc(const Value& value, Packet& packet, std::string_view& why) noexcept {
  if (value.is_null()) return true;
  if (!value.is_map()) return refuse(why, "rpc is neither null nor a map");
  const Value type = value["type"];
  if (type.is_string() && is(type.string(), "request")) {
    return read_request(value, packet.rpc.emplace<RpcRequest>(), why);
  }
  if (type.is_string() && is(type.string(), "response")) {
    return read_response(value, packet.rpc.emplace<RpcResponse>(), why);
  }
  return refuse(why, "rpc.type is neither \"request\" nor \"response\"");
}

}  // namespace

bool read_packet(const Value& root, Packet& packet, std::string_view& why) noexcept {
  if (!root.is_map()) return refuse(why, "a packet is a map");
  bool has_source = false;
  for (const auto& [key, value] : root.members()) {
    if (!key.is_string()) return refuse(why, "a key is not a string");
    const std::string_view name = key.string();
    if (is(name, "source")) {
      if (!read_source(value, packet.source)) {
        return refuse(why, "source is not an integer from 1 to 5");
      }
      has_source = true;
    } else if (is(name, "data")) {
      packet.data = value;
    } else if (is(name, "rpc")) {
      if (!read_rpc(value, packet, why)) return false;
    } else if (is(name, "channel")) {
      if (!read_text_or_null(value, packet.channel)) {
        return refuse(why, "channel is neither a string nor null");
      }
    } else if (is(name, "timestamp")) {
      if (!value.is_null() && !value.is_number()) {
        return refuse(why, "timestamp is neither a number nor null");
      }
      packet.timestamp = value;
    } else if (is(name, "correlation_id")) {
      if (!read_text_or_null(value, packet.correlation_id)) {
        return refuse(why, "correlation_id is neither a string nor null");
      }
    }
  }
  return has_source || refuse(why, "source is missing");
}

}  // namespace webshocket::protocol
