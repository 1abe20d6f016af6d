/// A decoded value, judged as a packet.
#pragma once

#include <string_view>

#include <webshocket/packet.hpp>
#include <webshocket/value.hpp>

namespace webshocket::protocol {

/// False, and why, if the value is no packet: see packet_codec.hpp for the grammar. Borrows from
/// `root`.
bool read_packet(const Value& root, Packet& packet, std::string_view& why) noexcept;

}  // namespace webshocket::protocol
