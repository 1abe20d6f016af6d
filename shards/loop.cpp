#include "shards/loop.hpp"

#include <sys/timerfd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <webshocket/error.hpp>

namespace webshocket::shards {
namespace {

[[noreturn]] void refuse(const char* why) {
  throw WebSocketError(std::string("cannot make an event loop: ") + why);
}

}  // namespace

Loop::Loop()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      alarm_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
  if (!epoll_.is_open() || !alarm_.is_open()) refuse(std::strerror(errno));
  if (const int error = uv_loop_init(&loop_); error != 0) refuse(uv_strerror(error));
  epoll_event libuv{.events = EPOLLIN, .data = {.ptr = nullptr}};
  // Told of once each time it goes off: there is nothing to read, and nobody to call.
  epoll_event alarm{.events = EPOLLIN | EPOLLET, .data = {.ptr = &alarm_}};
  if (::epoll_ctl(epoll_.fd(), EPOLL_CTL_ADD, uv_backend_fd(&loop_), &libuv) != 0 ||
      ::epoll_ctl(epoll_.fd(), EPOLL_CTL_ADD, alarm_.fd(), &alarm) != 0) {
    const int error = errno;
    uv_loop_close(&loop_);
    refuse(std::strerror(error));
  }
}

Loop::~Loop() {
  [[maybe_unused]] const int error = uv_loop_close(&loop_);
  assert(error == 0 && "a handle was not closed");
}

void Loop::set_alarm(Clock::time_point when) noexcept {
  using std::chrono::nanoseconds, std::chrono::seconds;
  itimerspec wanted{};  // of zeroes: none
  if (when != Clock::time_point::max()) {
    const auto since = std::max<nanoseconds>(when.time_since_epoch(), nanoseconds(1));
    const auto whole = std::chrono::floor<seconds>(since);
    wanted.it_value = {.tv_sec = whole.count(), .tv_nsec = (since - whole).count()};
  }
  ::timerfd_settime(alarm_.fd(), TFD_TIMER_ABSTIME, &wanted, nullptr);
}

void Loop::run() noexcept {
  is_stopped_ = false;
  int timeout = 0;  // what was begun before need not wait for an event
  while (!is_stopped_) {
    turn(timeout);
    timeout = libuv_timeout();
  }
  turn_began_.store(Clock::time_point::min(), std::memory_order_relaxed);
}

bool Loop::turn() noexcept { return turn(0) != Ready::nobody || is_awake_; }

Loop::Ready Loop::turn(int timeout) noexcept {
  const Ready ready = dispatch(is_awake_ ? 0 : timeout);
  if (ready == Ready::libuv || timeout == 0) uv_run(&loop_, UV_RUN_NOWAIT);
  if (end_of_turn_ != nullptr) end_of_turn_(owner_);
  return ready;
}

void Loop::finish() noexcept { uv_run(&loop_, UV_RUN_DEFAULT); }

Loop::Ready Loop::dispatch(int timeout) noexcept {
  turn_began_.store(Clock::time_point::min(), std::memory_order_relaxed);
  const int count =
      ::epoll_wait(epoll_.fd(), ready_.data(), static_cast<int>(ready_.size()), timeout);
  turn_began_.store(Clock::now(), std::memory_order_relaxed);
  to_call_ = std::span(ready_).first(count < 0 ? 0 : static_cast<std::size_t>(count));
  Ready ready = to_call_.empty() ? Ready::nobody : Ready::somebody;
  while (!to_call_.empty()) {
    const epoll_event& event = to_call_.front();
    void* const source = event.data.ptr;
    const std::uint32_t seen = event.events;
    to_call_ = to_call_.subspan(1);
    if (!to_call_.empty()) prefetch_around(to_call_.front().data.ptr);
    if (source == &alarm_) continue;
    if (source != nullptr) {
      static_cast<Poll*>(source)->call(seen);
    } else if (seen != 0) {
      ready = Ready::libuv;
    }
  }
  return ready;
}

int Loop::libuv_timeout() noexcept {
  if (uv_loop_alive(&loop_) == 0) return -1;
  uv_update_time(&loop_);
  return uv_backend_timeout(&loop_);
}

void Loop::forget(const Poll& poll) noexcept {
  for (epoll_event& event : to_call_) {
    if (event.data.ptr == &poll) event = {};
  }
}

bool Poll::set(std::uint32_t events) noexcept {
  if (events == events_) return true;
  epoll_event wanted{.events = events, .data = {.ptr = this}};
  const int operation = events_ == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (::epoll_ctl(loop_->epoll_.fd(), operation, fd_, &wanted) != 0) return false;
  events_ = events;
  return true;
}

void Poll::stop() noexcept {
  if (std::exchange(events_, 0) == 0) return;
  ::epoll_ctl(loop_->epoll_.fd(), EPOLL_CTL_DEL, fd_, nullptr);
  loop_->forget(*this);
}

void Poll::call(std::uint32_t seen) noexcept {
  std::uint32_t asked = seen & events_;
  if (asked == 0) {
    // What is watched has changed since, or the socket is dead for both directions: of that the
    // kernel tells nothing else.
    if ((seen & (EPOLLHUP | EPOLLERR)) == 0) return;
    asked = events_;
  }
  ready_(owner_, asked | (seen & kFailed));
}

}  // namespace webshocket::shards
