/// A client whose every byte is chosen, at the other end of a socket from the server, and which
/// judges all that it is told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include <webshocket/types.hpp>

#include "shards/socket.hpp"
#include "tests/fuzz/connection/http_judge.hpp"
#include "tests/fuzz/judge.hpp"

namespace webshocket::fuzz {

class Stranger {
 public:
  explicit Stranger(unsigned number) : number_(number) {}

  // --- the socket -------------------------------------------------------------------------------

  /// The server's end. REQUIRES: it is not connected.
  shards::Socket connect(bool has_small_buffers);
  bool is_connected() const noexcept { return socket_.is_open(); }
  /// Both ways; a reset, if it has not read all.
  void hang_up();
  void end_output();
  /// Reads at most so many bytes; 0: all there are. True if there were some, or the end.
  bool read(std::size_t most);
  /// It reads whatever comes, as soon as it comes.
  bool reads_all = true;

  // --- output -----------------------------------------------------------------------------------

  /// Bytes of which nothing is known.
  void feed_raw(std::string_view bytes);
  void request(const std::string& head_and_body, bool is_head);
  /// More of the last one.
  void go_on(std::string_view body) { feed(body); }
  /// An upgrade that asks for that format.
  void upgrade(const std::string& request, Format format);
  /// A whole legal frame; `first_byte` is FIN, RSV1 and opcode.
  void frame(std::uint8_t first_byte, std::string_view payload);
  /// A frame that breaks the rules, or does not say how long it is.
  void bad_frame(std::uint8_t first_byte, bool is_masked, std::uint64_t claimed_length,
                 std::string_view payload);
  void message(std::string_view bytes, bool is_text, std::size_t fragments, bool compress);
  void ping(std::string_view payload);
  /// A call in this connection's format; `arguments` are JSON.
  std::string make_call(std::string_view method, std::string_view arguments, std::string id);
  void call(std::string_view method, std::string_view arguments, std::size_t fragments,
            bool compress);
  /// The same, with a byte of its packet changed.
  void mutated_call(std::string_view method, std::string_view arguments, std::size_t index,
                    std::uint8_t change);
  /// Ends a call; the last one made if `back` is 0.
  void abort(std::size_t back);

  /// From here on nothing is sent until it is released: so many bytes, or all if 0.
  void hold() { is_held_ = true; }
  void release(std::size_t count);
  /// What did not fit into the socket.
  void flush();

  // --- what it knows ----------------------------------------------------------------------------

  bool is_upgraded() const noexcept { return frames_ != nullptr; }
  /// Nothing that it said could be misunderstood, and nothing is half-said.
  bool is_clear() const noexcept { return is_legal_ && pending_.empty() && !is_in_message_; }
  bool is_open() const noexcept {
    return is_upgraded() && is_connected() && !has_ended_ && !has_said_close_ &&
           !frames_->is_closed();
  }
  bool has_ended() const noexcept { return has_ended_; }
  Format format() const noexcept { return format_; }
  const FrameJudge* frames() const noexcept { return frames_.get(); }
  std::string last_call() const {
    return "c" + std::to_string(number_) + "-" + std::to_string(made_);
  }
  std::uint64_t answers_to(const std::string& id) const;
  /// Judges that each call has been answered once; on a raw connection there are none.
  void require_answers() const;

 private:
  struct Call {
    unsigned made = 0;
    unsigned answered = 0;
    bool may_be_lost = false;  ///< aborted, or nobody knows what was asked
  };

  Stranger(unsigned number, unsigned made) : number_(number), made_(made) {}
  Stranger& operator=(Stranger&&) = default;

  void feed(std::string_view bytes);
  void take(std::string_view bytes);
  void begin_frames();
  void take_message(const FrameJudge::Message& message);
  void append_frame(std::string& out, std::uint8_t first_byte, std::string_view payload);
  std::string packet_of(std::string_view json) const;

  unsigned number_;
  shards::Socket socket_;
  std::string pending_;
  bool is_held_ = false;
  bool has_ended_ = false;  ///< the server has
  bool output_ended_ = false;

  HttpJudge http_;
  std::unique_ptr<FrameJudge> frames_;
  Format format_ = Format::json;
  bool has_asked_for_upgrade_ = false;
  bool offers_deflate_ = false;
  bool may_deflate_ = false;
  bool is_legal_ = true;
  bool is_in_message_ = false;
  bool has_said_close_ = false;
  std::uint32_t mask_ = 0x12345678;
  std::set<std::string, std::less<>> pings_;
  std::map<std::string, Call, std::less<>> calls_;
  unsigned made_ = 0;
};

}  // namespace webshocket::fuzz
