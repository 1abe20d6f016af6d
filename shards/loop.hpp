/// RAII over a libuv loop and its handles. The only file that turns `void* data` into a type.
///
/// Lifetimes, as libuv has them: (1) what was opened must be closed; (2) a handle's memory may be
/// reused only from its close callback; (3) a loop is freed when all its handles are closed, and
/// then `uv_loop_close` returns 0.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstdint>

namespace webshocket::shards {

/// One thread's event loop.
class Loop {
 public:
  /// Throws `WebSocketError` when the system refuses (no descriptors).
  Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  /// REQUIRES: `finish` was called, or no handle was opened.
  ~Loop();

  /// Until `stop`.
  void run() noexcept { uv_run(&loop_, UV_RUN_DEFAULT); }
  /// From one of its callbacks.
  void stop() noexcept { uv_stop(&loop_); }
  /// Runs until every handle is closed: close them first.
  void finish() noexcept;

  uv_loop_t* get() noexcept { return &loop_; }

 private:
  uv_loop_t loop_;
};

namespace handles {

template <auto Method, class T, class Handle>
void call(Handle* handle) noexcept {
  (static_cast<T*>(handle->data)->*Method)();
}

template <class Handle>
void close(Handle& handle) noexcept {
  auto* base = reinterpret_cast<uv_handle_t*>(&handle);
  if (uv_is_closing(base) == 0) uv_close(base, nullptr);
}

}  // namespace handles

/// Watches a descriptor that somebody else owns.
class Poll {
 public:
  int open(Loop& loop, int fd) noexcept { return uv_poll_init(loop.get(), &handle_, fd); }

  /// From here on `(owner.*Ready)(status, events)` is called, status being 0 or a libuv error.
  template <auto Ready, class T>
  int watch(T& owner, int events) noexcept {
    handle_.data = &owner;
    return uv_poll_start(&handle_, events, [](uv_poll_t* handle, int status, int ready) noexcept {
      (static_cast<T*>(handle->data)->*Ready)(status, ready);
    });
  }
  void stop() noexcept { uv_poll_stop(&handle_); }

  /// The descriptor may be closed at once; the object that holds the handle lives until
  /// `(owner.*Closed)()`, which may destroy it.
  template <auto Closed, class T>
  void close(T& owner) noexcept {
    handle_.data = &owner;
    uv_close(reinterpret_cast<uv_handle_t*>(&handle_),
             [](uv_handle_t* handle) noexcept { (static_cast<T*>(handle->data)->*Closed)(); });
  }
  void close() noexcept { handles::close(handle_); }

 private:
  uv_poll_t handle_;
};

class Timer {
 public:
  void open(Loop& loop) noexcept { uv_timer_init(loop.get(), &handle_); }
  /// Once, not before `delay` has passed.
  template <auto Fire, class T>
  void start(T& owner, std::chrono::nanoseconds delay) noexcept {
    handle_.data = &owner;
    // The loop's own clock may lag, and counts whole milliseconds: never early.
    uv_update_time(handle_.loop);
    const auto count = std::chrono::ceil<std::chrono::milliseconds>(delay).count();
    uv_timer_start(&handle_, &handles::call<Fire, T, uv_timer_t>,
                   count < 0 ? 0 : static_cast<std::uint64_t>(count), 0);
  }
  void stop() noexcept { uv_timer_stop(&handle_); }
  void close() noexcept { handles::close(handle_); }

 private:
  uv_timer_t handle_;
};

/// Called in every turn, after I/O and timers, before the loop goes to sleep.
class EndOfTurn {
 public:
  template <auto Run, class T>
  void open(Loop& loop, T& owner) noexcept {
    handle_.data = &owner;
    uv_prepare_init(loop.get(), &handle_);
    uv_prepare_start(&handle_, &handles::call<Run, T, uv_prepare_t>);
  }
  void close() noexcept { handles::close(handle_); }

 private:
  uv_prepare_t handle_;
};

/// While it is on, the loop does not sleep.
class StayAwake {
 public:
  void open(Loop& loop) noexcept { uv_idle_init(loop.get(), &handle_); }
  void set(bool on) noexcept {
    if (on) {
      uv_idle_start(&handle_, [](uv_idle_t*) noexcept {});
    } else {
      uv_idle_stop(&handle_);
    }
  }
  void close() noexcept { handles::close(handle_); }

 private:
  uv_idle_t handle_;
};

class Signal {
 public:
  void open(Loop& loop) noexcept { uv_signal_init(loop.get(), &handle_); }
  template <auto Caught, class T>
  void start(T& owner, int number) noexcept {
    handle_.data = &owner;
    uv_signal_start(
        &handle_,
        [](uv_signal_t* handle, int) noexcept { (static_cast<T*>(handle->data)->*Caught)(); },
        number);
  }
  void stop() noexcept { uv_signal_stop(&handle_); }
  void close() noexcept { handles::close(handle_); }

 private:
  uv_signal_t handle_;
};

}  // namespace webshocket::shards
