#include "shards/loop.hpp"

#include <unistd.h>

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

Loop::Loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) refuse(std::strerror(errno));
  if (const int error = uv_loop_init(&loop_); error != 0) {
    ::close(epoll_);
    refuse(uv_strerror(error));
  }
  epoll_event libuv{.events = EPOLLIN, .data = {.ptr = nullptr}};
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, uv_backend_fd(&loop_), &libuv) != 0) {
    const int error = errno;
    uv_loop_close(&loop_);
    ::close(epoll_);
    refuse(std::strerror(error));
  }
}

Loop::~Loop() {
  [[maybe_unused]] const int error = uv_loop_close(&loop_);
  assert(error == 0 && "a handle was not closed");
  ::close(epoll_);
}

void Loop::run() noexcept {
  is_stopped_ = false;
  int timeout = 0;  // what was begun before need not wait for an event
  while (!is_stopped_) {
    const bool is_libuv_ready = dispatch(is_awake_ ? 0 : timeout);
    if (is_libuv_ready || timeout == 0) uv_run(&loop_, UV_RUN_NOWAIT);
    if (end_of_turn_ != nullptr) end_of_turn_(owner_);
    timeout = libuv_timeout();
  }
}

void Loop::finish() noexcept { uv_run(&loop_, UV_RUN_DEFAULT); }

bool Loop::dispatch(int timeout) noexcept {
  const int count = ::epoll_wait(epoll_, ready_.data(), static_cast<int>(ready_.size()), timeout);
  to_call_ = std::span(ready_).first(count < 0 ? 0 : static_cast<std::size_t>(count));
  bool is_libuv_ready = false;
  while (!to_call_.empty()) {
    const epoll_event& event = to_call_.front();
    auto* poll = static_cast<Poll*>(event.data.ptr);
    const std::uint32_t seen = event.events;
    to_call_ = to_call_.subspan(1);
    if (poll != nullptr) {
      poll->call(seen);
    } else if (seen != 0) {
      is_libuv_ready = true;
    }
  }
  return is_libuv_ready;
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
  if (::epoll_ctl(loop_->epoll_, operation, fd_, &wanted) != 0) return false;
  events_ = events;
  return true;
}

void Poll::stop() noexcept {
  if (std::exchange(events_, 0) == 0) return;
  ::epoll_ctl(loop_->epoll_, EPOLL_CTL_DEL, fd_, nullptr);
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
