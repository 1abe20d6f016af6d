#include "api/fake_hub.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <utility>

#include <webshocket/error.hpp>
#include <webshocket/queue_handler.hpp>

#include "api/access.hpp"
#include "api/dispatch.hpp"

namespace webshocket::detail {
namespace {

class FakeRouter final : public Router {
 public:
  FakeRouter(FakeHub& hub, std::shared_ptr<Mailbox> mailbox)
      : hub_(hub), mailbox_(std::move(mailbox)) {}

  SendStatus send(const Uid& uid, Form, const Content& content, std::size_t) override {
    if (Hub::current() == &hub_) {
      Connection* connection = hub_.find(uid);
      if (connection == nullptr) return SendStatus::dropped;
      return content.packet == nullptr ? connection->send(content.data)
                                       : connection->send(*content.packet);
    }
    const auto packet = std::make_shared<const OwnedPacket>(
        content.packet == nullptr ? OwnedPacket(PacketSource::custom, content.data)
                                  : OwnedPacket(*content.packet));
    const bool posted =
        post(uid, [packet](Connection& connection) { connection.send(packet->view()); });
    return posted ? SendStatus::ok : SendStatus::dropped;
  }

  bool post(const Uid& uid, std::function<void(Connection&)> fn) override {
    return mailbox_->post([&hub = hub_, uid, fn = std::move(fn)] {
      if (Connection* connection = hub.find(uid)) fn(*connection);
    });
  }

 private:
  FakeHub& hub_;  // touched on its own thread only, where it is alive
  std::shared_ptr<Mailbox> mailbox_;
};

/// What `on_upgrade_async` said. Shared, since it may say it after nobody waits any more.
struct Answer {
  std::optional<Upgrade> upgrade;
  std::exception_ptr error;
  bool given = false;
};

Task<void> keep_answer(Task<Upgrade> asked, std::shared_ptr<Answer> answer) {
  answer->upgrade = co_await std::move(asked);
}

}  // namespace

FakeHub::FakeHub(const HandlerFactory& factory, Config config)
    : config_(std::move(config)),
      current_(*this),
      router_(std::make_shared<FakeRouter>(*this, mailbox_)),
      handler_(factory()) {
  HandlerAccess::attach(*handler_, *this, 0);
  if (auto* queue_handler = dynamic_cast<QueueHandler*>(handler_.get())) {
    accept_queue_ = std::make_shared<AcceptQueue>(config_.accept_queue_size);
    queue_handler->attach(accept_queue_);
  }
  const Turn turn(*this);
  handler_->on_start();
}

FakeHub::~FakeHub() {
  const Current current(*this);
  stops_ = true;
  if (accept_queue_ != nullptr) accept_queue_->close();
  for (const auto& connection : connections_) leave(*connection);
  try {
    handler_->on_stop();
  } catch (...) {
    log(LogLevel::error, "on_stop failed: " + describe_exception(std::current_exception()));
  }
  // Cancelled coroutines may still wait for workers, and start others while they unwind.
  do {
    calls_.cancel_all();
    settle();
  } while (calls_.size() != 0);
  handler_.reset();
  mailbox_->close();
}

Connection* FakeHub::find(const Uid& uid) noexcept {
  for (const auto& connection : connections_) {
    if (connection->uid() == uid && connection->state() == ConnectionState::connected) {
      return connection.get();
    }
  }
  return nullptr;
}

void FakeHub::log(LogLevel level, std::string_view text) const noexcept {
  constexpr const char* kNames[] = {"debug: ", "info: ", "warning: ", "error: "};
  log_.push_back(kNames[static_cast<std::size_t>(level)] + std::string(text));
  if (config_.log) config_.log(level, text);
}

void FakeHub::start_timer(TimerNode& timer, std::chrono::nanoseconds delay) {
  using std::chrono::nanoseconds;
  const nanoseconds longest = Clock::time_point::max() - now_;
  timers_.start(timer, now_ + std::clamp(delay, nanoseconds(0), longest));
}

void FakeHub::offload(OffloadJob& job) {
  const std::size_t limit = config_.offload_queue_size;
  if (limit != 0 && workers_.size() >= config_.offload_threads + limit) {
    throw WebSocketError("offload: offload_queue_size jobs wait already");
  }
  workers_.start(job);
}

void FakeHub::gather(const Handler&, GatherJob& job) {
  job.prepare(1);
  // Not at once: the coroutine that asks is not suspended yet.
  defer([this, &job] {
    job.run(*handler_, 0);
    job.done();
  });
}

Upgrade FakeHub::ask(const UpgradeRequest& request) {
  if (!HandlerAccess::upgrade_async(*handler_)) return handler_->on_upgrade(request);
  Task<Upgrade> asked = handler_->on_upgrade_async(request);
  if (!asked) return handler_->on_upgrade(request);

  const auto answer = std::make_shared<Answer>();
  calls_.start(nullptr, keep_answer(std::move(asked), answer), [answer](std::exception_ptr error) {
    answer->error = std::move(error);
    answer->given = true;
  });
  for (settle(); !answer->given; settle()) {
    if (timers_.empty()) {
      throw UsageError("on_upgrade_async waits for something that will not happen here");
    }
    advance(timers_.next_due() - now_);
  }
  if (answer->error) std::rethrow_exception(answer->error);
  return std::move(*answer->upgrade);
}

bool FakeHub::run_deferred() noexcept {
  if (deferred_.empty()) return false;
  for (const auto& function : std::exchange(deferred_, {})) {
    try {
      function();
    } catch (...) {
      counters_.handler_errors.add();
      log(LogLevel::error,
          "a deferred function failed: " + describe_exception(std::current_exception()));
    }
  }
  return true;
}

bool FakeHub::run_posted() noexcept {
  const auto posted = mailbox_->take_all();
  for (const auto& function : posted) {
    try {
      function();
    } catch (...) {
      log(LogLevel::error,
          "a posted function failed: " + describe_exception(std::current_exception()));
    }
  }
  return !posted.empty();
}

void FakeHub::finish_turn() noexcept {
  while (run_deferred() || run_posted() || run_parked() || run_closed()) continue;
  HandlerAccess::roster(*handler_).compact();
}

void FakeHub::advance(std::chrono::nanoseconds time) {
  const auto end = now_ + time;
  while (!timers_.empty() && timers_.next_due() <= end) {
    const Turn turn(*this);
    now_ = std::max(now_, timers_.next_due());
    timers_.fire_one(now_);
  }
  now_ = end;
}

void FakeHub::settle() {
  finish_turn();
  while (workers_.size() != 0) {
    for (OffloadJob* job : workers_.wait_for_all()) job->done();
    finish_turn();
  }
}

void FakeHub::run_beside(std::function<void()> function) {
  std::exception_ptr error;
  std::atomic<bool> ended{false};
  std::thread thread([&, mailbox = mailbox_] {
    try {
      function();
    } catch (...) {
      error = std::current_exception();
    }
    ended.store(true);
    mailbox->post([] {});
  });
  while (!ended.load()) {
    mailbox_->wait();
    finish_turn();
    for (OffloadJob* job : workers_.take_ended()) job->done();
    finish_turn();
  }
  thread.join();
  finish_turn();
  if (error) std::rethrow_exception(error);
}

}  // namespace webshocket::detail
