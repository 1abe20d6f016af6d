/// One WebSocket, server side: `Connection` on its shard, `Peer` everywhere else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <webshocket/detail/hub.hpp>
#include <webshocket/outbox.hpp>
#include <webshocket/packet.hpp>
#include <webshocket/session.hpp>
#include <webshocket/tls.hpp>
#include <webshocket/types.hpp>

namespace webshocket {

class Handler;

/// One name or a list of names, borrowed for a call: channels, patterns.
class Names {
 public:
  Names(const char* name) noexcept : one_(name) {}         // NOLINT(google-explicit-constructor)
  Names(std::string_view name) noexcept : one_(name) {}    // NOLINT(google-explicit-constructor)
  Names(const std::string& name) noexcept : one_(name) {}  // NOLINT(google-explicit-constructor)
  Names(std::initializer_list<std::string_view> names) : many_(names), is_list_(true) {}
  Names(std::span<const std::string> names)  // NOLINT(google-explicit-constructor)
      : many_(names.begin(), names.end()), is_list_(true) {}
  Names(const std::vector<std::string>& names)  // NOLINT(google-explicit-constructor)
      : Names(std::span<const std::string>(names)) {}

  std::span<const std::string_view> list() const noexcept {
    return is_list_ ? std::span<const std::string_view>(many_) : std::span(&one_, 1);
  }

 private:
  std::string_view one_;
  std::vector<std::string_view> many_;
  bool is_list_ = false;
};

/// For one `send`. The zero value means what the config says.
struct SendOptions {
  std::size_t fragment_size = 0;  ///< bytes per frame; 0: `Config::fragment_size`
  Compress compress = Compress::automatic;
};

/// The thread-safe name of a connection: copy it, keep it, use it on any thread. Once the
/// connection or the server is gone its calls do nothing and say so.
class Peer {
 public:
  Peer() noexcept = default;
  Peer(Uid uid, detail::Form form, std::weak_ptr<detail::Router> router) noexcept
      : uid_(uid), form_(form), router_(std::move(router)) {}

  const Uid& uid() const noexcept { return uid_; }
  Format format() const noexcept { return detail::format_of(form_); }

  /// As a `custom` packet. On other threads than the connection's shard `ok` means that the message
  /// is on its way, and `dropped` that the server is gone or the shard's inbox is full.
  SendStatus send(Payload data, SendOptions options = {}) const;
  SendStatus send(const Packet& packet, SendOptions options = {}) const;

  /// Runs `fn` on the connection's shard, or never if the connection is gone by then. False when
  /// the server has ended.
  bool post(std::function<void(Connection&)> fn) const;

  /// False as with `post`.
  bool close(CloseCode code = CloseCode::normal, std::string_view reason = {}) const;

  friend bool operator==(const Peer& left, const Peer& right) noexcept {
    return left.uid_ == right.uid_;
  }

 private:
  Uid uid_;
  detail::Form form_ = detail::Form::msgpack;
  std::weak_ptr<detail::Router> router_;
};

namespace detail {
class Call;
class ConnectionAccess;
class RateWindows;
}  // namespace detail

/// A connection, as its handler sees it. It lives on one shard, and every call is for that shard's
/// thread; on another one it throws `WrongThreadError`. After it closed it is a quiet object:
/// `send` returns `dropped`, the session can still be read. References are valid until
/// `on_disconnect` has returned, and in a coroutine that was given the connection as an argument
/// for as long as it runs.
class Connection {
 public:
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const Uid& uid() const noexcept { return uid_; }
  Format format() const noexcept { return detail::format_of(form_); }
  ConnectionState state() const noexcept { return state_; }
  /// "127.0.0.1:52114", "[::1]:52114", or "unix": the client's as far as `Config::trusted_proxies`
  /// and `Listener::proxy_protocol` tell, else the socket's. The port is 0 if a proxy names none.
  std::string remote_address() const;
  /// Of a client that has proved who it is (see `ServerTls::client_ca_file`), until `on_disconnect`
  /// has returned. It is put together for this call: keep what is needed often in the session.
  std::optional<ClientCertificate> client_certificate() const;

  /// Sends `data` as a `custom` packet; on a raw connection the data alone. Never blocks; what the
  /// socket does not take waits in the outbox. Throws `PacketError` if the connection's format
  /// cannot hold the value.
  SendStatus send(Payload data, SendOptions options = {});
  SendStatus send(const Packet& packet, SendOptions options = {});

  /// What waits for this connection now, what may, and what has been dropped.
  OutboxState outbox_state() const;
  /// From here on this rule holds for it, instead of `Config::outbox_limit` and `outbox_policy`.
  void set_outbox(const OutboxRule& rule);

  /// Adds channels or patterns (a name with any of `* ? [ ]`). False when that would exceed
  /// `max_subscribed_channels()` or a name is longer than `Config::max_channel_name`: then none of
  /// the list is subscribed. Names that it has already count once.
  bool subscribe(const Names& names);
  void unsubscribe(const Names& names);
  /// Channels and patterns, in no particular order.
  std::vector<std::string> subscriptions() const;
  std::size_t max_subscribed_channels() const noexcept;

  /// Starts the closing handshake: what was sent before still goes out, then CLOSE; the socket goes
  /// when the peer answers, at the latest after `Config::close_timeout`. Later calls do nothing.
  /// `reason` is cut to 123 bytes.
  void close(CloseCode code = CloseCode::normal, std::string_view reason = {});

  /// What the program remembers of this connection.
  Session& session();
  const Session& session() const noexcept;
  template <class T>
  T& session() {
    return session().get<T>();
  }
  template <class T>
  T* find() noexcept {
    return static_cast<T*>(session_const().find_typed(detail::type_tag<T>()));
  }
  template <class T>
  const T* find() const noexcept {
    return session_const().find<T>();
  }
  const Scalar* find(std::string_view key) const noexcept { return session_const().find(key); }
  Scalar& operator[](std::string_view key) { return session()[key]; }

  /// The name to use on other threads.
  Peer peer() const;

 protected:
  Connection(detail::Hub& hub, Handler& handler, const Uid& uid, detail::Form form) noexcept;
  /// Of an upgrade that has not been decided yet: `establish` follows.
  Connection(detail::Hub& hub, const Uid& uid) noexcept;
  virtual ~Connection();

  void establish(Handler& handler, detail::Form form) noexcept {
    handler_ = &handler;
    form_ = form;
  }

  detail::Hub& hub() const noexcept { return *hub_; }
  Handler& handler() const noexcept { return *handler_; }
  detail::Form form() const noexcept { return form_; }
  void set_state(ConnectionState state) noexcept { state_ = state; }
  std::uint32_t calls_in_flight() const noexcept { return call_count_; }
  bool event_in_flight() const noexcept { return event_in_flight_; }

 private:
  friend class detail::ConnectionAccess;

  struct State;

  // What a transport does. On the shard's thread; state and arguments are checked already.
  virtual SendStatus do_send(const detail::Content& content, std::size_t fragment_size) = 0;
  /// One RPC response. Never dropped while the connection lives. False if the format cannot hold
  /// it.
  virtual bool do_respond(std::string_view call_id, Payload response,
                          std::optional<RpcErrorCode> error, bool is_stream, bool is_end) = 0;
  virtual bool do_subscribe(std::span<const std::string_view> names) = 0;
  virtual void do_unsubscribe(std::span<const std::string_view> names) = 0;
  virtual std::vector<std::string> do_subscriptions() const = 0;
  virtual void do_close(CloseCode code, std::string_view reason) = 0;
  virtual std::string do_remote_address() const = 0;
  virtual std::optional<ClientCertificate> do_client_certificate() const { return std::nullopt; }
  /// Whether a stream may add to the outbox now.
  virtual bool do_writable() const noexcept = 0;
  virtual OutboxState do_outbox() const { return {}; }
  virtual void do_set_outbox(const OutboxRule&) {}
  /// A call or an event has ended: what had to wait for it may go on.
  virtual void do_unblocked() noexcept = 0;
  /// Coroutines that were given the connection keep it.
  virtual void do_hold() noexcept = 0;
  virtual void do_release() noexcept = 0;

  const Session& session_const() const noexcept;
  State& extras();

  detail::Hub* hub_;
  Handler* handler_ = nullptr;
  detail::Call* calls_ = nullptr;  ///< in flight, a list through the calls themselves
  std::unique_ptr<State> extras_;  ///< session and rate windows, made when first needed
  Uid uid_;
  std::uint32_t call_count_ = 0;
  std::uint32_t roster_index_ = 0;  ///< its place in the handler's list of clients
  detail::Form form_ = detail::Form::raw;
  ConnectionState state_ = ConnectionState::connecting;
  bool event_in_flight_ = false;  ///< an awaitable event has not ended: packets wait
};

}  // namespace webshocket
