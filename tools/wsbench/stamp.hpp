/// What a published payload carries, so that a delivery tells which message it is of and when that
/// was due.
///
///     payload := magic (4 bytes) channel (4) sequence (8) due (8) filler… sequence (8)
///
/// in the machine's order of bytes; as hexadecimal digits, twice as long, where only text gets
/// through. The end tells a payload that was cut off or pieced together wrongly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace wsbench {

enum class Spelling : std::uint8_t { binary, printable };

struct Stamp {
  std::uint32_t channel = 0;
  std::uint64_t sequence = 0;  ///< of the channel, from 0
  std::uint64_t due_ns = 0;    ///< as `now_ns` counts

  friend bool operator==(const Stamp&, const Stamp&) = default;
};

/// Writes and finds the stamps of payloads of one size in one spelling.
class Stamps {
 public:
  /// REQUIRES: `size` is at least `smallest(spelling)`.
  Stamps(Spelling spelling, std::size_t size) noexcept : spelling_(spelling), size_(size) {}

  static std::size_t smallest(Spelling spelling) noexcept { return 32 * width(spelling); }

  std::size_t size() const noexcept { return size_; }
  Spelling spelling() const noexcept { return spelling_; }

  /// What stands between the stamp and its end, in all payloads alike.
  void write_filler(std::span<char> payload) const noexcept;
  /// Into `size()` bytes.
  void write(const Stamp& stamp, char* payload) const noexcept;

  /// Whether a payload may begin there. REQUIRES: 8 readable bytes.
  bool begins(const char* at) const noexcept {
    if (spelling_ == Spelling::printable) return std::memcmp(at, kPrintableMagic.data(), 8) == 0;
    return std::memcmp(at, kMagic.data(), 4) == 0;
  }
  /// How many bytes `read` looks at.
  std::size_t head_size() const noexcept { return 24 * width(spelling_); }
  /// REQUIRES: `begins(at)`, and `head_size()` readable bytes.
  Stamp read(const char* at) const noexcept;
  std::size_t tail_size() const noexcept { return 8 * width(spelling_); }
  /// The sequence that the payload's last `tail_size()` bytes hold.
  std::uint64_t read_tail(const char* tail) const noexcept;

  /// Where in a message a payload begins, or npos.
  std::size_t find(std::string_view message) const noexcept;

 private:
  static constexpr std::string_view kMagic = "\x9dwsb";
  static constexpr std::string_view kPrintableMagic = "9d777362";

  std::string_view begins_with() const noexcept {
    return spelling_ == Spelling::printable ? kPrintableMagic : kMagic;
  }

  static std::size_t width(Spelling spelling) noexcept {
    return spelling == Spelling::printable ? 2 : 1;
  }

  Spelling spelling_;
  std::size_t size_;
};

}  // namespace wsbench
