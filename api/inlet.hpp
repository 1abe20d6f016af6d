/// What comes for one waiter, thread or coroutine, until its end.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include <webshocket/error.hpp>
#include <webshocket/task.hpp>

#include "api/signal.hpp"
#include "api/waiters.hpp"

namespace webshocket::detail {

/// A queue with an end. Items that came before the end are given out before it is told. Any thread.
///
/// `Late` is what a waiter throws when its time is over, with the given text.
template <class Item, class Late>
class Inlet {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Inlet(const char* late) noexcept : late_(late) {}

  /// After the end, the item is dropped.
  void push(Item item) {
    Waiters::Woken woken;
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    items_.push_back(std::move(item));
    waiters_.wake(woken);
  }

  /// The first end counts. Without a reason, waiters are told by an empty item.
  void end(std::exception_ptr why = nullptr) {
    Waiters::Woken woken;
    const std::lock_guard lock(mutex_);
    if (std::exchange(ended_, true)) return;
    why_ = std::move(why);
    waiters_.wake(woken);
  }

  /// It was not the end.
  void reopen() {
    const std::lock_guard lock(mutex_);
    ended_ = false;
    why_ = nullptr;
  }

  /// The next one if it is there.
  std::optional<Item> try_take() {
    const std::lock_guard lock(mutex_);
    return pop();
  }

  /// Blocks until something is there. Nothing at an end without a reason; throws the reason of one
  /// that has it, `Late`, and `Cancelled`.
  std::optional<Item> take(Clock::time_point deadline, const std::stop_token& stop = {}) {
    return wait_on_thread<Late>(
        mutex_, waiters_, deadline, late_, [this] { return next(); }, stop);
  }

  /// The same for a coroutine, which keeps `self`.
  static Task<std::optional<Item>> take_async(std::shared_ptr<Inlet> self,
                                              Clock::time_point deadline,
                                              std::stop_token stop = {}) {
    Inlet& queue = *self;
    return wait_in_coroutine<Late>(
        std::move(self), queue.mutex_, queue.waiters_, deadline, queue.late_,
        [&queue] { return queue.next(); }, std::move(stop));
  }

 private:
  /// What a waiter gets, an item or the end; nothing while there is neither.
  std::optional<std::optional<Item>> next() {
    if (auto item = pop()) return item;
    if (!ended_) return std::nullopt;
    if (why_) std::rethrow_exception(why_);
    return std::optional<Item>();
  }
  std::optional<Item> pop() {
    if (first_ == items_.size()) return std::nullopt;
    std::optional<Item> item(std::move(items_[first_++]));
    if (first_ == items_.size()) {
      items_.clear();
      if (items_.capacity() > kKept) items_.shrink_to_fit();
      first_ = 0;
    } else if (first_ * 2 > items_.size() && first_ > 32) {
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(first_));
      first_ = 0;
    }
    return item;
  }
  static constexpr std::size_t kKept = 64;

  std::mutex mutex_;
  std::vector<Item> items_;
  std::size_t first_ = 0;  ///< items before it have been taken
  bool ended_ = false;
  std::exception_ptr why_;
  Waiters waiters_;
  const char* late_;
};

}  // namespace webshocket::detail
