/// The server.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <webshocket/config.hpp>
#include <webshocket/connection.hpp>
#include <webshocket/handler.hpp>
#include <webshocket/packet.hpp>
#include <webshocket/predicate.hpp>
#include <webshocket/queue_handler.hpp>
#include <webshocket/rpc.hpp>
#include <webshocket/task.hpp>
#include <webshocket/upgrade.hpp>

namespace webshocket {

/// Counters since the start, and gauges of this moment, over all shards. Each is read without a
/// lock, so that they need not agree with each other to the last message.
struct Stats {
  struct Shard {
    std::uint64_t connections = 0;             ///< gauge: open WebSockets
    std::uint64_t handshakes_pending = 0;      ///< gauge: sockets without a first request
    std::uint64_t connections_total = 0;       ///< accepted as WebSockets
    std::uint64_t http_requests = 0;           ///< plain ones
    std::uint64_t upgrades_rejected = 0;       ///< answered with an HTTP error
    std::uint64_t handshakes_timed_out = 0;    ///< cut off: `Config::handshake_timeout`
    std::uint64_t keep_alives_refused = 0;     ///< closed after an answer: `Config::max_keep_alive`
    std::uint64_t keep_alives_timed_out = 0;   ///< cut off: `Config::http_keep_alive`
    std::uint64_t proxy_headers_rejected = 0;  ///< closed for a bad PROXY header, or by whom it is
    std::uint64_t tls_handshakes = 0;          ///< that succeeded
    std::uint64_t tls_resumptions = 0;         ///< of them, those that took a ticket up
    std::uint64_t tls_handshake_failures = 0;
    std::uint64_t tls_handshakes_waiting = 0;  ///< gauge: for a later turn, by `Config::tls_budget`
    std::uint64_t messages_received = 0;
    std::uint64_t bytes_received = 0;     ///< from sockets
    std::uint64_t messages_inflated = 0;  ///< came compressed
    std::uint64_t inflate_bytes_in = 0;   ///< of these messages, as they came
    std::uint64_t inflate_bytes_out = 0;
    std::uint64_t messages_sent = 0;      ///< handed to outboxes, control frames not counted
    std::uint64_t bytes_sent = 0;         ///< to sockets
    std::uint64_t messages_deflated = 0;  ///< compressed for one connection: `send`, replies
    std::uint64_t deflate_bytes_in = 0;   ///< of these messages, before
    std::uint64_t deflate_bytes_out = 0;
    std::uint64_t packets_unknown = 0;        ///< could not be decoded
    std::uint64_t packets_too_deep = 0;       ///< of them: `Config::max_depth`
    std::uint64_t packets_too_large = 0;      ///< of them: `Config::max_elements`
    std::uint64_t messages_limited = 0;       ///< refused: `Config::message_rate`
    std::uint64_t messages_timed_out = 0;     ///< closed with 1008: `Config::message_timeout`
    std::uint64_t receives_paused = 0;        ///< not read for a while: `Config::receive_rate`
    std::uint64_t subscriptions_refused = 0;  ///< for their number or a name's length
    std::uint64_t rpc_calls = 0;
    std::uint64_t rpc_errors = 0;       ///< of them, answered with an error
    std::uint64_t calls_parked = 0;     ///< messages that waited for their turn
    std::uint64_t calls_in_flight = 0;  ///< gauge
    /// Of publishes and broadcasts, one per recipient: written + dropped + discarded + waiting.
    std::uint64_t deliveries = 0;
    std::uint64_t deliveries_dropped = 0;    ///< its recipient read too slowly
    std::uint64_t deliveries_written = 0;    ///< the socket has taken all of it
    std::uint64_t deliveries_discarded = 0;  ///< waited for a connection that ended
    std::uint64_t deliveries_waiting = 0;  ///< gauge: in outboxes; what the others leave of the sum
    std::uint64_t dropped_new = 0;         ///< of those dropped: by `OutboxPolicy::drop_new`
    std::uint64_t dropped_old = 0;         ///< by `drop_old`
    std::uint64_t dropped_conflated = 0;   ///< by `conflate`: a newer one with the same key came
    std::uint64_t dropped_disconnect = 0;  ///< by `disconnect`, what waited included
    std::uint64_t sends_dropped = 0;     ///< of `Connection::send` and `Peer::send`, by any policy
    std::uint64_t conflated = 0;         ///< waited for a tick, and a newer one took the place
    std::uint64_t ticks_early = 0;       ///< more than `Config::tick_limit` waited
    std::uint64_t slow_consumers = 0;    ///< closed with 1013
    std::uint64_t writes_timed_out = 0;  ///< cut off: `Config::write_timeout`
    std::uint64_t protocol_errors = 0;   ///< 1002, 1007, 1009, or too much input
    std::uint64_t handler_errors = 0;    ///< exceptions out of events
    std::uint64_t predicate_errors = 0;  ///< exceptions out of predicates
    /// times that there was no memory for what a connection needed; most cost it that connection
    std::uint64_t allocation_failures = 0;
    std::uint64_t slow_callbacks = 0;    ///< turns longer than `Config::slow_callback_threshold`
    std::uint64_t pings_unanswered = 0;  ///< closed for it
    std::uint64_t closes_timed_out = 0;  ///< cut off: `Config::close_timeout`
    std::uint64_t drains_cut_off = 0;   ///< cut off: `Config::drain_timeout`, or a second `close()`
    std::uint64_t accepts_refused = 0;  ///< closed with 1013: `Config::accept_queue_size`
    std::uint64_t inbox_refused = 0;  ///< posts that this shard's inbox refused: full, or no memory
    std::uint64_t outbox_bytes = 0;   ///< gauge: what waits for sockets
    std::uint64_t inbound_bytes = 0;  ///< gauge: half-received messages
    std::uint64_t parked_bytes = 0;   ///< gauge: messages that wait for their turn
    std::uint64_t tick_bytes = 0;     ///< gauge: publishes that wait for their tick
    /// Turns of the loop, by how long they kept everything else on the shard waiting: the first are
    /// those below 1 µs, `turns[i]` those from 2^(i-1) to 2^i µs, the last all from 4.2 s.
    std::array<std::uint64_t, 24> turns = {};
  };

  Shard total;
  std::vector<Shard> shards;
  std::uint64_t accepted = 0;        ///< sockets
  std::uint64_t refused = 0;         ///< sockets closed at once: too many handshakes
  std::uint64_t refused_per_ip = 0;  ///< `Config::max_connections_per_ip` and `_per_64`
  std::uint64_t refused_rate = 0;    ///< closed at once: `Config::accept_rate_per_ip`
  std::uint64_t accepts_paused = 0;  ///< times that accepting waited: `Config::accept_rate`
  std::uint64_t accept_errors = 0;   ///< out of descriptors and the like
  /// Publishes, broadcasts and sends by `Peer` that were compressed: once each per encoding,
  /// whatever the number of those who get them.
  std::uint64_t shared_deflated = 0;
  std::uint64_t shared_deflate_bytes_in = 0;
  std::uint64_t shared_deflate_bytes_out = 0;
};

namespace engine {
class Engine;
}

/// N shards behind one face. Any thread may call anything; on a shard's thread, what would wait for
/// shards only requests it, or throws `UsageError` and names the awaitable form.
class Server {
 public:
  /// The pull style: `accept()`.
  explicit Server(Config config);
  /// `Server({.port = 5000}, per_shard<Chat>())`. Throws `UsageError` that names a bad field.
  Server(Config config, HandlerFactory factory);
  /// Closes.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // --- before start ---------------------------------------------------------------------------

  /// Upgrades on `path` get a handler of their own. Paths are compared with what is sent, byte by
  /// byte and without the query: percent-encoded, and "/chat/" is another path than "/chat".
  /// Channels are the server's: a publish on one route reaches subscribers on another; `clients()`
  /// and `broadcast()` of a handler are its route's.
  void route(std::string path, HandlerFactory factory);
  /// Plain HTTP on any listener. A GET handler answers HEAD too. `path` is exact.
  void on_http(std::string method, std::string path, HttpHandler handler);
  /// GET below `prefix` from the files of a folder; `index.html` for a folder's name. Files are
  /// read on the thread pool. Nothing outside the folder is served, hidden files are not.
  void serve_files(std::string prefix, std::string folder);

  // --- lifecycle ------------------------------------------------------------------------------

  /// Listening from here on, or it throws and everything is undone: `UsageError` for the
  /// configuration or a second start, `WebSocketError` for the system (it names the address).
  void start();
  /// Starts if need be, and returns when the server has closed: by SIGINT or SIGTERM (a second one
  /// hurries, a third kills the process), or by `close()` elsewhere. For SIGHUP see
  /// `Config::reload_tls_on_hangup`. `ready` is called on this thread once the signals are caught:
  /// who is told before that the server listens may send one too early.
  void serve_forever(const std::function<void()>& ready = {});
  /// Stops accepting, answers the calls already accepted, closes all connections with 1001, tells
  /// every `on_disconnect`, all within `Config::drain_timeout`. Returns when the last thread is
  /// gone; a second call meanwhile makes the first stop at once. On a shard's thread it only
  /// requests.
  void close();
  /// Reads the files of `ServerTls` again, on this thread: handshakes that begin from now on get
  /// what they say, connections stay as they are. Throws `UsageError` that names a file which
  /// cannot be used; then nothing has changed.
  void reload_tls();

  ServerState state() const noexcept;
  /// Whether a load balancer should send clients: from the start until `close()` is asked for, so
  /// not during `Config::drain_delay`, when they are still served.
  bool is_ready() const noexcept;
  const Config& config() const noexcept;
  /// Of the first TCP listener; the real one when 0 was asked for. 0 before the start.
  std::uint16_t port() const noexcept;
  /// Of every listener, in order: "127.0.0.1:5000", "unix:/run/x.sock".
  std::vector<std::string> addresses() const;

  // --- sending --------------------------------------------------------------------------------

  /// See `Handler::publish`; encoded on this thread, once per format in use. False before the
  /// start, after the close, and when an inbox was full: then nobody got it.
  bool publish(const Names& channels, Payload data, const Predicate& predicate = {});
  bool publish(const Names& channels, Payload data, const PublishOptions& options);
  bool publish(const Names& channels, const Packet& packet, const Predicate& predicate = {});
  /// To every connection of every route.
  bool broadcast(Payload data, const Predicate& predicate = {});
  bool broadcast(Payload data, const PublishOptions& options);
  bool broadcast(const Packet& packet, const Predicate& predicate = {});

  // --- asking ---------------------------------------------------------------------------------

  std::size_t client_count() const noexcept;
  Stats stats() const;
  /// The methods of every route, their parameters and types, as JSON.
  std::string describe();

  /// The next connection. Throws `ReceiveTimeoutError`; `UsageError` if the handler is no
  /// `QueueHandler` or this is a shard's thread; `WebSocketError` before the start and after the
  /// close.
  PullConnection accept(std::chrono::milliseconds timeout = std::chrono::seconds(30));
  Task<PullConnection> accept_async(std::chrono::milliseconds timeout = std::chrono::seconds(30));

  /// Registers, or replaces, an RPC method on every shard of a route; `make` runs once on each
  /// shard's thread. Returns when every shard has it. On a shard's thread it throws `UsageError`:
  /// there, `co_await register_rpc_async(…)`.
  void register_rpc(std::string name, std::function<RpcMethod()> make, std::string_view route = {});
  Task<void> register_rpc_async(std::string name, std::function<RpcMethod()> make,
                                std::string_view route = {});

 private:
  std::shared_ptr<engine::Engine> engine_;
};

}  // namespace webshocket
