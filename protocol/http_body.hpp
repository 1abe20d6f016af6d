/// The body of an HTTP/1.1 message, in each of its framings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace webshocket::protocol {

/// Bytes in, the body out. Chunked framing is read to the letter: what two readers could understand
/// differently is refused.
class HttpBodyReader {
 public:
  enum class Status : std::uint8_t {
    incomplete,
    complete,
    malformed,  ///< `fault()` says why
    too_large,  ///< more than `limit` bytes
  };
  enum class Excess : std::uint8_t { refuse, discard };

  void start_empty();
  void start_length(std::uint64_t length, std::size_t limit, Excess excess);
  void start_chunked(std::size_t limit, std::size_t trailer_limit, Excess excess);
  void start_until_close(std::size_t limit, Excess excess);

  /// Takes the body's bytes off the front of `input`. Takes none once it has said anything but
  /// `incomplete`.
  Status feed(std::span<const std::byte>& input);
  /// The peer has sent its last byte.
  Status end_of_input();

  const std::string& body() const noexcept { return body_; }
  std::string take() noexcept { return std::move(body_); }
  std::string_view fault() const noexcept { return fault_; }

 private:
  enum class State : std::uint8_t {
    done,
    fixed,
    until_close,
    size_start,
    size,
    extension,
    size_line_feed,
    chunk,
    chunk_return,
    chunk_line_feed,
    trailer_start,
    trailer,
    trailer_line_feed,
    last_line_feed,
  };

  void start(State state, std::uint64_t left, std::size_t limit, Excess excess);
  bool in_payload() const noexcept;
  void take_payload(std::span<const std::byte>& input);
  void step(char c);
  void end_size_line();
  void check_limit();
  void refuse(std::string_view fault);

  std::string body_;
  std::string_view fault_;
  std::uint64_t left_ = 0;
  std::size_t limit_ = 0;
  std::size_t overhead_left_ = 0;
  std::size_t trailer_limit_ = 0;
  Status status_ = Status::complete;
  State state_ = State::done;
  Excess excess_ = Excess::refuse;
};

}  // namespace webshocket::protocol
