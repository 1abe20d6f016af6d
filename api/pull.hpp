/// The two queues of the pull style: packets of one connection, and connections of a server. Shard
/// threads fill them; any thread empties them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <webshocket/connection.hpp>
#include <webshocket/packet.hpp>
#include <webshocket/queue_handler.hpp>
#include <webshocket/task.hpp>

#include "api/signal.hpp"
#include "api/waiters.hpp"

namespace webshocket::detail {

/// What a `PullConnection` and its connection's shard share.
class PullState {
 public:
  using Clock = std::chrono::steady_clock;

  /// `capacity` of packets, `bytes` of them; 0: unlimited.
  PullState(Peer peer, std::string remote_address, std::size_t capacity, std::size_t bytes = 0);

  const Peer& peer() const noexcept { return peer_; }
  const std::string& remote_address() const noexcept { return remote_address_; }
  ConnectionState state() const noexcept {
    return closed_.load(std::memory_order_acquire) ? ConnectionState::closed
                                                   : ConnectionState::connected;
  }

  // On the connection's shard.

  /// Adds a packet. The task, if it is not empty, ends when the queue is no longer full.
  static Task<void> push(const std::shared_ptr<PullState>& self, OwnedPacket packet);
  /// The connection has gone: who waits gets what is queued, then `ConnectionClosedError`.
  void close();

  // On the side of the `PullConnection`.

  /// Blocks. See `PullConnection::recv`.
  OwnedPacket recv(std::chrono::milliseconds timeout);
  static Task<OwnedPacket> recv_async(std::shared_ptr<PullState> self,
                                      std::chrono::milliseconds timeout);
  /// Nobody will receive any more: packets are dropped from now on.
  void abandon();

 private:
  bool full() const noexcept {
    return (capacity_ != 0 && packets_.size() >= capacity_) ||
           (capacity_bytes_ != 0 && bytes_ >= capacity_bytes_);
  }
  static Task<void> wait_for_room(std::shared_ptr<Signal> room);
  /// With the lock held: the next packet; nothing if there is none yet. Throws when none can come.
  std::optional<OwnedPacket> take();

  const Peer peer_;
  const std::string remote_address_;
  const std::size_t capacity_;
  const std::size_t capacity_bytes_;
  std::atomic<bool> closed_{false};

  std::mutex mutex_;
  std::deque<OwnedPacket> packets_;
  std::size_t bytes_ = 0;  ///< of them
  bool abandoned_ = false;
  Waiters readers_;
  std::shared_ptr<Signal> room_;  ///< the shard's coroutine that waits until the queue is not full
};

/// The connections that wait for `Server::accept()`.
class AcceptQueue {
 public:
  /// `capacity` 0: unlimited.
  explicit AcceptQueue(std::size_t capacity) noexcept : capacity_(capacity) {}

  /// False if it is full or closed. A connection that has gone unaccepted makes room.
  bool push(std::shared_ptr<PullState> connection);

  /// Blocks. See `Server::accept`; throws `WebSocketError` once the queue is closed.
  PullConnection accept(std::chrono::milliseconds timeout);
  static Task<PullConnection> accept_async(std::shared_ptr<AcceptQueue> self,
                                           std::chrono::milliseconds timeout);
  /// The next one if it is there. Any thread.
  std::optional<PullConnection> try_accept();

  /// The server closes: wakes everybody, for good.
  void close();

 private:
  bool full() const noexcept { return capacity_ != 0 && waiting_.size() >= capacity_; }
  /// With the lock held: the next one; nothing if there is none yet. Throws when none can come.
  std::optional<PullConnection> take();

  const std::size_t capacity_;
  std::mutex mutex_;
  std::deque<std::shared_ptr<PullState>> waiting_;
  bool closed_ = false;
  Waiters acceptors_;
};

}  // namespace webshocket::detail
