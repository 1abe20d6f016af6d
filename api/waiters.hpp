/// Who waits at a queue.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

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

}  // namespace webshocket::detail
