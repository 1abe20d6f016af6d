/// What an application writes: a class derived from `Handler`, one object of it per shard.
#pragma once

#include <chrono>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <webshocket/connection.hpp>
#include <webshocket/packet.hpp>
#include <webshocket/predicate.hpp>
#include <webshocket/rpc.hpp>
#include <webshocket/task.hpp>
#include <webshocket/upgrade.hpp>

namespace webshocket {

/// Connections that a publish leaves out: `{.exclude = conn}`, `{.exclude = {a, b}}`.
class Exclude {
 public:
  Exclude() noexcept = default;
  Exclude(const Connection& connection)
      : uids_{connection.uid()} {}  // NOLINT(google-explicit-constructor)
  Exclude(std::initializer_list<std::reference_wrapper<const Connection>> connections);
  Exclude(std::vector<Uid> uids) noexcept
      : uids_(std::move(uids)) {}  // NOLINT(google-explicit-constructor)

  const std::vector<Uid>& uids() const noexcept { return uids_; }

 private:
  std::vector<Uid> uids_;
};

struct PublishOptions {
  Exclude exclude{};
  Predicate predicate{};
  Compress compress = Compress::automatic;
  /// What the message is the newest state of, as "player-7". Of those that wait for a tick (see
  /// `Config::tick`), to the same channel, with the same key and for the same recipients, only the
  /// newest leaves; and of those that wait for a slow reader under `OutboxPolicy::conflate`. Empty:
  /// every message does.
  std::string_view key = {};

  /// Who is to get it: both in one.
  Predicate combined() const;
};

namespace detail {

class HandlerAccess;

/// A handler's connections: dense, in the order of their coming, holes skipped.
class Roster {
 public:
  class Iterator {
   public:
    using difference_type = std::ptrdiff_t;
    using value_type = Connection;
    using reference = Connection&;
    using pointer = Connection*;
    using iterator_category = std::forward_iterator_tag;

    Iterator() noexcept = default;
    Iterator(Connection* const* at, Connection* const* end) noexcept : at_(at), end_(end) {
      skip();
    }
    Connection& operator*() const noexcept { return **at_; }
    Connection* operator->() const noexcept { return *at_; }
    Iterator& operator++() noexcept {
      ++at_;
      skip();
      return *this;
    }
    Iterator operator++(int) noexcept {
      Iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) noexcept { return a.at_ == b.at_; }

   private:
    void skip() noexcept {
      while (at_ != end_ && *at_ == nullptr) ++at_;
    }
    Connection* const* at_ = nullptr;
    Connection* const* end_ = nullptr;
  };

  Iterator begin() const noexcept { return {slots_.data(), slots_.data() + slots_.size()}; }
  Iterator end() const noexcept {
    return {slots_.data() + slots_.size(), slots_.data() + slots_.size()};
  }
  std::size_t size() const noexcept { return slots_.size() - holes_; }
  bool empty() const noexcept { return size() == 0; }

  void add(Connection& connection);
  void remove(Connection& connection) noexcept;
  /// Closes the holes when they are many. Not while somebody walks.
  void compact() noexcept;
  /// Another number: somebody has come or gone.
  std::uint64_t changes() const noexcept { return changes_; }

 private:
  std::vector<Connection*> slots_;
  std::size_t holes_ = 0;
  std::uint64_t changes_ = 0;
};

template <class H, class R, class... Args>
class GatherAwaiter;

}  // namespace detail

/// Stops what `every()` started. Copyable; forgets nothing by being destroyed. Shard's thread only.
class TimerHandle {
 public:
  TimerHandle() noexcept = default;
  explicit TimerHandle(std::weak_ptr<bool> running) noexcept : running_(std::move(running)) {}
  void cancel() noexcept {
    if (auto running = running_.lock()) *running = false;
  }

 private:
  std::weak_ptr<bool> running_;
};

/// The user's logic, one object per shard, so its members need no locks. Everything in it is called
/// on its shard's thread, and may be called only there (`WrongThreadError` otherwise); it must not
/// block.
///
/// An exception out of an event is logged and counted, and closes that connection with 1011.
class Handler {
 public:
  Handler();
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  virtual ~Handler();

  // --- events ---------------------------------------------------------------------------------

  /// Once, before the first connection and after the last. `on_stop` finds no connection any more.
  virtual void on_start() {}
  virtual void on_stop() {}

  /// Whether a client may come in, and as what.
  virtual Upgrade on_upgrade(const UpgradeRequest& request);
  /// Its awaitable twin. An empty task, which is the default, means: ask `on_upgrade`.
  virtual Task<Upgrade> on_upgrade_async(UpgradeRequest request);

  virtual void on_connect(Connection& connection);
  /// Every packet that is no RPC request; what could not be decoded has the source `unknown`.
  virtual void on_receive(Connection& connection, const Packet& packet);
  /// A message of a raw connection.
  virtual void on_message(Connection& connection, std::span<const std::byte> message,
                          Opcode opcode);
  /// Always paired with `on_connect`. The connection is closed; its session can be read.
  virtual void on_disconnect(Connection& connection);

  /// The connection reads too slowly: so much has been dropped since the last call, by
  /// `OutboxPolicy`. Once per loop turn; not for `disconnect`, which ends in `on_disconnect`.
  virtual void on_dropped(Connection& connection, const Dropped& dropped);
  /// After `send` returned `congested`, or so much waited: less than `Config::outbox_low_mark` does
  /// now.
  virtual void on_drained(Connection& connection);

  /// Awaitable twins, called instead where overridden. Until `on_connect_async` ends, and while an
  /// `on_receive_async` waits, that connection's packets queue (`Config::packet_queue_size`), then
  /// reading stops; other connections do not notice.
  virtual Task<void> on_connect_async(Connection& connection);
  virtual Task<void> on_receive_async(Connection& connection, OwnedPacket packet);

  /// Around every RPC call whose method exists: for auth, audit, metrics.
  virtual RpcDecision before_rpc(const RpcCall& call);
  virtual void after_rpc(const RpcCall& call, const RpcOutcome& outcome);

  // --- methods --------------------------------------------------------------------------------

  /// Registers, or replaces, an RPC method; running calls keep the old one. In the constructor or
  /// at any time later on the shard's thread. The reference is for chaining `.params(…)` and so on.
  template <class F>
  RpcMethod& rpc(std::string name, F function) {
    if constexpr (std::same_as<F, RpcMethod>) {
      return add_method(std::move(name), std::move(function));
    } else {
      return add_method(std::move(name), RpcMethod(std::move(function)));
    }
  }
  /// False if there was none.
  bool remove_rpc(std::string_view name);
  const RpcMethod* find_rpc(std::string_view name) const noexcept;
  /// In order of their names.
  std::vector<const RpcMethod*> methods() const;

  // --- sending --------------------------------------------------------------------------------

  /// To every subscriber of the channel, on every shard, each once; for several names one packet
  /// per name. Encoded once per format in use. False if a shard's inbox was full: then nobody got
  /// it. A packet must have the source `channel`, else `PacketError`.
  bool publish(const Names& channels, Payload data, const Predicate& predicate = {});
  bool publish(const Names& channels, Payload data, const PublishOptions& options);
  bool publish(const Names& channels, const Packet& packet, const Predicate& predicate = {});
  bool publish(const Names& channels, const Packet& packet, const PublishOptions& options);

  /// To every connection of this handler's route, on every shard. A packet must have the source
  /// `broadcast`, else `PacketError`.
  bool broadcast(Payload data, const Predicate& predicate = {});
  bool broadcast(Payload data, const PublishOptions& options);
  bool broadcast(const Packet& packet, const Predicate& predicate = {});
  bool broadcast(const Packet& packet, const PublishOptions& options);

  bool subscribe(Connection& connection, const Names& names) { return connection.subscribe(names); }
  void unsubscribe(Connection& connection, const Names& names) { connection.unsubscribe(names); }

  // --- who is here ----------------------------------------------------------------------------

  /// This shard's connections of this route, oldest first. Coming and going is not seen while you
  /// walk; do not keep it over a `co_await`.
  const detail::Roster& clients() const;
  /// This shard's subscribers of a channel, by name and by pattern.
  std::vector<Connection*> subscribers(std::string_view channel) const;
  /// The channels and patterns that somebody on this shard is subscribed to, sorted.
  std::vector<std::string> channels() const;
  /// All connections, on every shard.
  std::size_t client_count() const;
  std::size_t shard() const;
  std::size_t shard_count() const;

  /// `co_await gather(&Chat::names)`: runs the member (with copies of `args`) on every shard and
  /// gives one result per shard, in their order. Rethrows the first exception.
  template <class R, class H, class... Params, class... Args>
  auto gather(R (H::*member)(Params...), Args... args) {
    return detail::GatherAwaiter<H, R, Args...>(*this, member, std::move(args)...);
  }
  template <class R, class H, class... Params, class... Args>
  auto gather(R (H::*member)(Params...) const, Args... args) {
    return detail::GatherAwaiter<const H, R, Args...>(*this, member, std::move(args)...);
  }

  // --- time and background --------------------------------------------------------------------

  /// Calls `function` every `period` until cancelled or the shard stops. An exception is logged.
  TimerHandle every(std::chrono::nanoseconds period, std::function<void()> function);
  /// Runs a task on this shard, tied to no connection; cancelled when the shard stops. An exception
  /// is logged.
  void spawn(Task<void> task);
  /// Calls `function` after the present event, before this loop turn's output leaves.
  void defer(std::function<void()> function);
  /// The shard's clock: monotonic, the same value throughout one loop turn.
  std::chrono::steady_clock::time_point now() const;
  void log(LogLevel level, std::string_view text) const;

 private:
  friend class detail::HandlerAccess;
  template <class, class, class...>
  friend class detail::GatherAwaiter;

  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };

  RpcMethod& add_method(std::string name, RpcMethod method);
  detail::Hub& checked_hub() const;

  detail::Hub* hub_ = nullptr;  ///< set before on_start
  std::size_t route_ = 0;
  std::unordered_map<std::string, std::shared_ptr<RpcMethod>, NameHash, std::equal_to<>> methods_;
  detail::Roster roster_;
  bool connect_async_ = true;  ///< until the default has been seen to be in place
  bool receive_async_ = true;
  bool upgrade_async_ = true;
};

namespace detail {

void start_gather(CallScope& scope, const Handler& asker, GatherJob& job);

template <class H, class R, class... Args>
class GatherAwaiter final : public LeafAwaiter, private GatherJob {
  static_assert(!std::is_void_v<R>, "webshocket: gather() collects results; return something");
  static_assert(!is_task<R> && !is_stream_type<R>,
                "webshocket: gather() runs plain members, not coroutines");

 public:
  template <class Member>
  GatherAwaiter(const Handler& asker, Member member, Args... args)
      : asker_(asker),
        call_([member](H& handler, const Args&... arg) -> R { return (handler.*member)(arg...); }),
        args_(std::move(args)...) {}

  bool await_ready() const noexcept { return false; }
  template <WebshocketPromise Promise>
  bool await_suspend(std::coroutine_handle<Promise> self) {
    suspend(self);
    if (scope_->cancelled()) return false;
    start_gather(*scope_, asker_, *this);
    scope_->wait_for(*this);
    return true;
  }
  std::vector<R> await_resume() {
    throw_if_cancelled();
    std::vector<R> results;
    results.reserve(slots_.size());
    for (auto& slot : slots_) {
      if (slot.is_empty()) throw Cancelled();  // that shard has ended, and this one is about to
      results.push_back(slot.take());
    }
    return results;
  }

  void cancel() noexcept override {}  // other shards hold the frame: their answers come first

 private:
  void prepare(std::size_t shards) override { slots_.resize(shards); }
  void run(Handler& handler, std::size_t shard) noexcept override {
    auto work = [&] {
      return std::apply([&](const Args&... arg) { return call_(static_cast<H&>(handler), arg...); },
                        args_);
    };
    slots_[shard].fill(work);
  }
  void done() noexcept override { resume(); }

  const Handler& asker_;
  std::function<R(H&, const Args&...)> call_;
  std::tuple<Args...> args_;
  std::vector<ResultSlot<R>> slots_;
};

}  // namespace detail

/// Makes a handler for each shard, on that shard's thread.
using HandlerFactory = std::function<std::unique_ptr<Handler>()>;

/// One `H` per shard, made from copies of `args`; what all shards share is passed as `std::ref(x)`
/// or a pointer, and must be thread-safe by its own contract.
template <std::derived_from<Handler> H, class... Args>
HandlerFactory per_shard(Args&&... args) {
  return [... arg = std::decay_t<Args>(std::forward<Args>(args))]() -> std::unique_ptr<Handler> {
    return std::make_unique<H>(arg...);
  };
}

}  // namespace webshocket
