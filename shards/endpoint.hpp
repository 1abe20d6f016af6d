/// One end of a WebSocket: a socket, frames in, frames out, the heartbeat, the closing handshake.
/// A server's end is a `TcpConnection`, a client's a `ClientConnection`.
///
/// A server's end is `connecting` while it awaits a PROXY header, and while it shakes hands by TLS.
///
///     connecting ─► http ──► deciding ──► open ──► closing ──► doomed ──► (freed)
///          │         │          │                    ▲
///          └─────────┴──────────┴────────────────────┘   a lost socket, a deadline
///
/// Nothing here calls the user at a time when it could surprise: an endpoint that is lost is
/// `doomed`, and buried at the end of the loop's turn.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <webshocket/types.hpp>

#include "protocol/frame_header.hpp"
#include "protocol/frame_writer.hpp"
#include "protocol/mask.hpp"
#include "protocol/per_message_deflate.hpp"
#include "shards/lent_reader.hpp"
#include "shards/loop.hpp"
#include "shards/outbox.hpp"
#include "shards/reactor.hpp"
#include "shards/socket.hpp"

namespace webshocket::shards {

class TlsStream;

/// What the two ends of a WebSocket are configured with alike.
struct EndpointRules {
  protocol::Role role = protocol::Role::server;
  std::size_t max_message = 0;
  std::chrono::nanoseconds message_timeout{0};  ///< 0: none
  std::size_t receive_burst = 0;                ///< of bytes, about what is read at once; 0: any
  std::chrono::nanoseconds ping_interval{0};
  std::chrono::nanoseconds ping_timeout{0};
  std::chrono::nanoseconds close_timeout{0};
  std::chrono::nanoseconds write_timeout{0};
  Compression compression = {};
};

/// How long a connection is silent before it is asked: up to a tenth less than `interval`, so that
/// those who fall silent together are not all asked in one instant. The same for the same `seed`.
std::chrono::nanoseconds spread_heartbeat(std::chrono::nanoseconds interval,
                                          std::uint64_t seed) noexcept;

class Endpoint : private webshocket::detail::TimerNode {
 public:
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  bool is_open() const noexcept { return phase_ == Phase::open; }
  bool is_closing() const noexcept { return phase_ == Phase::closing; }
  /// Both ends have agreed on compression.
  bool is_deflating() const noexcept { return deflate_ != nullptr; }
  void shut_down(CloseCode code, std::string_view reason) noexcept { begin_close(code, reason); }
  /// Runs `step`. If that lacks memory this end is given up, and nobody else notices.
  template <class Step>
  void guard(Step&& step) noexcept {
    try {
      step();
    } catch (const std::bad_alloc&) {
      out_of_memory();
    }
  }
  /// Cuts it off: `bury` follows at the end of the turn. `error` is an errno, if that is why.
  void doom(int error = 0) noexcept;
  /// The same, after one try to say what it has been given to say.
  void cut_off() noexcept {
    guard([this] { flush(); });
    doom();
  }

  /// It has not read for `EndpointRules::write_timeout`.
  void cut_off_unread() noexcept;

  std::size_t outbox_bytes() const noexcept {
    return (outbox_ == nullptr ? 0 : outbox_->bytes()) + burst_.size();
  }

  // --- by its reactor, at the end of a turn -----------------------------------------------------

  int descriptor() const noexcept { return socket_.fd(); }
  void prefetch_output() const noexcept { prefetch_around(&poll_); }
  /// Writes what the socket takes.
  void flush_turn() noexcept;
  /// The socket has not taken all: what is left should not keep much more memory alive than it is.
  void detach_outbox() noexcept;
  /// Goes on with what had to wait.
  virtual void go_on() = 0;
  /// Goes on with the TLS handshake: its turn has come.
  virtual void go_on_securing() {}
  /// The message that it is in should be complete by now.
  void message_is_late() noexcept;
  /// The last step of a doomed one: lets go of everything.
  virtual void bury() noexcept = 0;

  // In the padding behind the timer, as the size of an idle connection counts.
  bool awaits_end_of_turn = false;  ///< it is in the reactor's list of those with something to do
  bool is_dirty = false;            ///< it is in the reactor's list of those with output
  bool awaits_securing = false;     ///< it is in the reactor's queue of TLS handshakes

 protected:
  enum class Phase : std::uint8_t { connecting, http, deciding, open, closing, doomed };

  Endpoint(Reactor& reactor, Socket socket, Phase phase);
  virtual ~Endpoint();

  // --- what the two ends do differently ---------------------------------------------------------

  virtual const EndpointRules& rules() const noexcept = 0;
  /// A server's frames are not masked.
  virtual protocol::MaskSource mask() noexcept { return {}; }
  /// The socket is ready while the phase is `connecting`.
  virtual void on_connecting() {}
  /// Input in the phases before `open`.
  virtual void take_http(std::span<const std::byte> input) = 0;
  virtual void take_message(Opcode opcode, std::span<const std::byte> message) = 0;
  virtual void take_close(CloseCode code, std::string_view reason);
  /// Whether what comes next must wait, in front of the parser and in the socket.
  virtual bool must_stop_reading() const noexcept = 0;
  virtual void on_end_of_input();
  /// The socket has failed, and the loop says no more of it.
  virtual void on_reset();
  virtual void on_send_failed(int error);
  /// The socket has not taken all: the rest waits until it says that it takes more.
  virtual void on_stuck() {}
  /// The outbox has got smaller; it may be gone.
  virtual void on_flushed() = 0;
  /// The last word has been sent.
  virtual void finish();
  /// It has said CLOSE: open no more.
  virtual void on_closing(CloseCode code, std::string_view reason) noexcept = 0;
  /// It is lost.
  virtual void on_doomed(int error) noexcept = 0;
  /// The deadline of a phase other than `open` has passed.
  virtual void on_late() { doom(); }
  virtual bool is_held() const noexcept { return false; }
  /// Differs from one end to the next.
  virtual std::uint64_t heartbeat_seed() const noexcept {
    return reinterpret_cast<std::uintptr_t>(this);
  }
  virtual void count_received(std::size_t bytes) noexcept = 0;
  virtual void count_sent(std::size_t bytes) noexcept = 0;
  virtual void count_protocol_error() noexcept {}
  virtual void count_unanswered_ping() noexcept {}

  // --- the socket -------------------------------------------------------------------------------

  /// False, and it is lost, if the loop refuses it.
  bool open_poll() noexcept;
  /// What the loop is to tell may have changed. It is lost if the loop refuses.
  void watch() noexcept;
  void set_reading(bool reading) noexcept;
  /// Does not read the socket for so long, while it is open.
  void pause_reading(std::chrono::nanoseconds delay) noexcept;
  /// False when there was nothing to read.
  bool read_once();
  /// A step of the TLS handshake. True once it has succeeded; if it fails, this end is doomed.
  bool shake_hands();
  void free_if_done() noexcept;
  /// The end of `bury`: frees itself now, or when nobody holds it any more.
  void let_go() noexcept;

  // --- frames -----------------------------------------------------------------------------------

  /// From here on it speaks frames, compressed ones too if `terms` say so.
  void begin_frames(const std::optional<protocol::DeflateTerms>& terms);
  bool speaks_frames() const noexcept { return phase_ == Phase::open || phase_ == Phase::closing; }
  void take_frames(std::span<std::byte> input);
  /// Input that was held back is parsed, and the socket is read again.
  void take_held_back();
  /// The reactor keeps too much input already.
  void close_for_inbound();
  bool holds_back() const noexcept { return held_back_ != nullptr; }

  // --- output -----------------------------------------------------------------------------------

  /// So much is cheaper to send than to copy.
  static constexpr std::size_t kSentAtOnce = 16 * 1024;

  /// A message as it is to be framed.
  struct Body {
    std::span<const std::byte> bytes;
    bool compressed = false;
  };

  /// What comes behind the outbox: a range of a run that the messages of this turn can still make
  /// longer, or its replies. Most output is nothing else, and needs no outbox at all.
  struct Burst {
    RunRef run;  ///< none: there is no burst
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint32_t limit = 0;  ///< how far it may reach

    /// Where it ends, if it follows its run.
    std::size_t end_of_part() const noexcept { return run ? run->end_of_part(end) : end; }
    std::size_t size() const noexcept { return end_of_part() - begin; }
  };

  /// Of answers, as far as is known.
  std::size_t reply_bytes() const noexcept {
    if (outbox_ != nullptr) return outbox_->own_bytes();
    const bool are_replies = burst_.run && !burst_.run->handling().has_messages();
    return are_replies ? burst_.size() : 0;
  }
  bool has_output() const noexcept { return outbox_ != nullptr || burst_.run; }
  Outbox& outbox() {
    if (outbox_ == nullptr || burst_.run) begin_outbox();
    return *outbox_;
  }
  void settle_burst() {
    if (burst_.run) move_burst_to_outbox();
  }
  /// Compressed, if that has been agreed on and is worth it; it must be sent then, or
  /// `deflate_->forget()` be called. What it shows holds until the next call on this thread.
  Body body_of(std::span<const std::byte> message, Compress choice) {
    return deflate_ == nullptr ? Body{message} : deflated(message, choice);
  }
  template <class Write>
  void write(Write&& write) {
    Outbox& to = outbox();
    const std::size_t before = to.own_bytes();
    to.write(std::forward<Write>(write));
    has_written(before);
  }
  /// The same of frames that are small, all together. If nothing waits but what was written so,
  /// they lie among the turn's replies, and no outbox is needed.
  template <class Write>
  void write_small(Write&& frames) {
    if (outbox_ != nullptr || tls_ != nullptr) return write(frames);
    Runs& runs = reactor_.runs();
    if (burst_.run && !runs.can_reply_behind(*burst_.run, burst_.end)) return write(frames);
    Run* const replies = burst_.run ? nullptr : &runs.replies();
    const std::size_t begin = replies == nullptr ? burst_.begin : replies->size();
    const std::size_t end = runs.append_reply(frames);
    if (replies != nullptr) burst_.run = RunRef(*replies);
    burst_.begin = static_cast<std::uint32_t>(begin);
    burst_.end = static_cast<std::uint32_t>(end);
    if (!is_dirty) reactor_.mark_dirty(*this);
  }
  /// A control frame: it overtakes what waits for a socket that takes no more.
  template <class Write>
  void write_control(Write&& frame) {
    if (!wants_write_) return write_small(std::forward<Write>(frame));
    push_ahead(reactor_.runs().write({.kind = Handling::Kind::control}, frame));
  }
  /// A large message that nothing waits in front of goes to the socket from where it lies; what
  /// that leaves, and any other one, is written to the outbox.
  void write_message(Opcode opcode, const Body& body, std::size_t fragment_size) {
    try {
      if (body.bytes.size() >= kSentAtOnce) return write_large(opcode, body, fragment_size);
      write_small([&](protocol::Buffer& out) {
        protocol::write_message(out, opcode, body.bytes, fragment_size, {}, body.compressed);
      });
    } catch (const std::bad_alloc&) {
      if (body.compressed) deflate_->forget();
      throw;
    }
  }
  void flush();
  /// What was dropped of shared runs.
  Tally drop_unsent();
  void begin_close(CloseCode code, std::string_view reason) noexcept;
  /// Closes for what the peer did wrong.
  void fail(CloseCode code, std::string_view reason);

  void set_deadline(std::chrono::nanoseconds delay) noexcept;
  /// Something could not be done for want of memory. Closes with 1011, if that can be.
  void out_of_memory() noexcept;

  Phase phase_;
  // Side by side, as a fan-out looks at nothing else.
  Reactor& reactor_;
  Burst burst_;
  std::unique_ptr<Outbox> outbox_;  ///< lent by the reactor, while there is other output
  std::unique_ptr<TlsStream> tls_;  ///< over the socket; none: it speaks for itself
  Socket socket_;
  bool reading_ = true;
  bool wants_write_ = false;
  bool close_sent_ = false;
  bool close_received_ = false;
  bool finish_after_flush_ = false;  ///< nothing more to say: the socket goes once it is said
  bool output_ended_ = false;        ///< half-closed by us
  bool input_ended_ = false;         ///< half-closed by the peer, seen while not reading
  bool accepts_ = true;              ///< messages: not from the socket when it is leaving
  // For the time of a drain: two in a byte.
  bool is_leaving_ : 1 = false;  ///< to be closed when all that it has asked is answered
  bool has_sent_ : 1 = false;    ///< since somebody looked whether output gets on

 private:
  bool ping_sent_ = false;
  bool is_buried_ = false;
  bool is_paused_ = false;  ///< the timer ends that

 protected:
  std::unique_ptr<protocol::PerMessageDeflate> deflate_;  ///< none: there is no compression
  Poll poll_;

 private:
  void on_ready(std::uint32_t events) noexcept {
    guard([this, events] { take_events(events); });
  }
  void take_events(std::uint32_t events);
  ssize_t receive(std::span<std::byte> into) noexcept;
  ssize_t send(std::span<iovec> parts) noexcept;
  template <class Call>
  ssize_t through_tls(Call&& call) noexcept;
  /// By a reader, from one input.
  struct Taken {
    std::size_t inflated = 0;  ///< bytes
    bool has_message = false;  ///< one has ended
  };
  void take_frame(std::span<std::byte>& input, const EndpointRules& limits, Taken& taken);
  void take_event(const protocol::FrameEvent& event);
  /// It waits, in front of the parser.
  void hold_back(std::span<const std::byte> input);
  /// `has_message`: one has ended in this input. REQUIRES: there is a reader.
  void settle_reader(bool has_message);
  /// What follows cannot be told apart any more.
  void close_in_message(CloseCode code, std::string_view reason) noexcept;
  void end_pause();
  void has_written(std::size_t own_bytes_before) noexcept {
    reactor_.count_outbox(own_bytes_before, outbox_->own_bytes());
    if (!is_dirty) reactor_.mark_dirty(*this);
  }
  void fire() noexcept override;
  std::chrono::nanoseconds ping_interval() const noexcept {
    return spread_heartbeat(rules().ping_interval, heartbeat_seed());
  }
  void check_heartbeat();
  void begin_outbox();
  void push_ahead(const Range& frame);
  void move_burst_to_outbox();
  void end_burst() noexcept {
    burst_.run->stop_following();
    burst_.run.reset();
    burst_.begin = burst_.end = 0;
  }
  Body deflated(std::span<const std::byte> message, Compress choice);
  void write_large(Opcode opcode, const Body& body, std::size_t fragment_size);
  /// How much of it the socket has taken.
  std::size_t send_at_once(Opcode opcode, const Body& body, std::size_t fragment_size);
  void flush_burst();
  /// Where the burst lies in the page file; nothing if that is not worth it.
  FilePart part_of_burst() noexcept;
  void consume(std::size_t count) noexcept;
  void has_flushed();
  /// What waits will never be sent.
  void discard_burst() noexcept;

  std::unique_ptr<LentReader> reader_;           ///< lent by the reactor, inside a message only
  std::unique_ptr<protocol::Buffer> held_back_;  ///< input behind a stop of reading
  std::chrono::steady_clock::time_point heard_;  ///< of the last input, or of the PING
};

}  // namespace webshocket::shards
