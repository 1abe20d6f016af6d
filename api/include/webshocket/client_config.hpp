/// Every knob of a client: one name, one default, one unit each.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/compression.hpp>
#include <webshocket/packet.hpp>
#include <webshocket/task.hpp>
#include <webshocket/types.hpp>

namespace webshocket {

class Client;

/// How often, and how patiently, a connection is tried. Before the second try passes `interval`,
/// before the third twice that, and so on up to `max_interval`; each time up to `jitter` more, at
/// random, so that clients that lost one server do not come back all at once.
struct Retry {
  std::size_t attempts = 3;  ///< tries in all; 0: no end
  std::chrono::milliseconds interval{2'000};
  std::chrono::milliseconds max_interval{60'000};
  std::chrono::milliseconds jitter{1'000};
  std::chrono::milliseconds deadline{0};  ///< for all tries together; 0: none
};

/// What happens to a packet for `recv()` when `packet_queue_size` of them wait already.
enum class ReceivePolicy : std::uint8_t {
  wait,      ///< nothing is read until there is room: TCP slows the server, answers wait too
  drop_new,  ///< it is dropped and counted
  drop_old,  ///< the oldest one is dropped and counted
};

/// How a client proves a server's identity, and its own, on `wss://`. The files are read when the
/// client is made.
struct ClientTls {
  std::string ca_file = {};           ///< PEM; empty: the system's authorities
  std::string certificate_file = {};  ///< PEM, with its chain: who we are, if the server asks
  std::string key_file = {};          ///< PEM, without a password; empty: in certificate_file
  std::string server_name = {};       ///< for SNI and the certificate's name; empty: the URI's host
  bool verify = true;                 ///< false: anybody may be the server
};

/// All of a client's settings. A limit of 0 means unlimited. Sizes are in bytes. The functions are
/// called on the client's loop: they must not block; what they throw is logged.
struct ClientConfig {
  // What is spoken.
  Format format = Format::msgpack;
  bool json_in_binary = false;  ///< JSON as plain web clients get it: no subprotocol, BINARY frames
  std::vector<std::string> subprotocols = {};                     ///< that a raw client offers
  std::vector<std::pair<std::string, std::string>> headers = {};  ///< of the upgrade request

  // How the server is reached.
  std::string unix_path = {};      ///< a unix socket; the URI then only says host and path
  std::string local_address = {};  ///< to connect from, with any port; empty: the system chooses
  bool tcp_nodelay = true;
  ClientTls tls = {};
  Compression compression = {};

  // Events.
  /// Every packet that answers no call; without it, they queue for `recv()`.
  std::function<void(Client&, const Packet&)> on_receive = {};
  /// Each time the connection has come about, before `connect()` returns: subscribe here. If it
  /// throws, the connection is closed and the try has failed.
  std::function<Task<void>(Client&)> on_connect = {};
  /// Each time an open connection has ended; `abnormal` if it did so without a CLOSE.
  std::function<void(Client&, CloseCode, std::string_view reason)> on_disconnect = {};

  /// Set: an open connection that is lost is tried again so, by itself. Not when it was closed with
  /// 1000, or with a code by which the server refuses what this client does (1002, 1003, 1007 to
  /// 1010).
  std::optional<Retry> reconnect = {};

  // Time.
  std::chrono::milliseconds connect_timeout{10'000};  ///< of one try, up to the server's 101
  std::chrono::milliseconds call_timeout{30'000};   ///< of calls, of a stream's next chunk, of send
  std::chrono::milliseconds ping_interval{10'000};  ///< of silence, then PING; 0: never
  std::chrono::milliseconds ping_timeout{10'000};   ///< for the PONG, then CLOSE 1001
  std::chrono::milliseconds close_timeout{5'000};   ///< for the server's answer to CLOSE

  // Bounds.
  std::size_t max_message = 16 * 1024 * 1024;  ///< beyond: 1009
  std::size_t max_depth = 128;                 ///< nesting; beyond: `unknown`
  std::size_t max_elements = 1'000'000;        ///< values in a message; beyond: `unknown`
  std::size_t packet_queue_size = 128;         ///< for `recv()`, and for each stream's chunks
  std::size_t packet_queue_bytes = 16 * 1024 * 1024;  ///< their bytes; the first always fits
  ReceivePolicy receive_policy = ReceivePolicy::wait;
  std::size_t max_calls = 65'536;               ///< that wait for answers; beyond: they throw
  std::size_t outbox_limit = 16 * 1024 * 1024;  ///< what waits behind one message; beyond: wait
  std::size_t fragment_size = 65'536;           ///< payload of one frame; 0: never fragment

  /// What the client has to say. Called on its loop; must not throw. Empty: silence.
  std::function<void(LogLevel, std::string_view)> log = {};
};

}  // namespace webshocket
