/// The client.
///
///     Client client("ws://127.0.0.1:5000");
///     client.connect();
///     int sum = client.call<int>("add", 1, 2);
///
/// Every call that waits comes in two forms. The plain one blocks, for any thread that is no loop's
/// (there it throws `UsageError`). The one that ends in `_async` is for coroutines on a shard or on
/// a `ClientLoop`; it takes copies of its arguments at once, so that it may be awaited later.
///
/// When the connection goes, what waits ends at once with `ConnectionClosedError`, never by its
/// timeout. What is called while there is no connection throws the same.
#pragma once

#include <chrono>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <webshocket/client_config.hpp>
#include <webshocket/client_loop.hpp>
#include <webshocket/detail/request.hpp>
#include <webshocket/error.hpp>
#include <webshocket/packet.hpp>
#include <webshocket/payload.hpp>
#include <webshocket/task.hpp>
#include <webshocket/types.hpp>
#include <webshocket/value.hpp>

namespace webshocket {

namespace engine {
class ClientSession;
class ClientStreamState;
}  // namespace engine

/// How one call differs from the others.
struct CallOptions {
  /// For the answer; of a stream, for each chunk. Empty: `ClientConfig::call_timeout`.
  std::optional<std::chrono::milliseconds> timeout = {};
  /// `send_rpc` throws `RateLimitError` instead of returning it. (`call` and `stream` always do.)
  bool raise_on_rate_limit = false;
  /// A request to stop ends the wait: the call throws `Cancelled`, a late answer is ignored, a
  /// stream is aborted at the server.
  std::stop_token stop = {};
};

/// An answer that owns what it shows.
class OwnedRpcResponse {
 public:
  /// REQUIRES: the packet holds a response.
  explicit OwnedRpcResponse(OwnedPacket packet) noexcept : packet_(std::move(packet)) {}

  const RpcResponse& operator*() const noexcept { return *packet_->response(); }
  const RpcResponse* operator->() const noexcept { return packet_->response(); }

  bool ok() const noexcept { return !packet_->response()->error.has_value(); }
  /// Throws what the error code says, with the server's text: `RpcMethodNotFoundError`,
  /// `RateLimitError`, or `RpcError` with its `code()`.
  void throw_if_error() const;
  /// The result. Throws as `throw_if_error` does, and `PacketValidationError` if it is no `T`.
  template <class T>
  T as() const {
    throw_if_error();
    if constexpr (!std::is_void_v<T>) return packet_->response()->response.template as<T>();
  }

 private:
  OwnedPacket packet_;
};

/// Counters since the client was made. Each is read without a lock.
struct ClientStats {
  std::uint64_t connects = 0;  ///< connections that came about
  std::uint64_t messages_received = 0;
  std::uint64_t bytes_received = 0;  ///< from sockets
  std::uint64_t messages_sent = 0;
  std::uint64_t bytes_sent = 0;        ///< to sockets
  std::uint64_t packets_dropped = 0;   ///< by `ReceivePolicy`
  std::uint64_t answers_unwanted = 0;  ///< to calls that had been given up, or never made
  std::uint64_t calls_in_flight = 0;   ///< gauge: streams included
};

namespace detail {

/// A stream of answers with their type forgotten. Its end aborts what has not ended.
class RawStream {
 public:
  explicit RawStream(std::shared_ptr<engine::ClientStreamState> state) noexcept;
  RawStream(RawStream&&) noexcept = default;
  RawStream& operator=(RawStream&& other) noexcept;
  ~RawStream();

  /// The next chunk; nothing at the end. Throws what `ClientStream::next` throws.
  std::optional<OwnedRpcResponse> next();
  Task<std::optional<OwnedRpcResponse>> next_async();

 private:
  void abandon() noexcept;
  std::shared_ptr<engine::ClientStreamState> state_;
};

template <class T>
Task<T> answer_as(Task<OwnedRpcResponse> answer) {
  const OwnedRpcResponse response = co_await std::move(answer);
  co_return response.template as<T>();
}
template <>
inline Task<void> answer_as<void>(Task<OwnedRpcResponse> answer) {
  const OwnedRpcResponse response = co_await std::move(answer);
  response.throw_if_error();
}

template <class T>
Stream<T> chunks_as(RawStream stream) {
  for (;;) {
    const std::optional<OwnedRpcResponse> chunk = co_await stream.next_async();
    if (!chunk) co_return;
    const T value = chunk->template as<T>();
    co_yield value;
  }
}

}  // namespace detail

/// The chunks of a streaming method, as they come: `for (int n : client.stream<int>("count", 5))`.
/// Destroying it before the end aborts the stream at the server. Move-only, one thread at a time.
template <class T>
class ClientStream {
 public:
  explicit ClientStream(detail::RawStream stream) noexcept : stream_(std::move(stream)) {}

  /// The next chunk; nothing at the end. Blocks. Throws `RpcTimeoutError`, `ConnectionClosedError`,
  /// `RpcError` and its kin when the server ends the stream with an error (once), `Cancelled`, and
  /// `PacketValidationError` if the chunk is no `T`.
  std::optional<T> next() {
    const auto chunk = stream_.next();
    if (!chunk) return std::nullopt;
    return chunk->template as<T>();
  }

  class Iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    explicit Iterator(ClientStream& stream) : stream_(&stream) { ++*this; }
    const T& operator*() const noexcept { return *current_; }
    const T* operator->() const noexcept { return &*current_; }
    Iterator& operator++() {
      current_ = stream_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const noexcept { return !current_.has_value(); }

   private:
    ClientStream* stream_;
    std::optional<T> current_;
  };

  Iterator begin() { return Iterator(*this); }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  detail::RawStream stream_;
};

/// One WebSocket to a server, and again and again if `ClientConfig::reconnect` is set. Any thread
/// may call anything, several at once.
class Client {
 public:
  /// On a loop and thread of its own. Does not connect yet. Throws `InvalidUriError`, and
  /// `UsageError` that names a bad field.
  explicit Client(std::string_view uri, ClientConfig config = {});
  /// On a loop that is shared.
  Client(std::string_view uri, ClientConfig config, const ClientLoop& loop);
  Client(std::string_view uri, const ClientLoop& loop);
  /// The same for many clients with one `std::shared_ptr<const ClientConfig>`, which none copies.
  template <std::convertible_to<std::shared_ptr<const ClientConfig>> Shared>
  Client(std::string_view uri, Shared&& config, const ClientLoop& loop)
      : Client(uri, loop, std::shared_ptr<const ClientConfig>(std::forward<Shared>(config))) {}
  /// Closes with 1000, and waits until none of its events runs any more, unless it is destroyed by
  /// one of them. With a loop of its own it also waits for the end of the closing handshake
  /// (`ClientConfig::close_timeout` at most) and of a look-up of the host's name. On another loop's
  /// thread it holds up that loop.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // --- the connection -------------------------------------------------------------------------

  /// Once. Returns when the connection is open and `on_connect` has ended; at once if it is open
  /// already, or if `on_connect` asks. Throws `ConnectionFailedError` that says why not, and
  /// `ConnectionClosedError` if `close()` came first.
  void connect();
  /// As often as it takes. What cannot get better is not tried again: an answer of 4xx (but 408,
  /// 425, 429), a reply that is no WebSocket's, a certificate that does not fit.
  void connect(const Retry& retry);
  Task<void> connect_async();
  Task<void> connect_async(const Retry& retry);

  /// Waits until the connection is open, as after a loss. Throws `ConnectionFailedError` when the
  /// last try has failed, `ConnectionClosedError` when nobody tries, `TimeoutError`.
  void wait_connected(std::chrono::milliseconds timeout = std::chrono::seconds(30));
  Task<void> wait_connected_async(std::chrono::milliseconds timeout = std::chrono::seconds(30));

  /// Sends what waits, then CLOSE; returns when the server has answered, at the latest after
  /// `ClientConfig::close_timeout`. Ends tries and reconnection too. `connect()` may follow. On a
  /// loop's thread it only begins that, and does not throw.
  void close(CloseCode code = CloseCode::normal,
             std::string_view reason = "Client is closing the connection.");
  Task<void> close_async(CloseCode code = CloseCode::normal,
                         std::string_view reason = "Client is closing the connection.");

  /// `disconnected` before the first `connect()`; `connecting` also between the tries of a
  /// reconnection; `closed` after `close()`, and when a loss has not been mended.
  ConnectionState state() const noexcept;
  const std::string& uri() const noexcept;
  Format format() const noexcept;
  const ClientConfig& config() const noexcept;
  ClientLoop loop() const;
  ClientStats stats() const noexcept;

  // --- sending --------------------------------------------------------------------------------

  /// As a `custom` packet; of a raw client: bytes as BINARY, a string as TEXT, any other value as
  /// JSON TEXT. While more than `ClientConfig::outbox_limit` waits for the socket it blocks, on a
  /// loop's thread it throws `WebSocketError`. Throws `ConnectionClosedError`, `TimeoutError` after
  /// `call_timeout`, `PacketError` for a value that the format cannot hold.
  void send(Payload data, Compress compress = Compress::automatic);
  /// The packet as it is.
  void send(const Packet& packet, Compress compress = Compress::automatic);
  Task<void> send_async(Payload data, Compress compress = Compress::automatic);
  Task<void> send_async(const Packet& packet, Compress compress = Compress::automatic);
  /// Never waits, never throws for the connection's sake.
  SendStatus try_send(Payload data, Compress compress = Compress::automatic);
  SendStatus try_send(const Packet& packet, Compress compress = Compress::automatic);

  // --- receiving ------------------------------------------------------------------------------

  /// The next packet that answers no call; what cannot be decoded, and all that a raw client gets,
  /// has the source `unknown` and its bytes (a raw TEXT: its string) as data. What was received
  /// before the connection ended is still given out. Throws `ReceiveTimeoutError`,
  /// `ConnectionClosedError` when no connection is there or being mended, `UsageError` if
  /// `on_receive` gets the packets.
  OwnedPacket recv(std::chrono::milliseconds timeout = std::chrono::seconds(30));
  Task<OwnedPacket> recv_async(std::chrono::milliseconds timeout = std::chrono::seconds(30));

  // --- calls ----------------------------------------------------------------------------------

  /// `call<int>("add", 1, 2)`, `call<int>("add", kwargs("a", 1, "b", 2))`, `call<void>("kick")`:
  /// the method's result. Throws `RpcError`, `RpcMethodNotFoundError`, `RateLimitError` as the
  /// server answers, `RpcTimeoutError`, `ConnectionClosedError`, `PacketError` for an argument that
  /// the format cannot hold, `PacketValidationError` for a result that is no `T`, `WebSocketError`
  /// when `ClientConfig::max_calls` wait already.
  template <class T, detail::CallArgument... A>
  T call(std::string_view method, const A&... args) {
    return call<T>(CallOptions{}, method, args...);
  }
  template <class T, detail::CallArgument... A>
  T call(const CallOptions& options, std::string_view method, const A&... args) {
    const detail::CallArguments<A...> arguments(args...);
    return request(options, arguments.request(method)).template as<T>();
  }
  template <class T, detail::CallArgument... A>
  Task<T> call_async(std::string_view method, const A&... args) {
    return call_async<T>(CallOptions{}, method, args...);
  }
  template <class T, detail::CallArgument... A>
  Task<T> call_async(const CallOptions& options, std::string_view method, const A&... args) {
    const detail::CallArguments<A...> arguments(args...);
    return detail::answer_as<T>(request_async(options, arguments.request(method)));
  }

  /// The same, but what the server answers is returned, errors included.
  template <detail::CallArgument... A>
  OwnedRpcResponse send_rpc(std::string_view method, const A&... args) {
    return send_rpc(CallOptions{}, method, args...);
  }
  template <detail::CallArgument... A>
  OwnedRpcResponse send_rpc(const CallOptions& options, std::string_view method, const A&... args) {
    const detail::CallArguments<A...> arguments(args...);
    return request(options, arguments.request(method));
  }
  template <detail::CallArgument... A>
  Task<OwnedRpcResponse> send_rpc_async(std::string_view method, const A&... args) {
    return send_rpc_async(CallOptions{}, method, args...);
  }
  template <detail::CallArgument... A>
  Task<OwnedRpcResponse> send_rpc_async(const CallOptions& options, std::string_view method,
                                        const A&... args) {
    const detail::CallArguments<A...> arguments(args...);
    return request_async(options, arguments.request(method));
  }

  /// A streaming method's chunks. When `ClientConfig::packet_queue_size` of them wait, nothing is
  /// read until some are taken, and the server makes no more. The awaitable form sends its request
  /// when the first chunk is asked for.
  template <class T, detail::CallArgument... A>
  ClientStream<T> stream(std::string_view method, const A&... args) {
    return stream<T>(CallOptions{}, method, args...);
  }
  template <class T, detail::CallArgument... A>
  ClientStream<T> stream(const CallOptions& options, std::string_view method, const A&... args) {
    const detail::CallArguments<A...> arguments(args...);
    return ClientStream<T>(open_stream(options, arguments.request(method)));
  }
  template <class T, detail::CallArgument... A>
  Stream<T> stream_async(std::string_view method, const A&... args) {
    return stream_async<T>(CallOptions{}, method, args...);
  }
  template <class T, detail::CallArgument... A>
  Stream<T> stream_async(const CallOptions& options, std::string_view method, const A&... args) {
    const detail::CallArguments<A...> arguments(args...);
    return detail::chunks_as<T>(open_stream_async(options, arguments.request(method)));
  }

 private:
  Client(std::string_view uri, const ClientLoop& loop, std::shared_ptr<const ClientConfig> config);

  OwnedRpcResponse request(const CallOptions& options, const detail::Request& request);
  Task<OwnedRpcResponse> request_async(const CallOptions& options, const detail::Request& request);
  detail::RawStream open_stream(const CallOptions& options, const detail::Request& request);
  detail::RawStream open_stream_async(const CallOptions& options, const detail::Request& request);

  std::shared_ptr<engine::ClientHome> home_;
  std::shared_ptr<engine::ClientSession> session_;
};

}  // namespace webshocket
