/// The threads around a `FakeShard`: a mailbox for those of the test, and workers for `offload`.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <webshocket/detail/executor.hpp>
#include <webshocket/detail/hub.hpp>

namespace webshocket::detail {

class FakeMailbox final : public Mailbox {
 public:
  bool post(std::function<void()> fn) override;

  std::vector<std::function<void()>> take_all();
  /// Blocks until something is there.
  void wait();
  /// Refuses from now on, and forgets what is there.
  void close();

 private:
  std::mutex mutex_;
  std::condition_variable filled_;
  std::vector<std::function<void()>> posted_;
  bool closed_ = false;
};

/// A thread for each job, so that no job waits for another one.
class FakeWorkers {
 public:
  explicit FakeWorkers(std::shared_ptr<FakeMailbox> mailbox) noexcept
      : mailbox_(std::move(mailbox)) {}
  ~FakeWorkers();
  FakeWorkers(const FakeWorkers&) = delete;
  FakeWorkers& operator=(const FakeWorkers&) = delete;

  std::size_t size() const noexcept { return jobs_.size(); }
  void start(OffloadJob& job);
  /// Waits for all jobs; gives them in the order of their start, so that a test runs the same way
  /// each time.
  std::vector<OffloadJob*> wait_for_all();
  /// Those that have ended.
  std::vector<OffloadJob*> take_ended();

 private:
  struct Running {
    OffloadJob* job;
    std::thread thread;
    bool ended = false;
  };

  std::shared_ptr<FakeMailbox> mailbox_;
  std::mutex mutex_;  ///< of `ended`
  std::list<Running> jobs_;
};

}  // namespace webshocket::detail
