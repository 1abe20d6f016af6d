/// One connection's permessage-deflate, once it has been agreed on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <webshocket/compression.hpp>

#include "protocol/deflate.hpp"
#include "protocol/extensions.hpp"

namespace webshocket::protocol {

/// Uses the thread's shared compressor and decompressor, or owns what the terms allow to remember
/// between two messages. One thread at a time; it may move to another between two calls.
class PerMessageDeflate {
 public:
  /// `role` is ours.
  PerMessageDeflate(const DeflateTerms& terms, Role role, const Compression& settings) noexcept;

  /// What decompresses the peer's next message. Throws `std::bad_alloc`.
  Inflater& inflater();

  /// Appends the message, compressed; it must be sent before any other. False if it had better go
  /// as it is: then nothing is appended. Throws `std::bad_alloc`.
  [[nodiscard]] bool deflate(std::span<const std::byte> message, const Compression& settings,
                             Buffer& out);
  /// The peer gets a compressed message that was made elsewhere, or does not get the last of ours.
  void forget() noexcept { must_forget_ = true; }

  /// Whether the peer can look back far enough for all that `Deflater::shared` makes.
  bool can_share() const noexcept { return our_window_bits_ >= shared_window_bits_; }

 private:
  bool can_share(std::size_t size) const noexcept {
    return can_share() || size <= std::size_t{1} << our_window_bits_;
  }

  std::unique_ptr<Deflater> deflater_;
  std::unique_ptr<Inflater> inflater_;
  std::uint8_t our_window_bits_;
  std::uint8_t peer_window_bits_;
  std::uint8_t shared_window_bits_;
  bool remembers_;
  bool peer_remembers_;
  bool must_forget_ = false;
};

}  // namespace webshocket::protocol
