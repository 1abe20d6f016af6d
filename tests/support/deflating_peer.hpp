/// A peer's own permessage-deflate, straight from zlib: it shares no code with what is tested.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tests/support/raw_peer.hpp"

struct z_stream_s;

namespace webshocket::test {

inline constexpr std::string_view kDeflateOffer =
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits";

/// Remembers, unless it is told to `forget` before a message.
class DeflatingPeer {
 public:
  explicit DeflatingPeer(int window_bits = 15);
  ~DeflatingPeer();
  DeflatingPeer(const DeflatingPeer&) = delete;
  DeflatingPeer& operator=(const DeflatingPeer&) = delete;

  std::string deflate(std::string_view message);
  /// Throws `PeerError` if it is no deflate stream that fits the window.
  std::string inflate(std::string_view payload);
  void forget();

  /// A message's one frame, compressed.
  SentFrame frame(unsigned opcode, std::string_view message);
  /// The next message of that peer, inflated if it is marked so. `rsv` gets the mark.
  std::string read_message(RawPeer& from, unsigned* rsv = nullptr);

 private:
  struct End {
    void operator()(z_stream_s* stream) const noexcept;
  };
  std::unique_ptr<z_stream_s, End> deflate_;
  std::unique_ptr<z_stream_s, End> inflate_;
};

/// A message of `size` bytes that gets much smaller, and is not the one before it.
std::string compressible(std::size_t size, unsigned seed = 0);

}  // namespace webshocket::test
