/// Coroutines in flight on one shard: RPC calls, awaitable events, background tasks.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <webshocket/connection.hpp>
#include <webshocket/detail/coroutine.hpp>
#include <webshocket/detail/executor.hpp>
#include <webshocket/rpc.hpp>
#include <webshocket/task.hpp>

#include "api/working.hpp"

namespace webshocket::detail {

class Calls;

/// How a coroutine that answers no RPC request ended: null, or what it threw (`Cancelled`
/// included).
using TaskDone = std::function<void(std::exception_ptr)>;

/// One of them. Deletes itself when it ends.
class Call final : public CallScope, private ResultSink {
 public:
  Call(Calls& calls, Hub& hub, const Label& label, Connection* connection,
       std::unique_ptr<Coroutine> coroutine);

 private:
  friend class Calls;
  ~Call() = default;

  void ended() noexcept override;
  bool yielded() noexcept override;
  std::coroutine_handle<> root() noexcept override { return coroutine_->handle(); }
  void value(Payload value) override;

  void end_rpc() noexcept;

  Calls& calls_;
  std::unique_ptr<Coroutine> coroutine_;
  Connection* connection_;  ///< null: tied to the shard only
  Call* next_of_connection_ = nullptr;
  Call** link_of_connection_ = nullptr;  ///< what points to this one
  Call* next_ = nullptr;
  Call** link_ = nullptr;

  // An RPC call:
  std::shared_ptr<const RpcMethod> method_;
  std::string call_id_;
  std::chrono::steady_clock::time_point started_;
  std::optional<RpcErrorCode> error_;
  bool aborted_ = false;  ///< the client wants no answer any more
  bool waits_for_outbox_ = false;

  // Anything else:
  TaskDone done_;
};

class Calls {
 public:
  explicit Calls(Hub& hub) noexcept : hub_(hub) {}
  ~Calls();
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  /// Runs what an RPC method returned; its results go to the client.
  void start_rpc(Connection& connection, std::shared_ptr<const RpcMethod> method,
                 std::string_view call_id, std::unique_ptr<Coroutine> coroutine,
                 std::chrono::steady_clock::time_point started);
  /// Runs a task; `done` is called when it has ended, possibly before this returns.
  void start(Connection* connection, Task<void> task, TaskDone done, const Label& label = kTask);

  /// The client wants no more of this call.
  void abort(Connection& connection, std::string_view call_id) noexcept;
  /// The connection has gone.
  void cancel_all(Connection& connection) noexcept;
  /// The shard stops.
  void cancel_all() noexcept;
  /// The connection's outbox is below its low mark again: waiting streams go on.
  void outbox_drained(Connection& connection) noexcept;

  /// Of RPC calls and of all else.
  std::size_t size() const noexcept { return size_; }
  /// RPC calls only.
  std::size_t rpc_size() const noexcept { return rpc_size_; }

 private:
  friend class Call;
  void add(Call& call) noexcept;
  void remove(Call& call) noexcept;
  static void link(Call*& first, Call& call) noexcept;
  static void unlink(Call& call) noexcept;
  static void link_to_connection(Call*& first, Call& call) noexcept;
  static void unlink_from_connection(Call& call) noexcept;

  Hub& hub_;
  Call* first_ = nullptr;
  Call* cancelled_ = nullptr;  ///< when the shard stopped, and not yet ended
  std::size_t size_ = 0;
  std::size_t rpc_size_ = 0;
};

}  // namespace webshocket::detail
