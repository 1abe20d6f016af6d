#include "api/pull.hpp"

#include <algorithm>
#include <utility>

#include <webshocket/error.hpp>

#include "api/deadline.hpp"

namespace webshocket::detail {
namespace {

constexpr const char* kPacketTimeout = "no packet came in time";
constexpr const char* kConnectionTimeout = "no connection came in time";

/// By the shard's clock where there is one: a test may have set it.
std::chrono::steady_clock::time_point after(std::chrono::milliseconds timeout) {
  const Hub* hub = Hub::current();
  return (hub == nullptr ? std::chrono::steady_clock::now() : hub->now()) +
         bounded_timeout(timeout);
}

}  // namespace

PullState::PullState(Peer peer, std::string remote_address, std::size_t capacity, std::size_t bytes)
    : peer_(std::move(peer)),
      remote_address_(std::move(remote_address)),
      capacity_(capacity),
      capacity_bytes_(bytes) {}

Task<void> PullState::push(const std::shared_ptr<PullState>& self, OwnedPacket packet) {
  Waiters::Woken woken;
  const std::lock_guard lock(self->mutex_);
  if (self->abandoned_) return {};
  // Also beyond the capacity, by one: were it kept aside until there is room, it would be lost if
  // the client left meanwhile.
  self->bytes_ += packet.size();
  self->packets_.push_back(std::move(packet));
  self->readers_.wake(woken);
  if (!self->full()) return {};
  self->room_ = Signal::make();
  return wait_for_room(self->room_);
}

Task<void> PullState::wait_for_room(std::shared_ptr<Signal> room) {
  SignalAwaiter wait(std::move(room));
  co_await wait;
}

void PullState::close() {
  Waiters::Woken woken;
  const std::lock_guard lock(mutex_);
  closed_.store(true, std::memory_order_release);
  readers_.wake(woken);
}

std::optional<OwnedPacket> PullState::take() {
  if (!packets_.empty()) {
    std::optional<OwnedPacket> packet(std::move(packets_.front()));
    packets_.pop_front();
    bytes_ -= packet->size();
    if (room_ != nullptr && !full()) std::exchange(room_, nullptr)->fire();
    return packet;
  }
  if (abandoned_ || state() == ConnectionState::closed) {
    throw ConnectionClosedError("the connection has closed");
  }
  return std::nullopt;
}

OwnedPacket PullState::recv(std::chrono::milliseconds timeout) {
  return wait_on_thread<ReceiveTimeoutError>(mutex_, readers_, after(timeout), kPacketTimeout,
                                             [this] { return take(); });
}

Task<OwnedPacket> PullState::recv_async(std::shared_ptr<PullState> self,
                                        std::chrono::milliseconds timeout) {
  PullState& queue = *self;
  auto wait = wait_in_coroutine<ReceiveTimeoutError>(std::move(self), queue.mutex_, queue.readers_,
                                                     after(timeout), kPacketTimeout,
                                                     [&queue] { return queue.take(); });
  co_return co_await std::move(wait);
}

void PullState::abandon() {
  std::deque<OwnedPacket> dropped;  // ends after the lock
  Waiters::Woken woken;
  const std::lock_guard lock(mutex_);
  abandoned_ = true;
  dropped.swap(packets_);
  bytes_ = 0;
  readers_.wake(woken);
  if (room_ != nullptr) std::exchange(room_, nullptr)->fire();
}

bool AcceptQueue::push(std::shared_ptr<PullState> connection) {
  Waiters::Woken woken;
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  if (full()) {
    const auto gone = std::find_if(waiting_.begin(), waiting_.end(), [](const auto& waiting) {
      return waiting->state() == ConnectionState::closed;
    });
    if (gone == waiting_.end()) return false;
    waiting_.erase(gone);
  }
  waiting_.push_back(std::move(connection));
  acceptors_.wake(woken);
  return true;
}

std::optional<PullConnection> AcceptQueue::take() {
  if (closed_) throw WebSocketError("the server has closed");
  if (waiting_.empty()) return std::nullopt;
  std::optional<PullConnection> next(std::in_place, std::move(waiting_.front()));
  waiting_.pop_front();
  return next;
}

PullConnection AcceptQueue::accept(std::chrono::milliseconds timeout) {
  if (Hub::current() != nullptr) {
    throw UsageError("accept() blocks, which a shard's thread must not: co_await accept_async()");
  }
  return wait_on_thread<ReceiveTimeoutError>(mutex_, acceptors_, after(timeout), kConnectionTimeout,
                                             [this] { return take(); });
}

Task<PullConnection> AcceptQueue::accept_async(std::shared_ptr<AcceptQueue> self,
                                               std::chrono::milliseconds timeout) {
  AcceptQueue& queue = *self;
  auto wait = wait_in_coroutine<ReceiveTimeoutError>(
      std::move(self), queue.mutex_, queue.acceptors_, after(timeout), kConnectionTimeout,
      [&queue] { return queue.take(); });
  co_return co_await std::move(wait);
}

std::optional<PullConnection> AcceptQueue::try_accept() {
  const std::lock_guard lock(mutex_);
  return take();
}

void AcceptQueue::close() {
  std::deque<std::shared_ptr<PullState>> dropped;  // ends after the lock
  Waiters::Woken woken;
  const std::lock_guard lock(mutex_);
  closed_ = true;
  dropped.swap(waiting_);
  acceptors_.wake(woken);
}

}  // namespace webshocket::detail
