/// The messages that travel through channels: numbered, so that whoever reads them knows what is
/// missing, repeated, out of order or damaged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wssoak {

/// What a message says, without its filling.
struct Note {
  std::string_view channel;
  std::uint64_t number = 0;   ///< within the channel, from 1 on
  std::uint64_t sent_ns = 0;  ///< by the clock of this machine
};

inline constexpr std::size_t kLargestFilling = 60'000;

/// The text of one, with so many bytes of filling (at most `kLargestFilling`).
std::string text_of(const Note& note, std::size_t filling);

/// Borrows from the text. Nothing if it is none, or damaged.
std::optional<Note> parse_note(std::string_view text) noexcept;

/// What becomes of the numbers of one channel at one reader.
class Sequence {
 public:
  enum class Verdict : std::uint8_t { fine, repeated, gap };

  /// The first number that comes may be any; from there on each must come, once, in order; with
  /// `may_skip` some may be left out.
  Verdict take(std::uint64_t number, bool may_skip) noexcept;
  /// The one before; 0: there was none.
  std::uint64_t previous() const noexcept { return previous_; }

 private:
  std::uint64_t previous_ = 0;
  std::uint64_t last_ = 0;  ///< the largest
};

/// The same for all channels of a reader.
class Sequences {
 public:
  /// Where a channel stands; made when it is first asked for. Valid until the next one is made.
  Sequence& of(std::string_view channel);

 private:
  struct Channel {
    std::string name;
    Sequence sequence;
  };
  std::vector<Channel> channels_;  ///< few
};

}  // namespace wssoak
