#include "shards/shard.hpp"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <future>
#include <new>
#include <utility>

#include <webshocket/error.hpp>
#include <webshocket/queue_handler.hpp>

#include "api/access.hpp"
#include "api/dispatch.hpp"
#include "shards/file_signals.hpp"

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
    : Reactor(site.bus->inbox(index), site.config.inbound_total_limit, site.config.tls_budget,
              site.config.slow_callback_threshold),
      site_(site),
      index_(index),
      decode_limits_{site.config.max_depth, site.config.max_elements},
      rules_{.role = protocol::Role::server,
             .max_message = site.config.max_message,
             .message_timeout = site.config.message_timeout,
             .receive_burst = site.config.receive_burst,
             .ping_interval = site.config.ping_interval,
             .ping_timeout = site.config.ping_timeout,
             .close_timeout = site.config.close_timeout,
             .write_timeout = site.config.write_timeout,
             .compression = site.config.compression},
      outbox_rule_{site.config.outbox_policy, site.config.outbox_limit},
      mailbox_(std::make_shared<ShardMailbox>(site.bus, index)),
      channels_({.seed = site.bus->census().seed()}),
      ticks_(*this, *this, site.config.tick_limit) {}

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
  block_file_signals();  // a PageFile is told of a lost peer by them, or by an error
  try {
    begin();
  } catch (...) {
    const auto error = std::current_exception();
    // What the handlers before that one have begun must end before they do.
    stopped_ = true;
    quiet_ = [this] { end(); };
    loop_.set_awake(true);
    loop_.run();
    finish();
    started(error);
    return;
  }
  started(nullptr);
  loop_.run();
  finish();
}

void Shard::begin() {
  presence_.emplace(*this);
  open_handles();
  pin();
  build_handlers();
}

void Shard::finish() noexcept {
  handlers_.clear();
  close_handles();
  // What was posted too late is destroyed here, on the thread that it was meant for.
  inbox_.abandon();
  presence_.reset();
}

void Shard::pin() const {
  const std::vector<unsigned>& cpus = site_.config.cpus;
  if (cpus.empty()) return;
  const unsigned cpu = cpus[index_ % cpus.size()];
  cpu_set_t alone;
  CPU_ZERO(&alone);
  CPU_SET(cpu, &alone);
  if (::sched_setaffinity(0, sizeof alone, &alone) != 0) {
    throw UsageError("Config::cpus = " + std::to_string(cpu) + ": " + std::strerror(errno));
  }
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

// --- connections ------------------------------------------------------------------------------

void Shard::adopt(Adoption adoption) noexcept {
  // Its destructor hangs up. But who was on the way from another shard has been promised a 101.
  if (draining_ && (!adoption.move || !drained_)) return;
  auto move = std::move(adoption.move);
  TcpConnection* connection = nullptr;
  try {
    table_.make_room();
    connection = new TcpConnection(*this, std::move(adoption));
  } catch (const std::bad_alloc&) {
    return counters_.allocation_failures.add();
  }
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

void Shard::wait_for_call_limit(TcpConnection& connection) {
  wait_for_call_limit_.push_back(connection.uid());
}

void Shard::settle() noexcept {
  for (const auto& handler : handlers_) HandlerAccess::roster(*handler).compact();
  if (!wait_for_call_limit_.empty() && !at_call_limit()) {
    for (const Uid& uid : std::exchange(wait_for_call_limit_, {})) {
      if (TcpConnection* connection = table_.find(uid)) connection->end_call_limit();
    }
  }
  check_memory();
  settle_memory();
  settle_stages();
}

void Shard::settle_memory() noexcept {
  const std::size_t bytes = kept_bytes();
  most_live_ = std::max(most_live_, live_);
  most_bytes_ = std::max(most_bytes_, bytes);
  const bool crowd_has_left = most_live_ >= kCrowd && live_ <= most_live_ / 4;
  const bool flood_has_gone = most_bytes_ >= kFlood && bytes <= most_bytes_ / 4;
  if (!crowd_has_left && !flood_has_gone) {
    give_back_at_ = Clock::time_point::max();
    return;
  }
  if (give_back_at_ == Clock::time_point::max()) {
    give_back_at_ = std::max(now() + kCrowdPasses, gave_back_at_ + kBetweenGivingBack);
  }
  if (now() < give_back_at_) return;
  give_back_memory();
  give_back_at_ = Clock::time_point::max();
  gave_back_at_ = now();
  most_live_ = live_;
  most_bytes_ = bytes;
}

void Shard::check_memory() noexcept {
  if (const std::size_t limit = site_.config.outbox_total_limit; limit != 0) {
    close_longest(limit, "outbox_total_limit reached");
  }
  MemoryBudget& budget = site_.memory;
  budget.tell(told_bytes_, kept_bytes());
  if (budget.must_tell_others()) {
    // Another one may be above its share, and asleep.
    for (std::size_t i = 0; i < shard_count(); ++i) {
      if (i != index_) site_.bus->inbox(i).wake();
    }
  }
  is_over_share_ = budget.is_over() && kept_bytes() > budget.share();
  if (!is_over_share_) return;
  const std::size_t inbound = kept_bytes() - own_outbox_bytes_ - runs_.bytes();
  close_longest(budget.share() - std::min(inbound, budget.share() / 2), "memory_limit reached");
  budget.tell(told_bytes_, kept_bytes());
}

void Shard::close_longest(std::size_t limit, std::string_view reason) noexcept {
  if (own_outbox_bytes_ + runs_.bytes() <= limit) return;
  // Rare, so that a walk over all is no loss: the longest outboxes go.
  std::vector<TcpConnection*> waiting;
  const auto find_those = [&] {
    table_.for_each([&](TcpConnection& connection) {
      if (connection.outbox_bytes() != 0 && !connection.is_closing()) {
        waiting.push_back(&connection);
      }
    });
  };
  try {
    find_those();
  } catch (const std::bad_alloc&) {
    counters_.allocation_failures.add();  // as many as there is memory for
  }
  std::ranges::sort(waiting, std::ranges::greater(), &TcpConnection::outbox_bytes);
  std::size_t leaving = 0;  // with those who are buried at the end of the turn
  for (TcpConnection* connection : waiting) {
    if (own_outbox_bytes_ + runs_.bytes() <= limit + leaving) return;
    if (connection->is_open()) {
      counters_.slow_consumers.add();
      connection->guard([&] { connection->close_slow(reason); });
    } else {
      leaving += connection->outbox_bytes();
      connection->doom();  // an answer to plain HTTP
    }
  }
}

void Shard::log(LogLevel level, std::string_view text) const noexcept { site_.log(level, text); }

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

}  // namespace webshocket::shards
