#include "shards/offload_pool.hpp"

#include <utility>

#include <webshocket/error.hpp>

#include "shards/file_signals.hpp"

namespace webshocket::shards {

OffloadPool::OffloadPool(std::size_t threads, std::size_t queue_size) noexcept
    : size_(threads), queue_size_(queue_size) {}

OffloadPool::~OffloadPool() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void OffloadPool::submit(webshocket::detail::OffloadJob& job,
                         std::shared_ptr<webshocket::detail::Mailbox> home) {
  {
    const std::scoped_lock lock(mutex_);
    if (queue_size_ != 0 && queue_.size() >= queue_size_) {
      throw WebSocketError("offload(): offload_queue_size jobs wait already");
    }
    while (threads_.size() < size_) threads_.emplace_back([this] { work(); });
    queue_.push_back({&job, std::move(home)});
  }
  wake_.notify_one();
}

void OffloadPool::work() {
  block_file_signals();
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Entry entry = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    entry.job->run();
    entry.home->post([job = entry.job] { job->done(); });
    entry.home.reset();
    lock.lock();
  }
}

}  // namespace webshocket::shards
