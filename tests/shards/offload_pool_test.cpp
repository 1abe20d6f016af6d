#include "shards/offload_pool.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <webshocket/error.hpp>

using webshocket::detail::Mailbox;
using webshocket::detail::OffloadJob;
using webshocket::shards::OffloadPool;

namespace {

/// Runs what is posted when it is asked to, on the thread that asks.
class Home : public Mailbox {
 public:
  bool post(std::function<void()> fn) override {
    const std::scoped_lock lock(mutex_);
    posted_.push_back(std::move(fn));
    changed_.notify_one();
    return true;
  }
  void run_one() {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return !posted_.empty(); }));
    auto fn = std::move(posted_.front());
    posted_.pop_front();
    lock.unlock();
    fn();
  }
  std::size_t waiting() {
    const std::scoped_lock lock(mutex_);
    return posted_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> posted_;
};

struct Job final : OffloadJob {
  explicit Job(std::function<void()> function = [] {}) : work(std::move(function)) {}
  void run() noexcept override {
    ran_on = std::this_thread::get_id();
    work();
  }
  void done() noexcept override { done_on = std::this_thread::get_id(); }

  std::function<void()> work;
  std::thread::id ran_on;
  std::thread::id done_on;
};

}  // namespace

TEST_CASE("a job runs on a thread of the pool, and is done at home") {
  OffloadPool pool(2, 0);
  const auto home = std::make_shared<Home>();
  Job job;
  pool.submit(job, home);
  home->run_one();
  CHECK(job.ran_on != std::this_thread::get_id());
  CHECK(job.ran_on != std::thread::id());
  CHECK(job.done_on == std::this_thread::get_id());
}

TEST_CASE("as many jobs run at once as there are threads") {
  OffloadPool pool(4, 0);
  const auto home = std::make_shared<Home>();
  std::mutex mutex;
  std::condition_variable changed;
  int inside = 0;
  // Each waits for all: with fewer threads none would end.
  const auto meet = [&] {
    std::unique_lock lock(mutex);
    ++inside;
    changed.notify_all();
    CHECK(changed.wait_for(lock, std::chrono::seconds(20), [&] { return inside >= 4; }));
  };
  std::vector<std::unique_ptr<Job>> jobs;
  for (int i = 0; i < 4; ++i) {
    jobs.push_back(std::make_unique<Job>(meet));
    pool.submit(*jobs.back(), home);
  }
  for (int i = 0; i < 4; ++i) home->run_one();
  std::set<std::thread::id> threads;
  for (const auto& job : jobs) threads.insert(job->ran_on);
  CHECK(threads.size() == 4);
}

TEST_CASE("beyond the queue's size a job is refused, and the ones before it still run") {
  OffloadPool pool(1, 2);
  const auto home = std::make_shared<Home>();
  std::promise<void> started;
  std::promise<void> go_on;
  Job first([&] {
    started.set_value();
    go_on.get_future().wait();
  });
  Job second;
  Job third;
  Job refused;
  pool.submit(first, home);
  started.get_future().wait();
  pool.submit(second, home);
  pool.submit(third, home);
  CHECK_THROWS_WITH_AS(pool.submit(refused, home),
                       "offload(): offload_queue_size jobs wait already",
                       webshocket::WebSocketError);
  go_on.set_value();
  for (int i = 0; i < 3; ++i) home->run_one();
  CHECK(third.ran_on != std::thread::id());
  CHECK(refused.ran_on == std::thread::id());
  pool.submit(refused, home);
  home->run_one();
  CHECK(refused.ran_on != std::thread::id());
}

TEST_CASE("the pool finishes what it has taken on before it ends") {
  std::atomic<int> ran{0};
  const auto home = std::make_shared<Home>();
  std::vector<std::unique_ptr<Job>> jobs;
  {
    OffloadPool pool(2, 0);
    for (int i = 0; i < 200; ++i) {
      jobs.push_back(std::make_unique<Job>([&] { ++ran; }));
      pool.submit(*jobs.back(), home);
    }
  }
  CHECK(ran == 200);
  CHECK(home->waiting() == 200);
  CHECK(home.use_count() == 1);
}

TEST_CASE("jobs come from many threads at once") {
  std::atomic<int> ran{0};
  const auto home = std::make_shared<Home>();
  std::vector<std::vector<std::unique_ptr<Job>>> jobs(4);
  {
    OffloadPool pool(3, 0);
    std::vector<std::thread> threads;
    for (auto& mine : jobs) {
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) {
          mine.push_back(std::make_unique<Job>([&] { ++ran; }));
          pool.submit(*mine.back(), home);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  CHECK(ran == 2'000);
}

TEST_CASE("a pool that was never used has no thread to end") { OffloadPool pool(1'000, 0); }
