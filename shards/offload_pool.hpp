/// Threads for work that would block a loop.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <webshocket/detail/executor.hpp>
#include <webshocket/detail/hub.hpp>

namespace webshocket::shards {

/// A small pool of its own: libuv's also serves DNS and files. The threads start with the first
/// job.
class OffloadPool {
 public:
  /// At most `queue_size` jobs wait (0: no bound).
  OffloadPool(std::size_t threads, std::size_t queue_size) noexcept;
  /// Finishes what was taken on.
  ~OffloadPool();
  OffloadPool(const OffloadPool&) = delete;
  OffloadPool& operator=(const OffloadPool&) = delete;

  /// Runs the job; `done` then runs on the shard behind `home`. Any thread. Throws `WebSocketError`
  /// if the queue is full.
  void submit(webshocket::detail::OffloadJob& job,
              std::shared_ptr<webshocket::detail::Mailbox> home);

 private:
  struct Entry {
    webshocket::detail::OffloadJob* job;
    std::shared_ptr<webshocket::detail::Mailbox> home;
  };

  void work();

  std::size_t size_;
  std::size_t queue_size_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Entry> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace webshocket::shards
