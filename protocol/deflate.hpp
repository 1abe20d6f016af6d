/// The payloads of permessage-deflate (RFC 7692, section 7.2), by zlib.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <webshocket/compression.hpp>

#include "protocol/buffer.hpp"

struct z_stream_s;

namespace webshocket::protocol {

/// The smallest window that zlib can make raw deflate streams for.
inline constexpr int kLeastWindowBits = 9;
inline constexpr int kMostWindowBits = 15;

/// Whether somebody who can have a message of that size compressed is to get it so.
constexpr bool is_worth_deflating(const Compression& settings, Compress choice,
                                  std::size_t size) noexcept {
  if (size == 0) return false;
  return choice == Compress::always ||
         (choice == Compress::automatic && size >= settings.threshold);
}

/// Compresses messages. One thread at a time.
class Deflater {
 public:
  /// Throws `std::bad_alloc`. The settings are in range (`engine` checks them), and `window_bits`
  /// is at least `kLeastWindowBits`.
  Deflater(const Compression& settings, int window_bits);
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  /// Appends the message, compressed, if that takes fewer bytes than it has; false otherwise, and
  /// then nothing is appended, and what it remembers is no more what the peer does: `forget`.
  [[nodiscard]] bool deflate(std::span<const std::byte> message, Buffer& out);
  /// The next message refers to none before it.
  void forget() noexcept;

  /// One of this thread's, which remembers nothing between two messages.
  static Deflater& shared(const Compression& settings);

 private:
  struct End {
    void operator()(z_stream_s* stream) const noexcept;
  };

  std::unique_ptr<z_stream_s, End> stream_;
};

/// Decompresses messages. One thread at a time.
class Inflater {
 public:
  enum class Status : std::uint8_t {
    ok,
    too_big,  ///< more than the limit comes out
    corrupt,
    no_memory,
  };

  /// Throws `std::bad_alloc`. With `remembers`, a message may refer to those before it.
  explicit Inflater(int window_bits = kMostWindowBits, bool remembers = false);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Appends what the message holds, at most `limit` bytes (0: no limit). `out` grows with what
  /// comes out, and never much beyond the limit. After anything but `ok`, what was appended is
  /// worth nothing, and no message may follow that refers to those before it.
  Status inflate(std::span<const std::byte> message, Buffer& out, std::size_t limit) noexcept;

  /// This thread's, which remembers nothing between two messages.
  static Inflater& shared();

 private:
  struct End {
    void operator()(z_stream_s* stream) const noexcept;
  };

  Status run(std::span<const std::byte> input, Buffer& out, std::size_t end);

  std::unique_ptr<z_stream_s, End> stream_;
  bool remembers_;
};

}  // namespace webshocket::protocol
