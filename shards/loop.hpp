/// One thread's event loop: epoll for sockets, libuv for the rest. The only file that turns
/// `void* data` into a type.
///
/// Lifetimes of libuv's handles, as libuv has them: (1) what was opened must be closed; (2) a
/// handle's memory may be reused only from its close callback; (3) a loop is freed when all its
/// handles are closed, and then `uv_loop_close` returns 0. A `Poll` is none of these.
#pragma once

#include <sys/epoll.h>
#include <uv.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "shards/socket.hpp"

namespace webshocket::shards {

class Poll;

/// A turn: what is ready, what libuv has, the end of the turn, sleep.
class Loop {
 public:
  using Clock = std::chrono::steady_clock;

  /// Throws `WebSocketError` when the system refuses (no descriptors).
  Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  /// REQUIRES: `finish` was called, or no handle was opened.
  ~Loop();

  /// Until `stop`; the turn in which that is called still ends.
  void run() noexcept;
  void stop() noexcept { is_stopped_ = true; }
  bool is_stopped() const noexcept { return is_stopped_; }
  /// One turn of `run`, without sleep. False if there was nothing to do and nothing is left: the
  /// next one would sleep.
  bool turn() noexcept;
  /// Runs until libuv has nothing left to do: close its handles first.
  void finish() noexcept;

  /// Called in every turn, after I/O and timers, before the loop goes to sleep.
  template <auto Run, class T>
  void at_end_of_turn(T& owner) noexcept {
    owner_ = &owner;
    end_of_turn_ = [](void* object) noexcept { (static_cast<T*>(object)->*Run)(); };
  }
  /// While it is true, the loop does not sleep.
  void set_awake(bool awake) noexcept { is_awake_ = awake; }
  /// A turn begins when it is `when`, if not earlier; `max()`: for that the loop need not wake up.
  /// For what a loop waits for all the time: an alarm costs a system call when it is set, a
  /// `Timer` makes each sleep dearer.
  void set_alarm(Clock::time_point when) noexcept;

  /// When the present turn began: when the loop had slept. Any thread; `min()`: it sleeps.
  Clock::time_point turn_began() const noexcept {
    return turn_began_.load(std::memory_order_relaxed);
  }

  uv_loop_t* get() noexcept { return &loop_; }

 private:
  friend class Poll;

  enum class Ready : std::uint8_t { nobody, somebody, libuv };

  /// Waits, and calls those who are ready.
  Ready dispatch(int timeout) noexcept;
  Ready turn(int timeout) noexcept;
  int libuv_timeout() noexcept;
  void forget(const Poll& poll) noexcept;

  uv_loop_t loop_;
  Socket epoll_;
  Socket alarm_;
  std::atomic<Clock::time_point> turn_began_{Clock::time_point::min()};
  bool is_stopped_ = false;
  bool is_awake_ = false;
  void* owner_ = nullptr;
  void (*end_of_turn_)(void*) = nullptr;
  std::array<epoll_event, 1024> ready_;
  std::span<epoll_event> to_call_;  ///< of `ready_`
};

/// Brings a poll nearer, and what lies around it: nearly each is a member of a connection, and
/// those that have slept are not in the cache.
inline void prefetch_around(const void* poll) noexcept {
  constexpr std::ptrdiff_t kBefore = 192;
  constexpr std::ptrdiff_t kBehind = 128;
  const auto* const at = static_cast<const std::byte*>(poll);
  for (std::ptrdiff_t i = -kBefore; i < kBehind; i += 64) __builtin_prefetch(at + i);
}

/// Watches a descriptor that somebody else owns: a fifth of a `uv_poll_t`, and two system calls
/// from open to close instead of seven. Stays where it is.
class Poll {
 public:
  static constexpr std::uint32_t kReadable = EPOLLIN;
  static constexpr std::uint32_t kWritable = EPOLLOUT;
  static constexpr std::uint32_t kHungUp = EPOLLRDHUP;  ///< the peer has sent all
  static constexpr std::uint32_t kFailed = EPOLLERR;    ///< need not be asked for

  Poll() noexcept = default;
  Poll(const Poll&) = delete;
  Poll& operator=(const Poll&) = delete;
  ~Poll() { stop(); }

  /// Does not watch yet.
  void open(Loop& loop, int fd) noexcept {
    loop_ = &loop;
    fd_ = fd;
  }
  /// From here on `(owner.*Ready)(events)` is called. False if the system refuses.
  template <auto Ready, class T>
  bool watch(T& owner, std::uint32_t events) noexcept {
    owner_ = &owner;
    ready_ = [](void* object, std::uint32_t seen) noexcept {
      (static_cast<T*>(object)->*Ready)(seen);
    };
    return set(events);
  }
  /// Nothing is called any more. Before the descriptor is closed, as others may have it too (a
  /// child process, for a moment), and the kernel would go on to tell of it.
  void stop() noexcept;

 private:
  friend class Loop;

  bool set(std::uint32_t events) noexcept;
  void call(std::uint32_t seen) noexcept;

  Loop* loop_ = nullptr;
  void* owner_ = nullptr;
  void (*ready_)(void*, std::uint32_t) = nullptr;
  int fd_ = -1;
  std::uint32_t events_ = 0;  ///< 0: the kernel does not know it
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
