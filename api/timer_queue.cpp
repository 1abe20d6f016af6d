#include "api/timer_queue.hpp"

namespace webshocket::detail {

void TimerQueue::start(TimerNode& timer, TimePoint due) {
  stop(timer);
  heap_.push_back(&timer);
  timer.due_ = due;
  place(&timer, heap_.size() - 1);
  sift_up(timer.index_);
}

void TimerQueue::stop(TimerNode& timer) noexcept {
  if (!timer.armed()) return;
  const std::size_t index = timer.index_;
  timer.index_ = TimerNode::kIdle;
  TimerNode* last = heap_.back();
  heap_.pop_back();
  if (last == &timer) return;
  place(last, index);
  sift_up(index);
  sift_down(last->index_);
}

bool TimerQueue::fire_one(TimePoint now) noexcept {
  if (heap_.empty() || heap_.front()->due_ > now) return false;
  TimerNode* timer = heap_.front();
  stop(*timer);
  timer->fire();
  return true;
}

void TimerQueue::place(TimerNode* timer, std::size_t index) noexcept {
  heap_[index] = timer;
  timer->index_ = static_cast<std::uint32_t>(index);
}

void TimerQueue::sift_up(std::size_t index) noexcept {
  TimerNode* timer = heap_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (heap_[parent]->due_ <= timer->due_) break;
    place(heap_[parent], index);
    index = parent;
  }
  place(timer, index);
}

void TimerQueue::sift_down(std::size_t index) noexcept {
  TimerNode* timer = heap_[index];
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1]->due_ < heap_[child]->due_) ++child;
    if (timer->due_ <= heap_[child]->due_) break;
    place(heap_[child], index);
    index = child;
  }
  place(timer, index);
}

}  // namespace webshocket::detail
