/// Every knob: one name, one default, one unit each.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <webshocket/compression.hpp>
#include <webshocket/outbox.hpp>
#include <webshocket/tls.hpp>
#include <webshocket/types.hpp>

namespace webshocket {

/// Where connections come in.
struct Listener {
  std::string host = "127.0.0.1";       ///< an address; "0.0.0.0" and "::" are all of them
  std::uint16_t port = 0;               ///< 0: any free one
  std::string unix_path = {};           ///< a unix socket instead of host and port, if not empty
  std::vector<std::string> paths = {};  ///< of upgrades: only on these; empty: on all
  ServerTls tls = {};                   ///< without certificates: none
  /// Every connection begins with a PROXY header, version 1 or 2, which names the client: without
  /// one it is closed. For proxies only, as who connects here can name whom it likes; if
  /// `Config::trusted_proxies` is not empty, nobody else may connect.
  bool proxy_protocol = false;
  /// An open listening socket instead of an address, TCP or unix, such as `systemd_sockets()`
  /// gives; -1: none. It stays the caller's, and open until the server has closed; the server
  /// neither shuts it down nor removes its file: what waits there is for whoever listens next.
  int fd = -1;
  /// Another process of the same user may listen at the same address, if it says so too: the kernel
  /// spreads connections over both. TCP only.
  bool reuse_port = false;
};

/// A listening socket that the process was started with.
struct PassedSocket {
  int fd = -1;
  std::string name = {};  ///< `FileDescriptorName=` of its unit; may be empty
};

/// What systemd, or whoever speaks as it does, has passed to this process: `LISTEN_FDS`,
/// `LISTEN_PID` and `LISTEN_FDNAMES`, which are removed from the environment, so that a second call
/// gives nothing. The sockets are closed when the process starts another program. Call it before
/// there are threads, as it changes the environment.
std::vector<PassedSocket> systemd_sockets();

/// When the publishes to some channels leave.
struct ChannelTick {
  std::string channels = {};          ///< a name, or a pattern as one subscribes to
  std::chrono::milliseconds tick{0};  ///< 0: at once
};

/// What waits for those who read too slowly.
struct ChannelOutbox {
  std::string channels = {};  ///< a name, or a pattern as one subscribes to
  OutboxRule rule = {};       ///< a limit of 0: the connection's own
};

/// All of a server's settings. The defaults are safe on the open internet. A limit of 0 means
/// unlimited. Sizes are in bytes.
struct Config {
  // Where. With `listeners` empty, one TCP listener on `host` and `port`.
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::vector<Listener> listeners = {};
  std::vector<std::string> paths = {};      ///< as in Listener, for host and port
  ServerTls tls = {};                       ///< as in Listener, for host and port
  bool reload_tls_on_hangup = false;        ///< SIGHUP in `serve_forever()` is `reload_tls()`
  std::vector<std::string> raw_paths = {};  ///< upgrades on these paths are raw connections
  bool tcp_nodelay = true;

  // Behind proxies. Addresses "10.1.2.3", blocks "10.0.0.0/8", "fd00::/8", or "unix" for all peers
  // on unix sockets: these are believed when they say whom a request is from, and nobody else is.
  std::vector<std::string> trusted_proxies = {};
  /// The header by which they say it, and the only one that is read: one that they do not set
  /// would be the client's own word. "Forwarded" is read as RFC 7239, any other as a list of
  /// addresses.
  std::string forwarded_header = "X-Forwarded-For";
  std::size_t max_forwarded_hops = 16;  ///< trusted ones in a row; beyond: the last of them
  bool proxy_protocol = false;          ///< as in Listener, for host and port

  // Web pages. An upgrade whose Origin is none of these is answered 403: "https://example.com",
  // "https://*.example.com", "http://localhost:*", "null", "*" for all. Empty: only the page's own
  // server, the Host. Without an Origin it is no web page, and accepted.
  std::vector<std::string> allowed_origins = {};
  /// Requests to another Host are answered 421: "example.com", "*.example.com", "127.0.0.1",
  /// "::1", on any port. Empty: all.
  std::vector<std::string> allowed_hosts = {};

  // Threads.
  std::size_t shards = 0;  ///< 0: one per core
  /// Where shards run: shard i on `cpus[i % cpus.size()]` alone, and what threads its handlers
  /// start. Empty: where the system likes.
  std::vector<unsigned> cpus = {};
  /// A turn of a shard's loop that takes longer is logged as a warning, with what runs: while it
  /// lasts, and when it has ended. 0: never.
  std::chrono::milliseconds slow_callback_threshold{100};
  std::size_t offload_threads = 4;
  std::size_t offload_queue_size = 65'536;  ///< jobs that wait; beyond, `offload` throws

  // Connections.
  std::size_t max_connections = 100'000;        ///< WebSockets, over all shards; beyond: 503
  std::size_t max_pending_handshakes = 10'000;  ///< sockets without a first request; beyond: closed
  /// Sockets and WebSockets of one address, over all shards; beyond: closed at once, or 429. As the
  /// following two, not for loopback addresses, unix sockets and `trusted_proxies`; behind these it
  /// is the client whom they name that counts.
  std::size_t max_connections_per_ip = 1'000;
  std::size_t max_connections_per_64 = 1'000;  ///< the same of one IPv6 network of 64 bits
  /// New sockets of an address (IPv6: of its /64) per second, and at once; beyond: closed at once.
  std::size_t accept_rate_per_ip = 100;
  std::size_t accept_burst_per_ip = 1'000;
  std::size_t accept_rate = 0;  ///< new sockets per second; beyond: they wait in the backlog
  std::chrono::milliseconds handshake_timeout{5'000};  ///< for TLS and the request together
  std::chrono::milliseconds tls_budget{5};  ///< per shard and turn, for handshakes; then they wait
  std::size_t max_handshake_size = 16 * 1024;  ///< of the request's head; beyond: 431
  std::size_t max_handshake_headers = 128;
  std::size_t max_http_body = 1024 * 1024;            ///< of a plain HTTP request; beyond: 413
  std::chrono::milliseconds http_keep_alive{15'000};  ///< idle time between plain requests
  std::size_t max_keep_alive =
      10'000;  ///< sockets between plain requests; beyond: closed after one
  std::chrono::milliseconds ping_interval{20'000};  ///< of silence, then PING; 0: never
  std::chrono::milliseconds ping_timeout{20'000};   ///< for the PONG, then CLOSE 1001
  std::chrono::milliseconds write_timeout{60'000};  ///< without reading what waits: cut off
  std::chrono::milliseconds close_timeout{5'000};   ///< for the peer's answer to CLOSE

  // Going down.
  std::chrono::milliseconds drain_delay{0};  ///< not ready any more, but still accepting
  std::chrono::milliseconds drain_timeout{
      10'000};  ///< then, for all of `close()`; 0: cut off at once
  /// The CLOSEs of many connections are spread over this; over half of `drain_timeout` at most.
  std::chrono::milliseconds drain_spread{5'000};
  /// Each of these CLOSEs asks its client to come back after a time of its own, up to this: the
  /// reason is "reconnect in 1234 ms". 0: the reason is empty.
  std::chrono::milliseconds reconnect_hint{0};

  // Messages in.
  std::size_t max_message = 1024 * 1024;              ///< beyond: 1009
  std::chrono::milliseconds message_timeout{60'000};  ///< first to last byte; beyond: 1008; 0: none
  /// What a shard keeps of half-received messages, of messages that wait for their turn, and of
  /// HTTP requests; beyond: 1013 for who adds to it, or 503.
  std::size_t inbound_total_limit = 256 * 1024 * 1024;
  /// Messages of a connection per second, and at once (0: as many as per second). A call beyond is
  /// answered `rate_limit_exceeded`; anything else: 1013.
  std::size_t message_rate = 0;
  std::size_t message_burst = 0;
  /// Bytes of a WebSocket per second, and at once (0: as many as per second); beyond: it is not
  /// read for a while, and TCP slows the client.
  std::size_t receive_rate = 0;
  std::size_t receive_burst = 0;
  std::size_t max_depth = 128;           ///< nesting; beyond: `unknown`
  std::size_t max_elements = 1'000'000;  ///< values in a message; beyond: `unknown`
  std::size_t packet_queue_size = 512;   ///< packets of a connection that wait; beyond: not read
  std::size_t packet_queue_bytes = 64 * 1024;  ///< their bytes; the first always fits
  std::size_t accept_queue_size = 1024;  ///< connections that wait for `accept()`; beyond: 1013

  // RPC.
  std::size_t rpc_task_limit = 1024;              ///< calls in flight per connection; beyond: wait
  std::size_t rpc_task_limit_per_shard = 65'536;  ///< the same per shard
  bool expose_errors = false;  ///< tell clients kind and text of an internal error

  // Channels.
  std::size_t max_subscribed_channels = 5;  ///< names and patterns, per connection
  std::size_t max_channel_name = 1024;      ///< longer ones cannot be subscribed

  // Delivery ticks. What is published waits for the next tick and leaves together: many times less
  // CPU per delivery, for some latency. `send`, replies and what is addressed to one do not wait.
  std::chrono::milliseconds tick{0};            ///< of all publishes and broadcasts; 0: at once
  std::vector<ChannelTick> channel_ticks = {};  ///< the first that matches a channel, else `tick`
  std::size_t tick_limit = 16 * 1024 * 1024;    ///< that wait, per shard; beyond: the tick is now

  // Messages out.
  std::size_t fragment_size = 65'536;      ///< payload of one frame; 0: never fragment
  std::size_t outbox_limit = 1024 * 1024;  ///< what waits behind one message
  /// What happens to more than that.
  OutboxPolicy outbox_policy = OutboxPolicy::disconnect;
  /// The first that matches a channel holds for what is published there, as far as the
  /// connection's own limit has room.
  std::vector<ChannelOutbox> channel_outboxes = {};
  std::size_t outbox_low_mark = 64 * 1024;             ///< streams go on below it
  std::size_t outbox_total_limit = 256 * 1024 * 1024;  ///< per shard; beyond: 1013 for the longest
  std::size_t inbox_limit = 64 * 1024 * 1024;  ///< of a shard; beyond: `publish` returns false
  /// What all shards keep of messages that come in or go out; beyond: 1013 for the longest outboxes
  /// of the shards that keep more than their part of it, and for who adds to what comes in there.
  std::size_t memory_limit = 1024 * 1024 * 1024;
  Compression compression = {};

  /// What the server has to say. Called on any of its threads, several at once; must not throw.
  /// Empty: silence.
  std::function<void(LogLevel, std::string_view)> log = {};
};

}  // namespace webshocket
