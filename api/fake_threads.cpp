#include "api/fake_threads.hpp"

#include <utility>

namespace webshocket::detail {

bool FakeMailbox::post(std::function<void()> fn) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  posted_.push_back(std::move(fn));
  filled_.notify_all();
  return true;
}

std::vector<std::function<void()>> FakeMailbox::take_all() {
  const std::lock_guard lock(mutex_);
  return std::exchange(posted_, {});
}

void FakeMailbox::wait() {
  std::unique_lock lock(mutex_);
  filled_.wait(lock, [this] { return !posted_.empty(); });
}

void FakeMailbox::close() {
  std::vector<std::function<void()>> dropped;  // ends after the lock: a promise may break in it
  const std::lock_guard lock(mutex_);
  closed_ = true;
  dropped.swap(posted_);
}

FakeWorkers::~FakeWorkers() {
  for (Running& running : jobs_) running.thread.join();
}

void FakeWorkers::start(OffloadJob& job) {
  Running& running = jobs_.emplace_back(Running{&job, {}, false});
  running.thread = std::thread([this, &running] {
    running.job->run();
    {
      const std::lock_guard lock(mutex_);
      running.ended = true;
    }
    mailbox_->post([] {});  // wakes a shard that waits for other threads
  });
}

std::vector<OffloadJob*> FakeWorkers::wait_for_all() {
  std::vector<OffloadJob*> jobs;
  for (Running& running : jobs_) {
    running.thread.join();
    jobs.push_back(running.job);
  }
  jobs_.clear();
  return jobs;
}

std::vector<OffloadJob*> FakeWorkers::take_ended() {
  std::vector<OffloadJob*> jobs;
  for (auto running = jobs_.begin(); running != jobs_.end();) {
    {
      const std::lock_guard lock(mutex_);
      if (!running->ended) {
        ++running;
        continue;
      }
    }
    running->thread.join();
    jobs.push_back(running->job);
    running = jobs_.erase(running);
  }
  return jobs;
}

}  // namespace webshocket::detail
