/// What a client has received and nobody has taken yet, over all of its queues.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <utility>

namespace webshocket::engine {

/// While a queue that may stop it is full, the connection is not read. Any thread.
class Backlog {
 public:
  /// One queue's part.
  class Level {
   public:
    explicit Level(bool stops_reading = true) noexcept : stops_reading_(stops_reading) {}

   private:
    friend class Backlog;
    bool stops_reading_;
    std::size_t items_ = 0;
    std::size_t bytes_ = 0;
    bool full_ = false;
    bool gone_ = false;  ///< what still comes for it does not count
  };

  /// 0: no bound. `resume` is called, on the thread that took something, when reading may go on.
  Backlog(std::size_t max_items, std::size_t max_bytes, std::function<void()> resume)
      : max_items_(max_items), max_bytes_(max_bytes), resume_(std::move(resume)) {}

  bool is_full(const Level& level) const {
    const std::lock_guard lock(mutex_);
    return level.full_;
  }
  void added(Level& level, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    if (level.gone_) return;
    ++level.items_;
    level.bytes_ += bytes;
    update(level);
  }
  void taken(Level& level, std::size_t bytes) {
    {
      const std::lock_guard lock(mutex_);
      if (level.gone_) return;
      --level.items_;
      level.bytes_ -= bytes;
      update(level);
    }
    resume_if_paused();
  }
  /// The queue has gone, with what was in it.
  void gone(Level& level) {
    {
      const std::lock_guard lock(mutex_);
      level.items_ = level.bytes_ = 0;
      level.gone_ = true;
      update(level);
    }
    resume_if_paused();
  }

  bool is_full() const noexcept { return full_.load() != 0; }
  /// Asked by the reader. True: somebody will call `resume`.
  bool must_wait() const noexcept {
    if (full_.load() == 0) return false;
    // Looked at again after the flag is up: who makes room in between has seen it or is seen.
    paused_.store(true);
    return full_.load() != 0;
  }

 private:
  void update(Level& level) noexcept {
    const bool full = (max_items_ != 0 && level.items_ >= max_items_) ||
                      (max_bytes_ != 0 && level.bytes_ >= max_bytes_);
    if (full == level.full_) return;
    level.full_ = full;
    if (level.stops_reading_) full ? ++full_ : --full_;
  }
  void resume_if_paused() {
    if (paused_.load() && full_.load() == 0 && paused_.exchange(false)) resume_();
  }

  const std::size_t max_items_;
  const std::size_t max_bytes_;
  const std::function<void()> resume_;
  mutable std::mutex mutex_;
  std::atomic<std::size_t> full_{0};  ///< queues
  mutable std::atomic<bool> paused_{false};
};

}  // namespace webshocket::engine
