// A message in either format (the first byte says which) becomes a packet that can be encoded again
// in its own format, and decodes to the same bytes. Public functions must agree with the internal
// ones.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include <webshocket/error.hpp>
#include <webshocket/packet.hpp>
#include <webshocket/value.hpp>

#include "protocol/buffer.hpp"
#include "protocol/packet_codec.hpp"

using namespace webshocket;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

void check_owned(Format format, std::span<const std::byte> message, const protocol::Buffer& once,
                 bool is_packet) {
  try {
    const std::string_view text(reinterpret_cast<const char*>(message.data()), message.size());
    const OwnedPacket decoded =
        format == Format::json ? deserialize_json(text) : deserialize(message);
    check(is_packet);
    const OwnedPacket copy(*decoded);
    protocol::Buffer again;
    check(protocol::encode_packet(format, *copy, again));
    check(again.text() == once.text());
  } catch (const PacketValidationError&) {
    check(!is_packet);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Format format = data[0] % 2 == 0 ? Format::json : Format::msgpack;
  const auto message = std::as_bytes(std::span(data, size)).subspan(1);

  Document first, second;
  protocol::Buffer once, twice, other;
  std::string_view why;
  const Packet packet = protocol::decode_packet(format, message, {}, first, &why);
  check(protocol::encode_packet(format, packet, once));
  check_owned(format, message, once, why.empty());
  if (!why.empty()) {
    check(packet.source == PacketSource::unknown && packet.data.size() == message.size());
    try {
      OwnedPacket(packet).decode();
    } catch (const PacketValidationError&) {
    }
    return 0;
  }
  const Packet again = protocol::decode_packet(format, once.span(), {}, second, &why);
  check(why.empty());
  check(protocol::encode_packet(format, again, twice));
  check(once.text() == twice.text());
  // JSON holds anything that msgpack holds, but for ext values; msgpack holds all of JSON.
  const bool crosses = protocol::encode_packet(
      format == Format::json ? Format::msgpack : Format::json, packet, other);
  check(crosses || format == Format::msgpack);
  return 0;
}
