#include "shards/shard.hpp"

#include <algorithm>
#include <future>
#include <utility>

#include <webshocket/error.hpp>
#include <webshocket/queue_handler.hpp>

#include "api/access.hpp"
#include "api/dispatch.hpp"
#include "shards/random_seed.hpp"

namespace webshocket::shards {
namespace {

using webshocket::detail::HandlerAccess;

class ShardMailbox final : public webshocket::detail::Mailbox {
 public:
  ShardMailbox(std::weak_ptr<Bus> bus, std::size_t shard) noexcept
      : bus_(std::move(bus)), shard_(shard) {}

  bool post(std::function<void()> fn) override {
    const auto bus = bus_.lock();
    return bus != nullptr && bus->post_control(shard_, std::move(fn));
  }

 private:
  std::weak_ptr<Bus> bus_;
  std::size_t shard_;
};

/// A gather under way. Its end is the answer: also of a shard that has gone without a word.
struct Question {
  Question(webshocket::detail::GatherJob& asked,
           std::shared_ptr<webshocket::detail::Mailbox> asker) noexcept
      : job(asked), home(std::move(asker)) {}
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;
  ~Question() {
    home->post([&job = job] { job.done(); });
  }

  webshocket::detail::GatherJob& job;
  std::shared_ptr<webshocket::detail::Mailbox> home;
};

}  // namespace

Shard::Shard(Site& site, std::size_t index)
    : site_(site),
      index_(index),
      decode_limits_{site.config.max_depth, site.config.max_elements},
      inbox_(site.bus->inbox(index)),
      mailbox_(std::make_shared<ShardMailbox>(site.bus, index)),
      channels_({.seed = random_seed()}),
      calls_(*this),
      read_buffer_(kReadBuffer) {}

Shard::~Shard() { join(); }

void Shard::start() {
  std::promise<void> started;
  auto result = started.get_future();
  thread_ = std::thread([this, &started] {
    run([&started](std::exception_ptr error) {
      if (error) {
        started.set_exception(std::move(error));
      } else {
        started.set_value();
      }
    });
  });
  try {
    result.get();
  } catch (...) {
    join();
    throw;
  }
}

void Shard::join() {
  if (thread_.joinable()) thread_.join();
}

void Shard::run(std::function<void(std::exception_ptr)> started) noexcept {
  const Current current(*this);
  const Bus::Membership membership(*site_.bus, index_, *this);
  open_handles();
  try {
    build_handlers();
  } catch (...) {
    const auto error = std::current_exception();
    // What the handlers before that one have begun must end before they do.
    stopped_ = true;
    quiet_ = [this] { end(); };
    stay_awake_.set(true);
    loop_.run();
    handlers_.clear();
    close_handles();
    started(error);
    return;
  }
  started(nullptr);
  loop_.run();
  handlers_.clear();
  close_handles();
  // What was posted too late is destroyed here, on the thread that it was meant for.
  for (Inbox::Control control; inbox_.take(control);) control = nullptr;
  for (std::shared_ptr<const Delivery> delivery; inbox_.take(delivery);) delivery.reset();
}

void Shard::build_handlers() {
  for (std::size_t route = 0; route < site_.routes.size(); ++route) {
    auto handler = site_.routes[route].factory();
    if (handler == nullptr) throw UsageError("a handler factory returned nothing");
    HandlerAccess::attach(*handler, *this, route);
    if (auto* queue = dynamic_cast<QueueHandler*>(handler.get())) queue->attach(site_.accept_queue);
    handlers_.push_back(std::move(handler));
  }
  for (const auto& handler : handlers_) handler->on_start();
}

void Shard::open_handles() noexcept {
  wake_.open(loop_, inbox_.descriptor());
  wake_.watch<&Shard::on_wake>(*this, UV_READABLE);
  timer_.open(loop_);
  end_of_turn_.open<&Shard::end_turn>(loop_, *this);
  stay_awake_.open(loop_);
}

void Shard::close_handles() noexcept {
  wake_.close();
  timer_.close();
  end_of_turn_.close();
  stay_awake_.close();
  loop_.finish();
}

// --- connections ------------------------------------------------------------------------------

void Shard::adopt(Adoption adoption) noexcept {
  if (draining_) return;  // its destructor hangs up
  auto move = std::exchange(adoption.move, std::nullopt);
  auto* connection = new TcpConnection(*this, std::move(adoption));
  table_.insert(*connection);
  connection->start(std::move(move));
}

void Shard::enter(TcpConnection& connection) {
  counters_.connections.add();
  counters_.connections_total.add();
  census().raise(index_, Census::kEverybody,
                 webshocket::detail::ConnectionAccess::form(connection));
}

void Shard::leave(TcpConnection& connection) noexcept {
  counters_.connections.subtract();
  census().lower(index_, Census::kEverybody,
                 webshocket::detail::ConnectionAccess::form(connection));
}

void Shard::mark_dirty(TcpConnection& connection) {
  if (std::exchange(connection.is_dirty, true)) return;
  dirty_.push_back(&connection);
}

void Shard::mark_going(TcpConnection& connection) {
  if (std::exchange(connection.awaits_end_of_turn, true)) return;
  going_.push_back(&connection);
}

void Shard::wait_for_call_limit(TcpConnection& connection) {
  wait_for_call_limit_.push_back(connection.uid());
}

std::unique_ptr<protocol::FrameReader> Shard::lend_reader() {
  if (readers_.empty()) return std::make_unique<protocol::FrameReader>(protocol::Role::server);
  auto reader = std::move(readers_.back());
  readers_.pop_back();
  return reader;
}

void Shard::take_back(std::unique_ptr<protocol::FrameReader> reader) noexcept {
  if (reader == nullptr || readers_.size() >= kReadersKept) return;
  reader->reset();
  readers_.push_back(std::move(reader));
}

std::unique_ptr<Outbox> Shard::lend_outbox() {
  if (outboxes_.empty()) return std::make_unique<Outbox>();
  auto outbox = std::move(outboxes_.back());
  outboxes_.pop_back();
  return outbox;
}

void Shard::take_back(std::unique_ptr<Outbox> outbox) noexcept {
  if (outbox == nullptr || outboxes_.size() >= kOutboxesKept) return;
  outbox->reset();
  outboxes_.push_back(std::move(outbox));
}

bool Shard::take_inbound(std::size_t before, std::size_t after) noexcept {
  inbound_bytes_ += after - before;
  const std::size_t limit = site_.config.inbound_total_limit;
  return limit == 0 || after <= before || inbound_bytes_ <= limit;
}

// --- the turn ---------------------------------------------------------------------------------

void Shard::on_wake(int, int) noexcept { drain_inbox(); }

void Shard::on_timer() noexcept {
  timer_due_ = Clock::time_point::max();
}  // end_turn fires what is due

void Shard::end_turn() noexcept {
  if (inbox_left_) drain_inbox();
  const auto now = Clock::now();
  while (timers_.fire_one(now)) {
  }
  for (int round = 0; round < kRoundsPerTurn && work_left(); ++round) run_round();
  for (const auto& handler : handlers_) HandlerAccess::roster(*handler).compact();
  if (!wait_for_call_limit_.empty() && !at_call_limit()) {
    for (const Uid& uid : std::exchange(wait_for_call_limit_, {})) {
      if (TcpConnection* connection = table_.find(uid)) mark_going(*connection);
    }
  }
  check_outbox_total();
  counters_.inbound_bytes.set(inbound_bytes_);
  counters_.outbox_bytes.set(own_outbox_bytes_ + shared_bytes_.total());
  settle_stages();
  arm_timer();
  stay_awake_.set(work_left() || inbox_left_);
  now_ = {};
}

bool Shard::work_left() const noexcept {
  return !deferred_.empty() || !going_.empty() || !dirty_.empty() || !doomed_.empty();
}

void Shard::run_round() {
  for (auto& function : std::exchange(deferred_, {})) {
    try {
      function();
    } catch (...) {
      counters_.handler_errors.add();
      log(LogLevel::error, "a deferred function failed: " +
                               webshocket::detail::describe_exception(std::current_exception()));
    }
  }
  // The lists are walked by index: a step may append to any of them.
  const std::size_t going = going_.size();
  for (std::size_t i = 0; i < going; ++i) going_[i]->go_on();
  going_.erase(going_.begin(), going_.begin() + static_cast<std::ptrdiff_t>(going));
  const std::size_t dirty = dirty_.size();
  for (std::size_t i = 0; i < dirty; ++i) dirty_[i]->flush_turn();
  dirty_.erase(dirty_.begin(), dirty_.begin() + static_cast<std::ptrdiff_t>(dirty));
  const std::size_t doomed = doomed_.size();
  burying_ = true;
  for (std::size_t i = 0; i < doomed; ++i) {
    table_.erase(*doomed_[i]);
    doomed_[i]->bury();
  }
  burying_ = false;
  doomed_.erase(doomed_.begin(), doomed_.begin() + static_cast<std::ptrdiff_t>(doomed));
}

void Shard::check_outbox_total() noexcept {
  const std::size_t limit = site_.config.outbox_total_limit;
  if (limit == 0 || own_outbox_bytes_ + shared_bytes_.total() <= limit) return;
  // Rare, so that a walk over all is no loss: the longest outbox goes.
  TcpConnection* longest = nullptr;
  table_.for_each([&](TcpConnection& connection) {
    if (connection.is_open() &&
        (longest == nullptr || connection.outbox_bytes() > longest->outbox_bytes())) {
      longest = &connection;
    }
  });
  if (longest == nullptr || longest->outbox_bytes() == 0) return;
  counters_.slow_consumers.add();
  longest->close_slow("outbox_total_limit reached");
}

void Shard::arm_timer() noexcept {
  auto due = timers_.empty() ? Clock::time_point::max() : timers_.next_due();
  due = std::min({due, close_all_at_, cut_off_at_});
  if (due == timer_due_) return;
  timer_due_ = due;
  if (due == Clock::time_point::max()) {
    timer_.stop();
  } else {
    timer_.start<&Shard::on_timer>(*this, due - Clock::now());
  }
}

Shard::Clock::time_point Shard::now() const noexcept {
  if (now_ == Clock::time_point{}) now_ = Clock::now();
  return now_;
}

void Shard::log(LogLevel level, std::string_view text) const noexcept {
  if (!site_.config.log) return;
  try {
    site_.config.log(level, text);
  } catch (...) {  // NOLINT(bugprone-empty-catch): there is nobody left to tell
  }
}

void Shard::start_timer(webshocket::detail::TimerNode& timer, std::chrono::nanoseconds delay) {
  // The turn's clock may be behind: a timer must not fire early.
  const auto now = Clock::now();
  const auto left = Clock::time_point::max() - now;
  timers_.start(timer, delay > left ? Clock::time_point::max() : now + delay);
}

void Shard::offload(webshocket::detail::OffloadJob& job) { site_.pool->submit(job, mailbox_); }

void Shard::gather(const Handler& asker, webshocket::detail::GatherJob& job) {
  const std::size_t shards = shard_count();
  const std::size_t route = HandlerAccess::route(asker);
  job.prepare(shards);
  const auto question = std::make_shared<Question>(job, mailbox_);
  for (std::size_t i = 0; i < shards; ++i) {
    site_.bus->post_control(i, [question, route] {
      auto& here = static_cast<Shard&>(*Hub::current());
      question->job.run(here.handler(route), here.shard());
    });
  }
}

// --- going down -------------------------------------------------------------------------------

void Shard::drain(std::chrono::milliseconds timeout, std::function<void()> drained) noexcept {
  draining_ = true;
  drained_ = std::move(drained);
  cut_off_at_ = Clock::now() + timeout;
  // The last fifth is for the closing handshakes of those whose calls did not end.
  close_all_at_ = cut_off_at_ - timeout / 5;
  table_.for_each([&](TcpConnection& connection) {
    if (connection.is_open()) {
      mark_going(connection);
    } else if (!connection.is_closing()) {
      connection.doom();
    }
  });
}

void Shard::hurry() noexcept {
  if (!drained_) return;
  close_all_at_ = cut_off_at_ = Clock::now();
  stay_awake_.set(true);
}

void Shard::settle_stages() noexcept {
  const auto now = Clock::now();
  if (now >= close_all_at_) {
    close_all_at_ = Clock::time_point::max();
    table_.for_each([&](TcpConnection& connection) {
      if (connection.is_open()) connection.shut_down(CloseCode::going_away, {});
    });
  }
  if (now >= cut_off_at_) {
    cut_off_at_ = Clock::time_point::max();
    table_.for_each([](TcpConnection& connection) { connection.cut_off(); });
    calls_.cancel_all();
  }
  if (drained_ && live_ == 0) {
    close_all_at_ = cut_off_at_ = Clock::time_point::max();
    std::exchange(drained_, nullptr)();
  }
  if (stopped_) {
    calls_.cancel_all();
    if (quiet_ && calls_.size() == 0) std::exchange(quiet_, nullptr)();
  }
}

void Shard::quiesce(std::function<void()> quiet) noexcept {
  for (const auto& handler : handlers_) {
    try {
      handler->on_stop();
    } catch (...) {
      counters_.handler_errors.add();
      log(LogLevel::error,
          "on_stop failed: " + webshocket::detail::describe_exception(std::current_exception()));
    }
  }
  stopped_ = true;
  quiet_ = std::move(quiet);
}

void Shard::end() noexcept { loop_.stop(); }

}  // namespace webshocket::shards
