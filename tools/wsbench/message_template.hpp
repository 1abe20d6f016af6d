/// A message in which a payload and a number change from one sending to the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace wsbench {

class MessageTemplate {
 public:
  /// What an id looks like: always so many digits, so that everything behind it keeps its place.
  static constexpr std::string_view kIdHolder = "100000000000";

  MessageTemplate() = default;
  /// `{channel}`, `{payload}` and `{id}` of the text are replaced, the last two by place holders:
  /// `payload`, and `kIdHolder`.
  MessageTemplate(std::string_view text, std::string_view channel, std::string_view payload);
  /// Bytes that hold `payload` and `kIdHolder` already, or one of them.
  static MessageTemplate of_bytes(std::string bytes, std::string_view payload);

  const std::string& bytes() const noexcept { return bytes_; }
  /// Where the payload begins, or nothing.
  std::optional<std::size_t> payload_at() const noexcept { return payload_at_; }
  /// Into a copy of `bytes()`. REQUIRES: an id below 900 billion.
  void write_id(std::uint64_t id, char* message) const noexcept;
  /// The number that `write_id` has written so.
  static std::optional<std::uint64_t> id_of(std::string_view text) noexcept;

 private:
  void find_holders(std::string_view payload);

  std::string bytes_;
  std::optional<std::size_t> payload_at_;
  std::optional<std::size_t> id_at_;
};

/// What a server said, for people: not all of it if it is long, and dots for what is no ASCII text.
std::string shown(std::string_view message);

/// All occurrences.
std::string replaced(std::string text, std::string_view what, std::string_view by);

}  // namespace wsbench
