/// What a proxy writes in front of a connection, so that we know whose it is: HAProxy's PROXY
/// protocol, versions 1 and 2.
///
///     version 1, a line of at most 107 bytes:
///       PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n           or TCP6, or UNKNOWN …
///
///     version 2:
///       0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A | 2 command | family transport | length, 2 bytes
///       addresses and ports, then what else the proxy has to say: `length` bytes in all
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "protocol/address.hpp"

namespace webshocket::protocol {

class ProxyHeaderReader {
 public:
  enum class Status : std::uint8_t { incomplete, complete, error };

  /// Takes the header's bytes off the front of `input`, and nothing that is behind it. Once
  /// complete or failed, takes nothing.
  Status feed(std::span<const std::byte>& input) noexcept;

  /// Whether a byte of it has come in.
  bool started() const noexcept { return size_ != 0; }
  /// After `complete`: whose connection it is. None: the proxy's own, or it does not know.
  const std::optional<Address>& source() const noexcept { return source_; }
  /// After `error`: what is wrong with it.
  std::string_view fault() const noexcept { return fault_; }

 private:
  enum class Kind : std::uint8_t { unknown, line, block };

  static constexpr std::size_t kMaxLine = 107;
  static constexpr std::size_t kHead = 16;               ///< of version 2, up to its length
  static constexpr std::size_t kMaxAddresses = 2 * 108;  ///< those of unix sockets

  void take(std::byte byte) noexcept;
  void take_line_byte(std::byte byte) noexcept;
  void take_block_byte() noexcept;
  void read_line() noexcept;
  void read_head() noexcept;
  void read_addresses() noexcept;
  void fail(std::string_view fault) noexcept;

  Status status_ = Status::incomplete;
  Kind kind_ = Kind::unknown;
  std::size_t size_ = 0;        ///< of what has been kept
  std::size_t wanted_ = kHead;  ///< of a block: what is kept of it, as far as is known
  std::size_t skip_ = 0;        ///< what follows of a block, and is nothing to us
  std::optional<Address> source_;
  std::string_view fault_;
  std::array<std::byte, kHead + kMaxAddresses> kept_{};
};

}  // namespace webshocket::protocol
