/// Unit-tests a handler without a socket: `FakeShard<Chat> shard; auto& ann = shard.connect();`
///
/// Everything but the network is the real thing: dispatch, predicates, rate limits, coroutines,
/// channels. The clock is yours: `advance()`. One thread, one shard.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <webshocket/config.hpp>
#include <webshocket/connection.hpp>
#include <webshocket/handler.hpp>
#include <webshocket/packet.hpp>
#include <webshocket/queue_handler.hpp>
#include <webshocket/rpc.hpp>

namespace webshocket {

namespace detail {
class FakeHub;
}

/// A connection that remembers what was sent to it.
class FakeConnection : public Connection {
 public:
  ~FakeConnection() override;

  /// What was sent, oldest first: packets, and on a raw connection `custom` packets with the data.
  /// RPC responses are here only if the request was not made by `call`.
  const std::vector<OwnedPacket>& sent() const noexcept { return sent_; }
  /// Takes them out.
  std::vector<OwnedPacket> take_sent() { return std::exchange(sent_, {}); }

  /// How the handler closed it, if it did.
  std::optional<CloseCode> close_code() const noexcept { return close_code_; }
  const std::string& close_reason() const noexcept { return close_reason_; }

  /// While false, streams pause: as if the client did not read.
  void set_writable(bool writable);

 private:
  friend class detail::FakeHub;

  FakeConnection(detail::FakeHub& hub, Handler& handler, Uid uid, detail::Form form);

  SendStatus do_send(const detail::Content& content, std::size_t fragment_size) override;
  bool do_respond(std::string_view call_id, Payload response, std::optional<RpcErrorCode> error,
                  bool is_stream, bool is_end) override;
  bool do_subscribe(std::span<const std::string_view> names) override;
  void do_unsubscribe(std::span<const std::string_view> names) override;
  std::vector<std::string> do_subscriptions() const override { return subscriptions_; }
  void do_close(CloseCode code, std::string_view reason) override;
  std::string do_remote_address() const override { return "fake"; }
  std::optional<ClientCertificate> do_client_certificate() const override { return certificate_; }
  bool do_writable() const noexcept override { return writable_; }
  void do_unblocked() noexcept override {}  // what waits is looked at after every event
  void do_hold() noexcept override {}       // it lives as long as the shard
  void do_release() noexcept override {}

  struct Parked {
    OwnedPacket packet;
    std::optional<Opcode> opcode;  ///< of a raw message
  };

  detail::FakeHub& fake_;
  std::vector<OwnedPacket> sent_;
  std::deque<Parked> parked_;  ///< until an event or a call has ended
  std::vector<std::string> subscriptions_;
  std::optional<CloseCode> close_code_;
  std::string close_reason_;
  std::optional<ClientCertificate> certificate_;
  bool writable_ = true;
  bool left_ = false;  ///< `on_disconnect` has been called
};

/// The reply to `FakeShard::call`, as far as it has come. Copies show the same reply.
class FakeReply {
 public:
  /// False: the call is still in flight, or will never be answered.
  bool finished() const noexcept { return state_->finished; }
  /// The result, or the chunks of a stream.
  const std::vector<Document>& values() const noexcept { return state_->values; }
  std::optional<RpcErrorCode> error() const noexcept { return state_->error; }
  const std::string& error_text() const noexcept { return state_->error_text; }
  const std::string& call_id() const noexcept { return state_->call_id; }
  /// All responses, the error and the end of a stream included.
  std::size_t responses() const noexcept { return state_->responses; }

  /// The result, or the last chunk. Throws `RpcError` with the error's text,
  /// `PacketValidationError` if it is not a `T`, `UsageError` if there is none.
  template <class T>
  T as() const {
    if (error()) throw RpcError(error_text());
    if (values().empty()) throw UsageError("the call has no result yet");
    return values().back()->as<T>();
  }

 private:
  friend class detail::FakeHub;

  struct State {
    std::string call_id;
    std::vector<Document> values;
    std::optional<RpcErrorCode> error;
    std::string error_text;
    std::size_t responses = 0;
    bool finished = false;
  };

  explicit FakeReply(std::shared_ptr<const State> state) noexcept : state_(std::move(state)) {}

  std::shared_ptr<const State> state_;
};

/// The part of `FakeShard` that does not know the handler's type.
class FakeShardBase {
 public:
  explicit FakeShardBase(HandlerFactory factory, Config config = {});
  /// Every connection leaves, then the handler stops.
  ~FakeShardBase();
  FakeShardBase(const FakeShardBase&) = delete;
  FakeShardBase& operator=(const FakeShardBase&) = delete;

  /// Upgrades (asks `on_upgrade`) and connects. Throws `ConnectionFailedError` with status and text
  /// if the handler rejects. The reference is valid until the shard's end.
  FakeConnection& connect(Format format = Format::msgpack, UpgradeRequest request = {});
  /// The client leaves.
  void disconnect(FakeConnection& connection);

  /// The client calls a method; timers do not run meanwhile, so a call that sleeps is not finished.
  template <class... Args>
  FakeReply call(FakeConnection& connection, std::string_view method, const Args&... args) {
    return call_with(connection, method, Document::of(std::tuple<const Args&...>(args...)), {});
  }
  /// With an array of arguments (or null) and a map of keyword arguments (or null).
  FakeReply call_with(FakeConnection& connection, std::string_view method, Document args,
                      Document kwargs);
  /// The client wants no more of a call.
  void abort(FakeConnection& connection, const FakeReply& reply);

  /// The client sends a value, or a packet as it is; or bytes that are no packet (on a raw
  /// connection, a message).
  void receive(FakeConnection& connection, Payload data);
  void receive(FakeConnection& connection, const Packet& packet);
  void receive_raw(FakeConnection& connection, std::span<const std::byte> message,
                   Opcode opcode = Opcode::binary);

  /// Lets time pass; timers fire in their order.
  void advance(std::chrono::nanoseconds time);
  /// Waits for work on the thread pool, then runs what it answered; runs what other threads posted.
  void settle();
  /// Runs `function` on a thread of its own, and meanwhile here what it asks of the shard: for what
  /// other threads do, by a `Peer` or a `PullConnection`. Rethrows what it throws.
  void run_beside(std::function<void()> function);

  /// The next connection, if the handler is a `QueueHandler`. Throws `UsageError` if there is none.
  PullConnection accept();
  /// Log lines so far.
  const std::vector<std::string>& log() const noexcept;

 protected:
  Handler& handler_base() noexcept;

 private:
  std::unique_ptr<detail::FakeHub> hub_;
};

/// One shard with one handler on the thread that makes it. Several may be made, and end in the
/// opposite order.
template <std::derived_from<Handler> H>
class FakeShard : public FakeShardBase {
 public:
  /// The handler's constructor gets `args`.
  template <class... Args>
  requires std::constructible_from < H, std::decay_t<Args>
  &... > explicit FakeShard(Args&&... args)
      : FakeShardBase(per_shard<H>(std::forward<Args>(args)...)) {}
  template <class... Args>
  requires std::constructible_from < H, std::decay_t<Args>
  &... > explicit FakeShard(Config config, Args&&... args)
      : FakeShardBase(per_shard<H>(std::forward<Args>(args)...), std::move(config)) {}

  H& handler() noexcept { return static_cast<H&>(handler_base()); }
};

}  // namespace webshocket
