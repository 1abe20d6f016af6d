// The public functions over the codecs, for use without a server.

#include <webshocket/packet.hpp>

#include <cstring>
#include <utility>

#include "api/document_builder.hpp"
#include "protocol/buffer.hpp"
#include "protocol/json.hpp"
#include "protocol/msgpack.hpp"
#include "protocol/packet_codec.hpp"

namespace webshocket {
namespace {

using protocol::Buffer;
using Strings = detail::DocumentBuilder::Strings;

Buffer encode_or_throw(Format format, const Packet& packet) {
  Buffer out;
  if (!protocol::encode_packet(format, packet, out)) {
    throw PacketError("the packet holds a value that " + std::string(to_string(format)) +
                      " cannot hold");
  }
  return out;
}

/// Not by way of the noexcept encoders: here an exception of the user's own reaches the user.
template <class Writer>
Buffer write_or_throw(Payload payload, Format format) {
  Buffer out;
  Writer writer(out);
  payload.write(writer);
  if (!writer.complete()) {
    throw PacketError(std::string(to_string(format)) + " cannot hold this value");
  }
  return out;
}

OwnedPacket decode_or_throw(Format format, std::span<const std::byte> bytes,
                            const DecodeLimits& limits) {
  auto copy = std::make_unique_for_overwrite<std::byte[]>(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.get(), bytes.data(), bytes.size());
  Document document;
  std::string_view why;
  const Packet packet =
      protocol::decode_packet(format, {copy.get(), bytes.size()}, limits, document, &why);
  if (!why.empty()) throw PacketValidationError("not a packet: " + std::string(why));
  return OwnedPacket(packet, std::move(document), std::move(copy));
}

template <class Read>
Document read_or_throw(std::span<const std::byte> bytes, const DecodeLimits& limits, Read read,
                       const char* what) {
  Document document;
  detail::DocumentBuilder builder(document, Strings::copy);
  std::string_view why;
  if (!read(bytes, limits, builder, why) || !builder.finish()) {
    throw PacketValidationError(what + std::string(why));
  }
  return document;
}

std::vector<std::byte> to_vector(const Buffer& buffer) {
  return {buffer.span().begin(), buffer.span().end()};
}

}  // namespace

Document OwnedPacket::decode() const {
  if (packet_.source != PacketSource::unknown || packet_.data.type() != Value::Type::binary) {
    return clone(packet_.data);
  }
  // JSON first: as msgpack, a text is at most its first byte, and a lone digit is both.
  const auto bytes = packet_.data.bytes();
  Document document;
  std::string_view why;
  {
    detail::DocumentBuilder builder(document, Strings::copy);
    if (protocol::read_json(bytes, {}, builder, why) && builder.finish()) return document;
  }
  detail::DocumentBuilder builder(document, Strings::copy);
  if (protocol::read_msgpack(bytes, {}, builder, why) && builder.finish()) return document;
  throw PacketValidationError("the packet's bytes are neither JSON nor msgpack");
}

std::vector<std::byte> serialize(const Packet& packet) {
  return to_vector(encode_or_throw(Format::msgpack, packet));
}

std::string serialize_json(const Packet& packet) {
  return std::string(encode_or_throw(Format::json, packet).text());
}

OwnedPacket deserialize(std::span<const std::byte> bytes, const DecodeLimits& limits) {
  return decode_or_throw(Format::msgpack, bytes, limits);
}

OwnedPacket deserialize_json(std::string_view text, const DecodeLimits& limits) {
  return decode_or_throw(Format::json, std::as_bytes(std::span(text)), limits);
}

std::vector<std::byte> to_msgpack(Payload payload) {
  return to_vector(write_or_throw<protocol::MsgpackWriter>(payload, Format::msgpack));
}

std::string to_json(Payload payload) {
  return std::string(write_or_throw<protocol::JsonWriter>(payload, Format::json).text());
}

Document from_msgpack(std::span<const std::byte> bytes, const DecodeLimits& limits) {
  return read_or_throw(bytes, limits, protocol::read_msgpack, "not msgpack: ");
}

Document from_json(std::string_view text, const DecodeLimits& limits) {
  return read_or_throw(std::as_bytes(std::span(text)), limits, protocol::read_json, "not JSON: ");
}

}  // namespace webshocket
