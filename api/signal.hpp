/// A coroutine waits here for something that any thread may cause.
#pragma once

#include <chrono>
#include <coroutine>
#include <functional>
#include <memory>
#include <utility>

#include <webshocket/detail/executor.hpp>
#include <webshocket/detail/hub.hpp>
#include <webshocket/task.hpp>

namespace webshocket::detail {

class SignalAwaiter;

/// One wait of one coroutine. Made on its shard, fired on any thread, kept alive by both sides, so
/// that it does not matter which of them gives up first.
class Signal : public std::enable_shared_from_this<Signal> {
  struct Private {};

 public:
  explicit Signal(Private) : hub_(Hub::current()), mailbox_(hub_->mailbox()) {}

  /// For a coroutine of the shard whose thread this is.
  static std::shared_ptr<Signal> make() { return std::make_shared<Signal>(Private{}); }

  /// Any thread, any number of times. The coroutine goes on later, on its shard. Nothing happens if
  /// it has given up, or its shard has ended.
  void fire() const;

 private:
  friend class SignalAwaiter;

  void go_on();

  Hub* const hub_;  ///< to be used on its own thread only: then it is there
  const std::shared_ptr<Mailbox> mailbox_;
  // Of the shard's thread:
  SignalAwaiter* awaiter_ = nullptr;
  bool fired_ = false;
};

/// `co_await` gives whether the signal came before the time was over.
class SignalAwaiter final : public LeafAwaiter, private TimerNode {
 public:
  /// Waits without end.
  explicit SignalAwaiter(std::shared_ptr<Signal> signal) noexcept : signal_(std::move(signal)) {}
  SignalAwaiter(std::shared_ptr<Signal> signal, std::chrono::nanoseconds timeout) noexcept
      : signal_(std::move(signal)), timeout_(timeout) {}
  ~SignalAwaiter() { disarm(); }

  bool await_ready() const noexcept { return signal_->fired_; }
  template <WebshocketPromise Promise>
  bool await_suspend(std::coroutine_handle<Promise> self) {
    suspend(self);
    if (scope_->cancelled()) return false;
    if (timeout_ != kEndless) start_timer(*scope_, *this, timeout_);
    signal_->awaiter_ = this;
    scope_->wait_for(*this);
    return true;
  }
  bool await_resume() const {
    throw_if_cancelled();
    return signal_->fired_;
  }

  void cancel() noexcept override { go_on(); }

 private:
  friend class Signal;
  static constexpr auto kEndless = std::chrono::nanoseconds::max();

  void fire() noexcept override { go_on(); }  // the timer
  void go_on() noexcept {
    disarm();
    resume();
  }
  void disarm() noexcept {
    signal_->awaiter_ = nullptr;
    if (armed()) stop_timer(*scope_, *this);
  }

  std::shared_ptr<Signal> signal_;
  std::chrono::nanoseconds timeout_ = kEndless;
};

inline void Signal::go_on() {
  fired_ = true;
  if (awaiter_ != nullptr) awaiter_->go_on();
}

inline void Signal::fire() const {
  const auto go_on = [self = std::const_pointer_cast<Signal>(shared_from_this())] {
    self->go_on();
  };
  // Later also here: who fires may be in the middle of something, and hold locks.
  if (Hub::current() == hub_) {
    hub_->defer(go_on);
  } else {
    mailbox_->post(go_on);
  }
}

}  // namespace webshocket::detail
