/// permessage-deflate (RFC 7692): the settings of either end, and the choice for one message.
#pragma once

#include <cstddef>
#include <cstdint>

namespace webshocket {

/// Whether a message is compressed for those who have agreed to that. Nobody else gets it so.
enum class Compress : std::uint8_t {
  automatic,  ///< from `Compression::threshold` on
  never,      ///< bytes that are dense already, or secrets beside what an attacker chooses
  always,     ///< whatever its size
};

/// How messages are compressed. What does not get smaller goes as it is, whatever is set here.
///
/// A context is what a compressor remembers of a connection's earlier messages, and its peer with
/// it. Without one, which is the default, all connections of a thread share one compressor (about
/// 270 KB) and one decompressor (40 KB), and a connection costs some 40 bytes.
struct Compression {
  bool enabled = false;
  std::size_t threshold = 128;  ///< smaller messages go as they are; bytes
  int level = 6;                ///< zlib's: 1 is quick, 9 is small
  int window_bits = 15;         ///< how far back it looks, 2^9 to 2^15 bytes
  int memory_level = 8;         ///< zlib's, 1 to 9: what the compressor may use besides
  /// Our end remembers: smaller messages for up to 270 KB of memory per connection (2^(window_bits
  /// + 2) + 2^(memory_level + 9) bytes). What goes to many at once is compressed once all the same.
  bool context = false;
  /// The peer may remember: 2^window_bits + 7 KB per connection, if it lets us choose; else 40 KB.
  bool peer_context = false;
};

}  // namespace webshocket
