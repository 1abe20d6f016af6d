/// Coroutines on a shard: `Task<T>`, `Stream<T>`, `sleep_for()`, `offload()`, `flatten()`.
///
/// A coroutine runs on the shard that started it, always. It is lazy: it starts when it is awaited,
/// or when the framework gets it from an RPC method, an event or `spawn()`. It is cancelled when
/// its connection goes: the `co_await` that it waits in throws `Cancelled`.
///
/// GCC 12 destroys some temporaries twice in an expression with `co_await` or `co_yield`: name an
/// aggregate or a capturing lambda first. Where it can be seen here, it does not compile.
#pragma once

#include <chrono>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <webshocket/detail/executor.hpp>
#include <webshocket/error.hpp>

namespace webshocket {

template <class T = void>
class Task;
template <class T>
class Stream;

namespace detail {

template <class Promise>
concept WebshocketPromise = std::derived_from<Promise, PromiseBase>;

template <class T>
class TaskPromise final : public PromiseBase {
 public:
  Task<T> get_return_object() noexcept;
  template <class U = T>
  requires std::convertible_to<U&&, T>
  void return_value(U&& value) { value_.emplace(std::forward<U>(value)); }
  T take() {
    if (error) std::rethrow_exception(error);
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class TaskPromise<void> final : public PromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const {
    if (error) std::rethrow_exception(error);
  }
};

}  // namespace detail

/// A coroutine that gives one value. Move-only; destroying it destroys the coroutine.
template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  /// No coroutine. An awaitable event that returns this has "not been overridden".
  Task() noexcept = default;
  explicit Task(Handle handle) noexcept : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  explicit operator bool() const noexcept { return handle_ != nullptr; }
  Handle handle() const noexcept { return handle_; }

  class Awaiter {
   public:
    explicit Awaiter(Handle child) noexcept : child_(child) {}
    bool await_ready() const {
      if (!child_) throw UsageError("co_await on an empty Task");
      return false;
    }
    template <detail::WebshocketPromise Promise>
    void await_suspend(std::coroutine_handle<Promise> parent) const noexcept {
      child_.promise().scope = parent.promise().scope;
      child_.promise().continuation = parent;
      parent.promise().scope->go_on_with(child_);
    }
    T await_resume() const { return child_.promise().take(); }

   private:
    Handle child_;
  };
  Awaiter operator co_await() && noexcept { return Awaiter(handle_); }
  Awaiter operator co_await() & = delete;  // co_await std::move(task)

 private:
  Handle handle_;
};

namespace detail {

template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

template <class T>
class StreamPromise final : public PromiseBase {
 public:
  struct YieldAwaiter {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<StreamPromise> self) const noexcept {
      StreamPromise& promise = self.promise();
      if (promise.continuation) {
        promise.scope->go_on_with(promise.continuation);
      } else {
        promise.scope->root_yielded();
      }
    }
    void await_resume() const {
      // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): it does not follow yield_value
      if (scope->cancelled()) throw Cancelled();
    }
    CallScope* scope;
  };

  Stream<T> get_return_object() noexcept;
  void return_void() const noexcept {}

  YieldAwaiter yield_value(const T& value) noexcept {
    current = std::addressof(value);
    return {scope};
  }
  YieldAwaiter yield_value(T&& value) noexcept requires(!std::is_aggregate_v<T>) {
    current = std::addressof(value);
    return {scope};
  }
  // GCC 12 destroys a brace-initialised aggregate in a co_yield expression twice. Name it first:
  //   Line line{a, b};  co_yield line;
  void yield_value(T&& value) requires std::is_aggregate_v<T>
  = delete;

  const T* current = nullptr;  ///< borrowed from the coroutine while it is suspended at co_yield
};

}  // namespace detail

/// A coroutine that gives many values, pulled one at a time: after each `co_yield` it sleeps until
/// the next one is wanted, so a slow reader slows it.
template <class T>
class [[nodiscard]] Stream {
 public:
  using promise_type = detail::StreamPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Stream() noexcept = default;
  explicit Stream(Handle handle) noexcept : handle_(handle) {}
  Stream(Stream&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Stream& operator=(Stream&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Stream() {
    if (handle_) handle_.destroy();
  }

  explicit operator bool() const noexcept { return handle_ != nullptr; }
  Handle handle() const noexcept { return handle_; }

  class NextAwaiter {
   public:
    explicit NextAwaiter(Handle child) noexcept : child_(child) {}
    bool await_ready() const noexcept { return !child_ || child_.done(); }
    template <detail::WebshocketPromise Promise>
    void await_suspend(std::coroutine_handle<Promise> parent) const noexcept {
      auto& promise = child_.promise();
      promise.scope = parent.promise().scope;
      promise.continuation = parent;
      promise.current = nullptr;
      parent.promise().scope->go_on_with(child_);
    }
    const T* await_resume() const {
      if (!child_) return nullptr;
      auto& promise = child_.promise();
      if (child_.done()) {
        if (promise.error) std::rethrow_exception(std::exchange(promise.error, nullptr));
        return nullptr;
      }
      return promise.current;
    }

   private:
    Handle child_;
  };

  /// `while (const T* item = co_await stream.next())`: the next value, borrowed until the next
  /// `next()`; nullptr at the end. Rethrows what the stream threw.
  NextAwaiter next() noexcept { return NextAwaiter(handle_); }

 private:
  Handle handle_;
};

namespace detail {

template <class T>
Stream<T> StreamPromise<T>::get_return_object() noexcept {
  return Stream<T>(std::coroutine_handle<StreamPromise>::from_promise(*this));
}

/// What all leaf awaiters share: they wait once, and know whether they were cancelled.
class LeafAwaiter : public Waiting {
 protected:
  ~LeafAwaiter() = default;

  template <WebshocketPromise Promise>
  void suspend(std::coroutine_handle<Promise> self) noexcept {
    self_ = self;
    scope_ = self.promise().scope;
  }
  void resume() noexcept { scope_->run(self_); }
  void throw_if_cancelled() const {
    if (scope_ != nullptr && scope_->cancelled()) throw Cancelled();
  }

  CallScope* scope_ = nullptr;
  std::coroutine_handle<> self_;
};

void start_timer(CallScope& scope, TimerNode& timer, std::chrono::nanoseconds delay);
void stop_timer(CallScope& scope, TimerNode& timer) noexcept;
void start_offload(CallScope& scope, OffloadJob& job);

class SleepAwaiter final : public LeafAwaiter, private TimerNode {
 public:
  explicit SleepAwaiter(std::chrono::nanoseconds delay) noexcept : delay_(delay) {}
  ~SleepAwaiter() {
    if (armed()) stop_timer(*scope_, *this);
  }

  bool await_ready() const noexcept { return false; }
  template <WebshocketPromise Promise>
  bool await_suspend(std::coroutine_handle<Promise> self) {
    suspend(self);
    if (scope_->cancelled()) return false;
    start_timer(*scope_, *this, delay_);
    scope_->wait_for(*this);
    return true;
  }
  void await_resume() const { throw_if_cancelled(); }

  void cancel() noexcept override {
    stop_timer(*scope_, *this);
    resume();
  }

 private:
  void fire() noexcept override { resume(); }

  std::chrono::nanoseconds delay_;
};

template <class R>
class ResultSlot {
 public:
  template <class F>
  void fill(F& work) noexcept {
    try {
      value_.emplace(work());
    } catch (...) {
      error_ = std::current_exception();
    }
  }
  bool is_empty() const noexcept { return !value_ && !error_; }
  R take() {
    if (error_) std::rethrow_exception(error_);
    return std::move(*value_);
  }

 private:
  std::optional<R> value_;
  std::exception_ptr error_;
};

template <>
class ResultSlot<void> {
 public:
  template <class F>
  void fill(F& work) noexcept {
    try {
      work();
    } catch (...) {
      error_ = std::current_exception();
    }
  }
  void take() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::exception_ptr error_;
};

/// `Work` is the callable itself, or a reference to one that the caller named.
template <class Work>
class OffloadAwaiter final : public LeafAwaiter, private OffloadJob {
 public:
  using Result = std::invoke_result_t<std::remove_reference_t<Work>&>;

  explicit OffloadAwaiter(Work work) noexcept : work_(static_cast<Work&&>(work)) {}

  bool await_ready() const noexcept { return false; }
  template <WebshocketPromise Promise>
  bool await_suspend(std::coroutine_handle<Promise> self) {
    suspend(self);
    if (scope_->cancelled()) return false;
    start_offload(*scope_, *this);
    scope_->wait_for(*this);
    return true;
  }
  Result await_resume() {
    throw_if_cancelled();
    return result_.take();
  }

  void cancel() noexcept override {}  // a worker holds the frame: the answer comes first

 private:
  void run() noexcept override { result_.fill(work_); }
  void done() noexcept override { resume(); }

  Work work_;
  ResultSlot<Result> result_;
};

}  // namespace detail

/// `co_await sleep_for(100ms)`: resumes on the same shard, not before that time.
template <class Rep, class Period>
detail::SleepAwaiter sleep_for(std::chrono::duration<Rep, Period> delay) noexcept {
  return detail::SleepAwaiter(std::chrono::duration_cast<std::chrono::nanoseconds>(delay));
}

/// `co_await offload([&] { return slow(); })`: runs the callable on webshocket's small thread pool
/// (`Config::offload_threads`) and resumes on this shard with its result, or rethrows what it
/// threw. Captures by reference are safe: the coroutine stays until the answer is there, also when
/// it is cancelled. Throws `WebSocketError` when `Config::offload_queue_size` jobs wait already.
template <class Work>
auto offload(Work&& work) noexcept {
  if constexpr (std::is_lvalue_reference_v<Work>) {
    return detail::OffloadAwaiter<Work>(work);
  } else {
    static_assert(std::is_trivially_destructible_v<Work>,
                  "webshocket: GCC 12 destroys a temporary that owns something twice here; name it "
                  "first (auto work = [s] {…}; co_await offload(work);) or capture by reference");
    return detail::OffloadAwaiter<Work>(std::forward<Work>(work));
  }
}

/// One list of many: `flatten(co_await gather(&Chat::names))`.
template <class T>
std::vector<T> flatten(std::vector<std::vector<T>> lists) {
  std::vector<T> all;
  std::size_t size = 0;
  for (const auto& list : lists) size += list.size();
  all.reserve(size);
  for (auto& list : lists) {
    all.insert(all.end(), std::make_move_iterator(list.begin()),
               std::make_move_iterator(list.end()));
  }
  return all;
}

}  // namespace webshocket
