/// A connection over a TCP or unix socket: from accept to the last byte.
///
///     http ──► deciding ──► open ──► closing ──► doomed ──► (freed)
///       │          │          │                    ▲
///       └──────────┴──────────┴────────────────────┘   a lost socket, a deadline
///
/// Nothing here calls the user at a time when it could surprise: a connection that is lost is
/// `doomed`, and `on_disconnect` runs at the end of the loop's turn.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/connection.hpp>
#include <webshocket/upgrade.hpp>

#include "protocol/frame_reader.hpp"
#include "protocol/handshake.hpp"
#include "shards/census.hpp"
#include "shards/loop.hpp"
#include "shards/message.hpp"
#include "shards/outbox.hpp"
#include "shards/site.hpp"
#include "shards/socket.hpp"
#include "shards/subscriber.hpp"

namespace webshocket::shards {

class Shard;

/// A connection that another shard is to have, with what it has received already.
struct Move {
  std::size_t route = 0;
  Upgrade upgrade = Upgrade::accept();
  std::string key;
  std::optional<std::string> subprotocol;
  std::vector<std::byte> unread;
  Slot slot;
};

/// A socket on its way to its shard.
struct Adoption {
  Socket socket;
  Uid uid;
  Address remote;
  std::size_t listener = 0;
  Slot handshake;
  std::optional<Move> move;
};

class TcpConnection final : public Connection,
                            public Subscriber,
                            private webshocket::detail::TimerNode {
 public:
  TcpConnection(Shard& shard, Adoption adoption);

  /// Starts reading, or goes on with the upgrade that another shard began.
  void start(std::optional<Move> move) noexcept;

  /// A message for it. False if it was dropped: the connection is closing, or its outbox is full.
  bool deliver(const FrameRef& frame) noexcept;

  // --- by its shard, at the end of a turn -------------------------------------------------------

  /// Writes what the socket takes.
  void flush_turn() noexcept;
  /// Goes on with what had to wait.
  void go_on() noexcept;
  /// The last step of a doomed one: tells the handler, lets go of everything.
  void bury() noexcept;

  // --- by its shard, when it drains -------------------------------------------------------------

  bool is_open() const noexcept { return phase_ == Phase::open; }
  bool is_closing() const noexcept { return phase_ == Phase::closing; }
  bool is_busy() const noexcept { return calls_in_flight() != 0 || event_in_flight(); }
  void shut_down(CloseCode code, std::string_view reason) noexcept { begin_close(code, reason); }
  /// Cuts it off: `bury` follows at the end of the turn.
  void doom() noexcept;
  /// The same, after one try to say what it has been given to say.
  void cut_off() noexcept {
    flush();
    doom();
  }
  /// Drops what waits and closes with 1013.
  void close_slow(std::string_view reason) noexcept;

  std::size_t outbox_bytes() const noexcept { return outbox_ == nullptr ? 0 : outbox_->bytes(); }
  bool awaits_end_of_turn = false;  ///< it is in the shard's list of those with something to do
  bool is_dirty = false;            ///< it is in the shard's list of those with output

 private:
  enum class Phase : std::uint8_t { http, deciding, open, closing, doomed };

  /// Before it is a WebSocket.
  struct Handshake;
  /// Messages that wait for their turn, and input behind them that has not been parsed.
  struct Parked {
    std::deque<std::pair<Opcode, std::vector<std::byte>>> messages;
    std::size_t bytes = 0;
    protocol::Buffer unread;
    std::optional<CloseCode> close;  ///< the peer's last word, behind the messages
    std::string close_reason;
  };

  ~TcpConnection() override;

  // Connection.
  SendStatus do_send(const Content& content, std::size_t fragment_size) override;
  bool do_respond(std::string_view call_id, Payload response, std::optional<RpcErrorCode> error,
                  bool is_stream, bool is_end) override;
  bool do_subscribe(std::span<const std::string_view> names) override;
  void do_unsubscribe(std::span<const std::string_view> names) override;
  std::vector<std::string> do_subscriptions() const override;
  void do_close(CloseCode code, std::string_view reason) override { begin_close(code, reason); }
  std::string do_remote_address() const override { return remote_.to_string(); }
  bool do_writable() const noexcept override;
  void do_unblocked() noexcept override;
  void do_hold() noexcept override { ++holds_; }
  void do_release() noexcept override;

  // The socket.
  void on_ready(int status, int events) noexcept;
  void on_closed() noexcept;
  void on_end_of_input() noexcept;
  void close_poll() noexcept;
  void free_if_done() noexcept;
  void watch() noexcept;
  void set_reading(bool reading) noexcept;

  // Before the upgrade: tcp_upgrade.cpp.
  void take_http(std::span<const std::byte> input) noexcept;
  void answer_http(std::span<const std::byte>& rest) noexcept;
  void answer_plain_http(const protocol::HttpHead& head);
  std::chrono::nanoseconds http_timeout() const noexcept;
  void send_http(const HttpResponse& response, bool head_only, bool keep_alive);
  void refuse_http(const protocol::HttpError& error) noexcept;
  void ask_for_upgrade(std::span<const std::byte> rest);
  void decide(Upgrade answer) noexcept;
  void upgrade_failed(std::exception_ptr error) noexcept;
  void move_to(std::size_t home, Upgrade answer) noexcept;
  void finish_upgrade(Move move) noexcept;

  // Frames: tcp_frames.cpp.
  void take_frames(std::span<std::byte> input) noexcept;
  void take_event(const protocol::FrameEvent& event) noexcept;
  void take_message(Opcode opcode, std::span<const std::byte> message) noexcept;
  void handle_message(Opcode opcode, std::span<const std::byte> message) noexcept;
  void take_close(CloseCode code, std::string_view reason) noexcept;
  bool must_wait() const noexcept;
  bool must_stop_reading() const noexcept;
  void settle_reader() noexcept;
  Parked& parked();
  void park(Opcode opcode, std::span<const std::byte> message);
  void take_parked() noexcept;
  void take_unread() noexcept;
  void drop_parked() noexcept;

  // Output.
  Outbox& outbox();
  template <class Write>
  void write(Write&& write) {
    Outbox& to = outbox();
    const std::size_t before = to.own_bytes();
    to.write(std::forward<Write>(write));
    has_written(before);
  }
  void has_written(std::size_t own_bytes_before) noexcept;
  bool admit(std::size_t size) noexcept;
  void flush() noexcept;
  void after_flush() noexcept;
  void begin_close(CloseCode code, std::string_view reason) noexcept;
  /// Closes for what the peer did wrong.
  void fail(CloseCode code, std::string_view reason) noexcept;
  void finish() noexcept;
  void leave_channels() noexcept;
  Census::Bucket bucket_of(std::string_view name) const noexcept;

  // Time.
  void fire() noexcept override;
  void set_deadline(std::chrono::nanoseconds delay) noexcept;
  void check_heartbeat() noexcept;

  Shard& shard_;
  Poll poll_;
  Socket socket_;
  Phase phase_ = Phase::http;
  bool reading_ = true;
  bool wants_write_ = false;
  bool close_sent_ = false;
  bool close_received_ = false;
  bool finish_after_flush_ = false;  ///< nothing more to say: the socket goes once it is said
  bool output_ended_ = false;        ///< half-closed by us
  bool input_ended_ = false;         ///< half-closed by the peer, seen while not reading
  bool ping_sent_ = false;
  bool is_connected_ = false;  ///< on_connect was called: on_disconnect will be
  bool is_buried_ = false;
  bool poll_closing_ = false;
  bool poll_closed_ = true;
  std::uint16_t listener_;
  std::uint32_t holds_ = 0;
  Address remote_;
  std::unique_ptr<Handshake> handshake_;
  std::unique_ptr<protocol::FrameReader> reader_;  ///< lent by the shard, inside a message only
  std::unique_ptr<Outbox> outbox_;                 ///< lent by the shard, while there is output
  std::unique_ptr<Parked> parked_;
  std::size_t reader_bytes_ = 0;                 ///< of reader_, as the shard counts them
  std::chrono::steady_clock::time_point heard_;  ///< of the last input, or of the PING
  Slot slot_;  ///< of the pending handshakes, then of the connections
};

}  // namespace webshocket::shards
