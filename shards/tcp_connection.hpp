/// A server's end of a connection over a TCP or unix socket: from accept to the last byte. What
/// both ends have in common is the `Endpoint`'s.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/connection.hpp>
#include <webshocket/upgrade.hpp>

#include "protocol/extensions.hpp"
#include "protocol/handshake.hpp"
#include "protocol/proxy_header.hpp"
#include "shards/census.hpp"
#include "shards/endpoint.hpp"
#include "shards/ip_table.hpp"
#include "shards/message.hpp"
#include "shards/site.hpp"
#include "shards/socket.hpp"
#include "shards/subscriber.hpp"
#include "shards/tls_stream.hpp"

namespace webshocket::shards {

class Shard;

/// A connection that another shard is to have, with what it has received already.
struct Move {
  std::size_t route = 0;
  Upgrade upgrade = Upgrade::accept();
  std::string key;
  std::optional<std::string> subprotocol;
  std::optional<protocol::DeflateAnswer> deflate;
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
  IpSlot place = {};
  std::unique_ptr<Move> move = {};
  std::unique_ptr<TlsStream> tls = {};  ///< of one that moves
};

/// What became of a message for a connection.
enum class Given : std::uint8_t {
  taken,
  dropped,  ///< its outbox is full
  gone,     ///< it is open no more
};

/// A message, as it lies in a run.
struct Piece : Range {
  std::size_t begin_of_following;  ///< where the part of those ends who followed up to its begin
  std::uint32_t limit;             ///< of a burst that begins with it, for who has no own rule
  bool is_deflated;
};

class TcpConnection final : public Connection, public Subscriber, public Endpoint {
 public:
  TcpConnection(Shard& shard, Adoption adoption);

  /// Starts reading, or goes on with the upgrade that another shard began.
  void start(std::unique_ptr<Move> move) noexcept;

  /// What it gets lies right behind what it got last: all that there is to do, most of the time.
  bool extend(const Piece& piece) noexcept {
    if (burst_.run.get() != piece.run.get() || piece.end > burst_.limit) return false;
    if (burst_.end != piece.begin && burst_.end != piece.begin_of_following) return false;
    burst_.end = static_cast<std::uint32_t>(piece.end);
    return true;
  }
  /// It has nothing else to say and no rule of its own: the next best.
  bool begin(const Piece& piece) noexcept {
    if (has_output() || phase_ != Phase::open || has_own_rule_ || piece.is_deflated ||
        piece.end > Runs::kMostInRun) {
      return false;
    }
    reactor_.mark_dirty(*this);
    if (phase_ != Phase::open) return false;
    begin_burst(piece, piece.limit);
    return true;
  }
  /// It gets what comes next right behind this one, if that lies there and is not too much.
  bool is_next_behind(const Piece& piece) const noexcept {
    return burst_.run.get() == piece.run.get() && burst_.end == piece.end;
  }
  /// How far a burst may reach that is at `end` when so much waits: as far as the outbox has room,
  /// and at least to there.
  static std::uint32_t limit_of_burst(std::size_t end, std::size_t waiting,
                                      const OutboxRule& rule) noexcept;
  /// A message for it.
  Given deliver(const Piece& piece);
  /// The same, for it alone.
  Given deliver(const std::shared_ptr<const Message>& message, Form form);
  /// It could not be given a message for want of memory.
  using Endpoint::out_of_memory;

  void go_on() override;
  void go_on_securing() override;
  /// Tells the handler.
  void bury() noexcept override;

  // --- by its shard -----------------------------------------------------------------------------

  bool is_busy() const noexcept { return calls_in_flight() != 0 || event_in_flight(); }
  /// It waits for the shard's calls no more.
  void end_call_limit() noexcept;
  /// The server goes down: what has come in whole is still handled and answered, then it closes.
  void leave() noexcept;
  /// Drops what waits and closes with 1013.
  void close_slow(std::string_view reason);

 private:
  /// Before it is a WebSocket.
  struct Handshake;
  /// Messages that wait for their turn.
  struct Parked {
    std::deque<std::pair<Opcode, std::vector<std::byte>>> messages;
    std::size_t bytes = 0;
    std::optional<CloseCode> close;  ///< the peer's last word, behind the messages
    std::string close_reason;
  };

  ~TcpConnection() override;

  Shard& shard() const noexcept;

  void begin_burst(const Piece& piece, std::uint32_t limit) noexcept {
    burst_.run = piece.run;
    burst_.begin = static_cast<std::uint32_t>(piece.begin);
    burst_.end = static_cast<std::uint32_t>(piece.end);
    burst_.limit = limit;
    burst_.run->limit(limit);
  }

  // Connection.
  SendStatus do_send(const Content& content, std::size_t fragment_size) override;
  bool do_respond(std::string_view call_id, Payload response, std::optional<RpcErrorCode> error,
                  bool is_stream, bool is_end) override;
  bool do_subscribe(std::span<const std::string_view> names) override;
  void do_unsubscribe(std::span<const std::string_view> names) override;
  std::vector<std::string> do_subscriptions() const override;
  void do_close(CloseCode code, std::string_view reason) override { begin_close(code, reason); }
  std::string do_remote_address() const override { return remote_.to_string(); }
  std::optional<ClientCertificate> do_client_certificate() const override;
  bool do_writable() const noexcept override;
  OutboxState do_outbox() const override;
  void do_set_outbox(const OutboxRule& rule) override;
  void do_unblocked() noexcept override;
  void do_hold() noexcept override { ++holds_; }
  void do_release() noexcept override;

  // Endpoint.
  const EndpointRules& rules() const noexcept override;
  void on_connecting() override;
  bool must_stop_reading() const noexcept override;
  void on_end_of_input() override;
  void on_stuck() override;
  void on_flushed() override;
  void finish() override;
  void on_closing(CloseCode code, std::string_view reason) noexcept override;
  void on_doomed(int error) noexcept override;
  void on_late() override;
  bool is_held() const noexcept override { return holds_ != 0; }
  std::uint64_t heartbeat_seed() const noexcept override { return std::hash<Uid>()(uid()); }
  void count_received(std::size_t bytes) noexcept override;
  void count_sent(std::size_t bytes) noexcept override;
  void count_protocol_error() noexcept override;
  void count_unanswered_ping() noexcept override;

  // In front of the connection's own bytes: tcp_proxy.cpp.
  void await_proxy_header();
  void take_proxy_header();
  void reject_proxy(std::string_view why);

  // Before HTTP: tcp_securing.cpp.
  void begin_securing();
  void refuse_securing();
  void read_to_the_end();
  void note_securing_failure(std::string_view why) const noexcept;

  // Before the upgrade: tcp_http.cpp.
  void begin_http();
  void describe(HttpRequest& request, const protocol::HttpHead& head, const Address& client) const;
  void take_http(std::span<const std::byte> input) override;
  /// Whom a request is from.
  Address client_of(const protocol::HttpHead& head) const noexcept;
  /// The client is there, as somebody says who is believed.
  IpTable::Verdict name_client(const Address& client);
  /// The next request's turn has not come: an answer is being made, or nobody reads them.
  bool must_wait_for_answers();
  /// Refuses it if what it has sent is too much for the shard.
  void settle_http();
  void take_unread();
  void go_on_with_http();
  void on_http_flushed();
  /// From its first answer on it is one of those that are kept alive. False if these are too many.
  bool keep_open() noexcept;
  /// It is no pending handshake any more.
  void end_pending() noexcept;
  /// Whether the client has taken enough of its answers since the last time that was asked.
  bool is_reading_answers() noexcept;
  void answer_http(std::span<const std::byte>& rest);
  void answer_plain_http(const protocol::HttpHead& head);
  std::chrono::nanoseconds http_timeout() const noexcept;
  void send_http(const HttpResponse& response, bool head_only, bool keep_alive);
  void refuse_http(const protocol::HttpError& error);
  /// The same, and says so in the log.
  void turn_away(const protocol::HttpError& error);

  // The upgrade: tcp_upgrade.cpp.
  void ask_for_upgrade(std::span<const std::byte> rest);
  void decide(Upgrade answer);
  void upgrade_failed(std::exception_ptr error);
  void move_to(std::size_t home, Upgrade answer);
  void finish_upgrade(Move move);

  // Messages: tcp_messages.cpp.
  void take_message(Opcode opcode, std::span<const std::byte> message) override;
  void take_close(CloseCode code, std::string_view reason) override;
  void handle_message(Opcode opcode, std::span<const std::byte> message);
  void handle_packet(std::span<const std::byte> message);
  /// Of `Config::message_rate`.
  bool take_rate();
  void refuse_message(std::span<const std::byte> message);
  /// Does not read for a while if that is too much for `Config::receive_rate`.
  void charge_received(std::size_t bytes);
  /// Replies are never dropped: what would lead to more of them waits.
  bool is_outbox_full() const noexcept;
  bool must_wait_for_calls() const noexcept;
  bool must_wait() const noexcept;
  bool is_parking_full() const noexcept;
  Parked& parked();
  void park_unless_abort(Opcode opcode, std::span<const std::byte> message);
  void park(Opcode opcode, std::span<const std::byte> message);
  void await_call_limit();
  void take_parked();
  void take_what_waits();
  void drop_parked() noexcept;

  // Going down: tcp_leaving.cpp.
  bool has_said_nothing() const noexcept;
  void close_if_done();

  SendStatus send_message(Opcode opcode, std::span<const std::byte> message, Compress compress,
                          std::size_t fragment_size);
  const OutboxRule& own_rule() const noexcept;
  OutboxRule rule_for(const Run& run) const noexcept;
  bool admit(std::size_t size, const OutboxRule& rule) noexcept {
    return fits(size, rule.limit) || make_room(size, rule);
  }
  bool fits(std::size_t size, std::size_t limit) const noexcept;
  bool make_room(std::size_t size, const OutboxRule& rule);
  Given deliver_newest(const Piece& piece, const OutboxRule& rule);
  Given refuse(const Piece& piece, const OutboxRule& rule);
  Given refuse_send(std::size_t size, const OutboxRule& rule);
  static bool may_drop(const OutboxRule& rule) noexcept {
    return rule.policy == OutboxPolicy::drop_old || rule.policy == OutboxPolicy::conflate;
  }
  /// What is to be dropped again must not lie among the outbox's own bytes.
  template <class Write>
  void push_send(Write&& frames);
  template <class Write>
  void write_send(Write&& frames, const OutboxRule& rule);
  void drop_oldest(std::size_t bytes) noexcept;
  void note_dropped(std::uint64_t Dropped::*policy, const Tally& dropped) noexcept;
  void note_dropped(std::uint64_t Dropped::*policy, std::uint64_t messages,
                    std::size_t bytes) noexcept;
  void tell_of_outbox();
  bool refuse_subscription() noexcept;
  void leave_channels() noexcept;
  Census::Bucket bucket_of(std::string_view name) const noexcept;

  bool is_connected_ = false;  ///< on_connect was called: on_disconnect will be
  /// By a proxy that passes on what it does not read: what the bytes say of a client is not its
  /// word.
  bool is_unnamed_ = false;
  bool has_own_rule_ = false;       ///< `Connection::set_outbox`
  bool was_congested_ = false;      ///< `on_drained` is to come
  bool has_dropped_ = false;        ///< `on_dropped` is to come
  bool awaits_call_limit_ = false;  ///< it is in the shard's list of those
  std::uint16_t listener_;
  std::uint32_t holds_ = 0;
  Address remote_;  ///< the socket's peer, or the client for whom that speaks
  std::unique_ptr<protocol::ProxyHeaderReader> proxy_header_;  ///< while it is awaited
  std::unique_ptr<Handshake> handshake_;
  std::unique_ptr<Parked> parked_;
  Slot slot_;  ///< of the pending handshakes, then of the connections, or of what is kept alive
  IpSlot place_;
};

// With malloc's eight bytes, five cache lines. There may be a million of them, and most do nothing.
static_assert(sizeof(TcpConnection) <= 312 || sizeof(void*) != 8);

}  // namespace webshocket::shards
