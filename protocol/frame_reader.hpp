/// Bytes in, whole WebSocket messages out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <webshocket/types.hpp>

#include "protocol/buffer.hpp"
#include "protocol/frame_header.hpp"
#include "protocol/per_message_deflate.hpp"

namespace webshocket::protocol {

struct FrameEvent {
  enum class Kind : std::uint8_t { need_more, message, ping, pong, close, error };

  Kind kind = Kind::need_more;
  Opcode opcode = Opcode::binary;                   ///< message: text or binary
  std::span<std::byte> payload = {};                ///< message, ping, pong: unmasked, and inflated
  std::optional<std::size_t> compressed_size = {};  ///< message: if it came compressed
  CloseCode code = CloseCode::no_status;  ///< close: the peer's, `no_status` if its body was empty;
                                          ///< error: what to close with
  std::string_view reason = {};           ///< close: the peer's; error: ours, under 123 bytes
};

/// Reads one connection's frames; every rule of RFC 6455 on what a peer may send is checked here.
///
/// Pull style: each `read` takes one event off the front of the input, so the caller can stop in
/// the middle of it. A message that lies in the input as one frame is unmasked there and handed out
/// where it is; anything else is put together in the reader's own memory, which grows with what
/// arrives and never with what is announced.
///
/// One thread at a time. Readers are lent: while `idle()`, a reader holds nothing of its connection
/// and may serve another one of the same role.
class FrameReader {
 public:
  explicit FrameReader(Role role) noexcept;

  /// Says `need_more` only when it has taken all of `input`. A message of more than `max_message`
  /// bytes (0: no limit), all fragments together, is an error as soon as it is announced, and a
  /// compressed one as soon as more comes out of it. `deflate`: what the two ends have agreed on;
  /// without it there are no compressed messages. Views of an event hold until the next `read` or
  /// `reset`, or until the input's memory changes. After a close or an error further input is
  /// swallowed.
  FrameEvent read(std::span<std::byte>& input, std::size_t max_message,
                  PerMessageDeflate* deflate = nullptr);

  /// Between two messages, with no byte of a frame in hand, and not finished.
  bool idle() const noexcept { return stage_ == Stage::header && header_size_ == 0 && !open_; }
  /// Saw a close or an error: serves nobody until `reset()`.
  bool finished() const noexcept { return stage_ == Stage::finished; }
  /// Bytes held for a message that is not complete yet.
  std::size_t buffered() const noexcept { return delivered_ ? 0 : message_.size(); }

  /// Ready for another connection; memory beyond 16 KiB is given back.
  void reset() noexcept;

 private:
  enum class Stage : std::uint8_t { header, data, control, finished };

  // Each takes what it can off the input. True: `read` is to return the event.
  bool take_header(std::span<std::byte>& input, FrameEvent& event);
  bool take_data(std::span<std::byte>& input, FrameEvent& event);
  bool take_control(std::span<std::byte>& input, FrameEvent& event);

  // True, as what they set is to be returned.
  bool start_frame(std::span<const std::byte> header, FrameEvent& event);
  bool finish_message(std::span<std::byte> payload, FrameEvent& event);
  static void hand_out(Opcode opcode, std::span<std::byte> payload, FrameEvent& event) noexcept;
  bool finish_close(std::span<const std::byte> body, FrameEvent& event) noexcept;
  bool fail_as_too_big(FrameEvent& event) noexcept;
  bool fail(FrameEvent& event, CloseCode code, std::string_view reason) noexcept;
  bool fail(FrameEvent& event, CloseCode code, std::string_view before, std::uint64_t number,
            std::string_view after) noexcept;

  /// False: it failed, and the event says how.
  bool inflate(std::span<std::byte>& payload, FrameEvent& event);
  bool check_text(bool complete) noexcept;

  std::unique_ptr<HeaderJudge> judge_;  ///< made when first needed
  std::size_t max_message_ = 0;         ///< of the `read` under way, as what follows
  PerMessageDeflate* deflate_ = nullptr;
  Buffer message_;
  Buffer inflated_;
  std::size_t valid_text_ = 0;  ///< of message_, found to be UTF-8
  FrameHeader frame_;
  std::uint64_t received_ = 0;      ///< of the frame's payload
  Opcode opcode_ = Opcode::binary;  ///< of the message
  Role role_;
  Stage stage_ = Stage::header;
  bool open_ = false;        ///< a message has begun and not ended
  bool compressed_ = false;  ///< that message
  bool delivered_ = false;   ///< message_ is what the last event shows
  std::uint8_t header_size_ = 0;
  std::array<std::byte, FrameHeader::kMaxSize> header_;
  std::array<std::byte, FrameHeader::kMaxControlPayload> control_;
  std::array<char, 123> reason_;
};

}  // namespace webshocket::protocol
