/// A shard's timers: a binary heap of nodes that live in what waits.
#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

#include <webshocket/detail/executor.hpp>

namespace webshocket::detail {

/// One thread. Does not own the nodes: whoever ends an armed one stops it first.
class TimerQueue {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  void start(TimerNode& timer, TimePoint due);
  /// Does nothing if it is not armed.
  void stop(TimerNode& timer) noexcept;

  bool empty() const noexcept { return heap_.empty(); }
  /// When the next one is due. Not when empty.
  TimePoint next_due() const noexcept { return heap_.front()->due_; }

  /// Gives back the memory of those that are no more.
  void shrink() noexcept { heap_.shrink_to_fit(); }

  /// Fires the first timer if it is due by `now`; false if it is not.
  bool fire_one(TimePoint now) noexcept;

 private:
  void place(TimerNode* timer, std::size_t index) noexcept;
  void sift_up(std::size_t index) noexcept;
  void sift_down(std::size_t index) noexcept;

  std::vector<TimerNode*> heap_;
};

}  // namespace webshocket::detail
