#include <webshocket/detail/executor.hpp>

#include <webshocket/detail/hub.hpp>
#include <webshocket/error.hpp>
#include <webshocket/handler.hpp>
#include <webshocket/task.hpp>

#include "api/working.hpp"

namespace webshocket::detail {

thread_local constinit Hub* Hub::current_ = nullptr;

void Hub::throw_wrong_thread() {
  throw WrongThreadError(
      "a connection or handler was used on a thread that is not its shard's; "
      "keep connection.peer(), or use Server, on other threads");
}

CallScope::CallScope(Hub& hub) noexcept : CallScope(hub, kTask) {}

void CallScope::run(std::coroutine_handle<> handle) noexcept {
  const Working working(hub_, *label_);
  next_ = handle;
  for (;;) {
    running_ = true;
    waiting_ = nullptr;
    outcome_ = Outcome::waits;
    while (next_) std::exchange(next_, nullptr).resume();
    if (outcome_ == Outcome::yielded) {
      // A cancelled stream goes on too: its co_yield throws, so that its destructors run.
      const bool goes_on = yielded() || cancelled_;
      if (goes_on) {
        next_ = root();
        continue;
      }
    }
    running_ = false;
    if (outcome_ == Outcome::ended) ended();
    return;
  }
}

void CallScope::cancel() noexcept {
  if (cancelled_) return;
  cancelled_ = true;
  if (running_) return;
  if (waiting_ != nullptr) {
    waiting_->cancel();
  } else if (outcome_ == Outcome::yielded) {
    run_on();
  }
}

void start_timer(CallScope& scope, TimerNode& timer, std::chrono::nanoseconds delay) {
  scope.hub().start_timer(timer, delay);
}

void stop_timer(CallScope& scope, TimerNode& timer) noexcept { scope.hub().stop_timer(timer); }

void start_offload(CallScope& scope, OffloadJob& job) { scope.hub().offload(job); }

void start_gather(CallScope& scope, const Handler& asker, GatherJob& job) {
  scope.hub().gather(asker, job);
}

}  // namespace webshocket::detail
