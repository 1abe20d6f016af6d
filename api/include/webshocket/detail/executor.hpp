/// What a coroutine sees of its shard: the call that it belongs to, timers, and work done
/// elsewhere.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <utility>

namespace webshocket {
class Connection;
class Handler;
}  // namespace webshocket

namespace webshocket::detail {

class Hub;
struct Label;

/// A place in a shard's timer heap. Lives inside the object that waits, so that starting a timer
/// allocates nothing.
class TimerNode {
 public:
  TimerNode() noexcept = default;
  TimerNode(const TimerNode&) = delete;
  TimerNode& operator=(const TimerNode&) = delete;

  /// On the shard's thread, once, when due. The timer is no longer armed then.
  virtual void fire() noexcept = 0;

  bool armed() const noexcept { return index_ != kIdle; }

 protected:
  ~TimerNode() = default;

 private:
  friend class TimerQueue;
  static constexpr std::uint32_t kIdle = static_cast<std::uint32_t>(-1);
  std::chrono::steady_clock::time_point due_{};
  std::uint32_t index_ = kIdle;
};

/// A job for the thread pool. Belongs to a coroutine frame that stays where it is until `done`.
class OffloadJob {
 public:
  virtual void run() noexcept = 0;   ///< on a worker
  virtual void done() noexcept = 0;  ///< on the shard, after `run`

 protected:
  ~OffloadJob() = default;
};

/// A question to every shard. Belongs to a coroutine frame that stays where it is until `done`.
class GatherJob {
 public:
  virtual void prepare(std::size_t shards) = 0;  ///< on the asking shard, before all else
  /// On every shard, possibly at the same time; `handler` is the one of the asker's route there.
  virtual void run(Handler& handler, std::size_t shard) noexcept = 0;
  virtual void done() noexcept = 0;  ///< on the asking shard, after every `run`

 protected:
  ~GatherJob() = default;
};

/// The innermost thing that a suspended call waits for.
class Waiting {
 public:
  /// Stops waiting and resumes the call, whose `co_await` then throws `Cancelled`; or does nothing
  /// if somebody else still holds the frame's address: then the answer comes first.
  virtual void cancel() noexcept = 0;

 protected:
  ~Waiting() = default;
};

/// A tree of coroutines that run as one: an RPC call, an event, a spawned task. Belongs to its
/// shard.
///
/// Coroutines never resume each other; they name who goes on, and `run` goes on with it. So a
/// million awaits that end at once cost no stack, also where symmetric transfer is no tail call
/// (GCC without optimisation, or with sanitizers).
class CallScope {
 public:
  /// `label` says what it is to who looks at a slow shard.
  explicit CallScope(Hub& hub, const Label& label) noexcept : hub_(hub), label_(&label) {}
  explicit CallScope(Hub& hub) noexcept;
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

  Hub& hub() const noexcept { return hub_; }
  bool cancelled() const noexcept { return cancelled_; }
  bool running() const noexcept { return running_; }

  /// Runs `handle`, and what it names, until all of it waits or ends. May end the scope's life.
  void run(std::coroutine_handle<> handle) noexcept;

  /// Every wait from now on throws `Cancelled`, the present one too if it can be given up.
  /// May end the scope's life.
  void cancel() noexcept;

  // For promises and awaiters, from inside `run`.
  void go_on_with(std::coroutine_handle<> next) noexcept { next_ = next; }
  void root_ended() noexcept { outcome_ = Outcome::ended; }
  void root_yielded() noexcept { outcome_ = Outcome::yielded; }
  void wait_for(Waiting& waiting) noexcept { waiting_ = &waiting; }

 protected:
  ~CallScope() = default;

  /// The outermost coroutine has ended; the scope may be destroyed in here.
  virtual void ended() noexcept = 0;
  /// The outermost coroutine is a stream and holds a chunk. Whether it shall go on at once.
  virtual bool yielded() noexcept = 0;
  virtual std::coroutine_handle<> root() noexcept = 0;

  /// Goes on with a stream that was told to wait.
  void run_on() noexcept { run(root()); }

 private:
  enum class Outcome : unsigned char { waits, yielded, ended };

  Hub& hub_;
  const Label* label_;
  std::coroutine_handle<> next_;
  Waiting* waiting_ = nullptr;
  Outcome outcome_ = Outcome::waits;
  bool running_ = false;
  bool cancelled_ = false;
};

/// What all our promises share.
class PromiseBase {
 public:
  CallScope* scope = nullptr;            ///< handed from parent to child
  std::coroutine_handle<> continuation;  ///< who awaits; null for the outermost
  std::exception_ptr error;

  std::suspend_always initial_suspend() const noexcept { return {}; }

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      PromiseBase& promise = self.promise();
      if (promise.continuation) {
        promise.scope->go_on_with(promise.continuation);
      } else {
        promise.scope->root_ended();
      }
    }
    void await_resume() const noexcept {}
  };
  FinalAwaiter final_suspend() const noexcept { return {}; }

  void unhandled_exception() noexcept { error = std::current_exception(); }
};

}  // namespace webshocket::detail
