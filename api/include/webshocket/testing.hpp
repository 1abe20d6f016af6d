/// Unit-tests a handler without a socket: `FakeShard<Chat> shard; auto& ann = shard.connect();`
///
/// Everything but the network is the real thing: dispatch, predicates, rate limits, coroutines,
/// channels. The clock is yours: `advance()`. One thread, one shard.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/config.hpp>
#include <webshocket/connection.hpp>
#include <webshocket/handler.hpp>
#include <webshocket/packet.hpp>
#include <webshocket/rpc.hpp>

namespace webshocket {

namespace detail {
class FakeHub;
}

/// A connection that remembers what was sent to it.
class FakeConnection : public Connection {
 public:
  /// What was sent, oldest first: packets, and on a raw connection `custom` packets with the data.
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

  FakeConnection(detail::FakeHub& hub, Handler& handler, Uid uid, Format format);

  SendStatus do_send(const detail::Content& content, std::size_t fragment_size) override;
  bool do_respond(std::string_view call_id, Payload response, std::optional<RpcErrorCode> error,
                  bool is_stream, bool is_end) override;
  bool do_subscribe(std::span<const std::string_view> names) override;
  void do_unsubscribe(std::span<const std::string_view> names) override;
  std::vector<std::string> do_subscriptions() const override { return subscriptions_; }
  void do_close(CloseCode code, std::string_view reason) override;
  std::string do_remote_address() const override { return "fake"; }
  bool do_writable() const noexcept override { return writable_; }
  void do_unblocked() noexcept override {}
  void do_hold() noexcept override {}
  void do_release() noexcept override {}

  detail::FakeHub& fake_;
  std::vector<OwnedPacket> sent_;
  std::vector<std::string> subscriptions_;
  std::optional<CloseCode> close_code_;
  std::string close_reason_;
  bool writable_ = true;
};

/// A reply to `FakeShard::call`.
struct FakeReply {
  std::vector<Document> values;  ///< the result, or the chunks of a stream
  std::optional<RpcErrorCode> error;
  std::string error_text;
  bool finished = false;  ///< false: the call is still in flight

  /// The result. Throws `PacketValidationError` if it is not a `T`, `RpcError` with the error's
  /// text.
  template <class T>
  T as() const {
    if (error) throw RpcError(error_text);
    if (values.empty()) throw UsageError("the call has not ended");
    return values.back()->as<T>();
  }
};

/// The part of `FakeShard` that does not know the handler's type.
class FakeShardBase {
 public:
  explicit FakeShardBase(HandlerFactory factory, Config config = {});
  ~FakeShardBase();
  FakeShardBase(const FakeShardBase&) = delete;
  FakeShardBase& operator=(const FakeShardBase&) = delete;

  /// Upgrades (asks `on_upgrade`) and connects. Throws `ConnectionFailedError` with the handler's
  /// text if it rejects. The reference is valid until the shard's end.
  FakeConnection& connect(Format format = Format::msgpack, UpgradeRequest request = {});
  /// The client leaves.
  void disconnect(FakeConnection& connection);

  /// The client calls a method; timers do not run meanwhile, so a call that sleeps is not finished.
  template <class... Args>
  FakeReply call(FakeConnection& connection, std::string_view method, const Args&... args) {
    return call_with(connection, method, Document::of(std::tuple<const Args&...>(args...)), {});
  }
  FakeReply call_with(FakeConnection& connection, std::string_view method, Document args,
                      Document kwargs);
  /// The client sends a value, or a packet as it is; or raw bytes that are no packet.
  void receive(FakeConnection& connection, Payload data);
  void receive(FakeConnection& connection, const Packet& packet);
  void receive_raw(FakeConnection& connection, std::span<const std::byte> message, Opcode opcode);

  /// Lets time pass; timers fire in their order.
  void advance(std::chrono::nanoseconds time);
  /// Waits for work on the thread pool, then runs what it answered.
  void settle();
  /// Log lines so far.
  const std::vector<std::string>& log() const noexcept;

 protected:
  Handler& handler_base() noexcept;

 private:
  std::unique_ptr<detail::FakeHub> hub_;
};

template <std::derived_from<Handler> H>
class FakeShard : public FakeShardBase {
 public:
  /// The handler's constructor gets `args`.
  template <class... Args>
  explicit FakeShard(Args&&... args) : FakeShardBase(per_shard<H>(std::forward<Args>(args)...)) {}

  H& handler() noexcept { return static_cast<H&>(handler_base()); }
};

}  // namespace webshocket
