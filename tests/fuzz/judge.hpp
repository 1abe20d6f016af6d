/// Reads what one end of a WebSocket writes, as strictly as RFC 6455 and RFC 7692 allow, and shares
/// no code with the product. Whatever is not legal is a finding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct z_stream_s;

namespace webshocket::fuzz {

/// Inflates messages (RFC 7692), with zlib itself.
class Inflater {
 public:
  explicit Inflater(bool keeps_context);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// What is no compressed message is a finding.
  std::string inflate(std::string_view message);

 private:
  std::unique_ptr<z_stream_s> stream_;
  bool keeps_context_;
};

/// The writer's frames, in pieces as they come.
class FrameJudge {
 public:
  struct Message {
    bool is_text = false;
    std::string bytes;
  };

  /// `is_masked`: the writer is a client. `inflater` if compression was negotiated.
  FrameJudge(bool is_masked, std::unique_ptr<Inflater> inflater)
      : is_masked_(is_masked), inflater_(std::move(inflater)) {}

  void take(std::string_view bytes);

  std::function<void(const Message&)> on_message;
  std::function<void(std::string_view)> on_ping;
  std::function<void(std::string_view)> on_pong;

  bool is_closed() const noexcept { return close_code_.has_value(); }
  /// Of its CLOSE; 1005 for one without a body.
  std::uint16_t close_code() const noexcept { return close_code_.value_or(0); }
  /// Everything that has begun is complete.
  bool is_between_messages() const noexcept { return pending_.empty() && !is_in_message_; }
  std::uint64_t messages() const noexcept { return messages_; }

 private:
  /// False if the frame is not complete yet.
  bool take_frame();
  void take_control(unsigned opcode, std::string_view payload);
  void take_data(unsigned opcode, bool fin, bool rsv1, std::string_view payload);

  const bool is_masked_;
  std::unique_ptr<Inflater> inflater_;
  std::string pending_;
  bool is_in_message_ = false;
  bool is_compressed_ = false;
  Message message_;
  std::optional<std::uint16_t> close_code_;
  std::uint64_t messages_ = 0;
};

/// Whether it is UTF-8 by the table of RFC 3629.
bool is_legal_utf8(std::string_view text) noexcept;

}  // namespace webshocket::fuzz
