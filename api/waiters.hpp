/// Who waits at a queue.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <type_traits>
#include <utility>
#include <vector>

#include <webshocket/error.hpp>
#include <webshocket/task.hpp>

#include "api/signal.hpp"

namespace webshocket::detail {

/// Who waits at a queue: threads by the condition variable, coroutines by their signals. Used with
/// the queue's lock held.
class Waiters {
 public:
  void add(std::shared_ptr<Signal> signal) { signals_.push_back(std::move(signal)); }
  void remove(const std::shared_ptr<Signal>& signal) noexcept { std::erase(signals_, signal); }

  /// The coroutines that are to be woken: they are when it ends. Outlives the queue's lock, for
  /// what a signal runs into may be anybody's.
  class Woken {
   public:
    Woken() noexcept = default;
    Woken(const Woken&) = delete;
    Woken& operator=(const Woken&) = delete;
    ~Woken() {
      for (const auto& signal : signals_) signal->fire();
    }

   private:
    friend class Waiters;
    std::vector<std::shared_ptr<Signal>> signals_;
  };

  /// Everybody looks again: there are few, and a wake-up that one of them lets pass (for it has
  /// just timed out) must not be lost to the others.
  void wake(Woken& woken) {
    threads_.notify_all();
    woken.signals_ = std::exchange(signals_, {});
  }

  std::condition_variable& threads() noexcept { return threads_; }

 private:
  std::condition_variable threads_;
  std::vector<std::shared_ptr<Signal>> signals_;
};

/// Stands in a queue's list of waiters for as long as it lives.
class Place {
 public:
  Place(std::mutex& mutex, Waiters& waiters, std::shared_ptr<Signal> signal)
      : mutex_(mutex), waiters_(waiters), signal_(std::move(signal)) {}
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    const std::lock_guard lock(mutex_);
    waiters_.remove(signal_);
  }

 private:
  std::mutex& mutex_;
  Waiters& waiters_;
  std::shared_ptr<Signal> signal_;
};

/// Blocks until `take()`, called with the queue's lock held, gives something. Throws what that
/// throws, `Cancelled` when it is asked to stop, and `Late` with this text after the deadline.
template <class Late, class Take>
auto wait_on_thread(std::mutex& mutex, Waiters& waiters,
                    std::chrono::steady_clock::time_point deadline, const char* late, Take take,
                    const std::stop_token& stop = {}) {
  const std::stop_callback wake(stop, [&mutex, &waiters] {
    Waiters::Woken woken;
    const std::lock_guard lock(mutex);
    waiters.wake(woken);
  });
  std::unique_lock lock(mutex);
  for (bool in_time = true;;) {
    if (auto item = take()) return std::move(*item);
    if (stop.stop_requested()) throw Cancelled();
    if (!in_time) throw Late(late);
    in_time = waiters.threads().wait_until(lock, deadline) == std::cv_status::no_timeout;
  }
}

/// The same for a coroutine, which keeps the queue's `owner`.
template <class Late, class Owner, class Take>
auto wait_in_coroutine([[maybe_unused]] std::shared_ptr<Owner> owner, std::mutex& mutex,
                       Waiters& waiters, std::chrono::steady_clock::time_point deadline,
                       const char* late, Take take, std::stop_token stop = {})
    -> Task<typename std::invoke_result_t<Take&>::value_type> {
  for (bool in_time = true;;) {
    std::shared_ptr<Signal> signal;
    {
      const std::lock_guard lock(mutex);
      if (auto item = take()) co_return std::move(*item);
      if (stop.stop_requested()) throw Cancelled();
      if (!in_time) throw Late(late);
      signal = Signal::make();
      waiters.add(signal);
    }
    const Place place(mutex, waiters, signal);
    const std::stop_callback wake(stop, [&signal] { signal->fire(); });
    SignalAwaiter wait(signal, deadline - Hub::current()->now());
    in_time = co_await wait;
  }
}

}  // namespace webshocket::detail
