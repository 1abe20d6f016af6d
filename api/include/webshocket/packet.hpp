/// The envelope on the wire, and its two encodings for use without a server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <webshocket/payload.hpp>
#include <webshocket/types.hpp>
#include <webshocket/value.hpp>

namespace webshocket {

enum class PacketSource : std::uint8_t {
  broadcast = 1,
  channel = 2,
  unknown = 3,  ///< could not be decoded: `data` holds the raw bytes
  custom = 4,
  rpc = 5,
};

struct RpcRequest {
  std::string_view method;
  std::span<const Value> args;
  std::span<const Value::Member> kwargs;  ///< keys are strings
  std::string_view call_id;               ///< empty: the caller sent none; then none is written
};

struct RpcResponse {
  std::string_view call_id;
  Value response;  ///< the result, or the error's text
  std::optional<RpcErrorCode> error;
  bool is_stream = false;
  bool is_end = false;
};

/// A view of one message, borrowing everything: valid as long as what it was decoded from.
/// `OwnedPacket` keeps it.
struct Packet {
  PacketSource source = PacketSource::custom;
  Value data;
  std::variant<std::monostate, RpcRequest, RpcResponse> rpc;
  std::optional<std::string_view> channel;
  Value timestamp;  ///< a number or null
  std::optional<std::string_view> correlation_id;

  const RpcRequest* request() const noexcept { return std::get_if<RpcRequest>(&rpc); }
  const RpcResponse* response() const noexcept { return std::get_if<RpcResponse>(&rpc); }
};

/// A packet that owns what it shows. Movable, its views stay valid. One thread at a time.
class OwnedPacket {
 public:
  /// An empty `custom` packet.
  OwnedPacket() noexcept = default;
  /// A deep copy.
  explicit OwnedPacket(const Packet& packet);
  /// A new packet around a deep copy of `data`.
  OwnedPacket(PacketSource source, Payload data);
  /// For decoders: the packet borrows from `document` and from `bytes`, both of which it takes
  /// over.
  OwnedPacket(Packet packet, Document document, std::unique_ptr<std::byte[]> bytes) noexcept;

  const Packet& operator*() const noexcept { return packet_; }
  const Packet* operator->() const noexcept { return &packet_; }
  const Packet& view() const noexcept { return packet_; }
  /// About how many bytes its copy of the values takes.
  std::size_t size() const noexcept { return document_.arena().used(); }

  /// The value inside an `unknown` packet whose raw bytes are plain JSON or msgpack; for any other
  /// packet a copy of its data. Throws `PacketValidationError` if the bytes are neither.
  Document decode() const;

 private:
  Document document_;
  std::unique_ptr<std::byte[]> bytes_;
  Packet packet_;
};

/// Bounds for decoding what a stranger sent. 0 means unlimited (the depth never exceeds
/// `Sink::kMaxDepth`).
struct DecodeLimits {
  std::size_t depth = 128;           ///< arrays and maps inside each other
  std::size_t elements = 1'000'000;  ///< values in one message, keys included
};

/// Encode in compact spelling. Throws `PacketError` for a value that the format cannot hold (an ext
/// value in JSON). Any thread.
std::vector<std::byte> serialize(const Packet& packet);
std::string serialize_json(const Packet& packet);

/// Decode. Throws `PacketValidationError` that says what is wrong. Any thread.
OwnedPacket deserialize(std::span<const std::byte> bytes, const DecodeLimits& limits = {});
OwnedPacket deserialize_json(std::string_view text, const DecodeLimits& limits = {});

/// A plain value, no packet around it.
std::vector<std::byte> to_msgpack(Payload payload);
std::string to_json(Payload payload);
Document from_msgpack(std::span<const std::byte> bytes, const DecodeLimits& limits = {});
Document from_json(std::string_view text, const DecodeLimits& limits = {});

}  // namespace webshocket
