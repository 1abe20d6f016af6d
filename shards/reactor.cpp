#include "shards/reactor.hpp"

#include <malloc.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <exception>
#include <new>
#include <string>
#include <utility>

#include "api/dispatch.hpp"
#include "api/working.hpp"
#include "shards/endpoint.hpp"

namespace webshocket::shards {
Reactor::Reactor(Inbox& inbox, std::size_t inbound_limit, std::chrono::nanoseconds securing_budget,
                 std::chrono::nanoseconds slow_turn)
    : inbox_(inbox),
      calls_(*this),
      inbound_limit_(inbound_limit),
      securing_budget_(securing_budget),
      slow_turn_(slow_turn),
      read_buffer_(kReadBuffer) {}

void Reactor::open_handles() noexcept {
  wake_.open(loop_, inbox_.descriptor());
  wake_.watch<&Reactor::on_wake>(*this, Poll::kReadable);
  loop_.at_end_of_turn<&Reactor::end_turn>(*this);
}

void Reactor::close_handles() noexcept {
  wake_.stop();
  loop_.finish();
}

// --- what is lent -----------------------------------------------------------------------------

std::unique_ptr<LentReader> Reactor::lend_reader(Endpoint& owner, protocol::Role role) {
  std::unique_ptr<LentReader> reader = readers_[static_cast<std::size_t>(role)].take();
  if (reader == nullptr) reader = std::make_unique<LentReader>(role);
  reader->owner = &owner;
  return reader;
}

void Reactor::take_back(std::unique_ptr<LentReader> reader, protocol::Role role) noexcept {
  if (reader == nullptr) return;
  timers_.stop(*reader);
  take_inbound(std::exchange(reader->counted, 0), 0);
  auto& readers = readers_[static_cast<std::size_t>(role)];
  if (readers.is_full()) return;
  reader->frames.reset();
  readers.keep(std::move(reader));
}

std::unique_ptr<Outbox> Reactor::lend_outbox() {
  std::unique_ptr<Outbox> outbox = outboxes_.take();
  if (outbox == nullptr) return std::make_unique<Outbox>();
  outbox_memory_kept_ -= outbox->memory();
  return outbox;
}

void Reactor::take_back(std::unique_ptr<Outbox> outbox) noexcept {
  if (outbox == nullptr) return;
  outbox->stop_watching(*this);
  if (outboxes_.is_full()) return;
  outbox->reset(kOutboxMemoryKept - outbox_memory_kept_);
  const std::size_t memory = outbox->memory();
  if (outboxes_.keep(std::move(outbox))) outbox_memory_kept_ += memory;
}

bool Reactor::take_inbound(std::size_t before, std::size_t after) noexcept {
  inbound_bytes_ += after - before;
  return after <= before || inbound_fits();
}

// --- the turn ---------------------------------------------------------------------------------

template <class Add>
void Reactor::mark(bool& is_there, Endpoint& endpoint, Add&& add) noexcept {
  if (is_there) return;
  try {
    add();
    is_there = true;
  } catch (const std::bad_alloc&) {
    counters_.allocation_failures.add();
    endpoint.doom(ENOMEM);
  }
}

void Reactor::mark_dirty(Endpoint& endpoint) noexcept {
  mark(endpoint.is_dirty, endpoint, [&] { dirty_.add(endpoint, endpoint.descriptor()); });
}

void Reactor::mark_going(Endpoint& endpoint) noexcept {
  mark(endpoint.awaits_end_of_turn, endpoint, [&] { going_.push_back(&endpoint); });
}

void Reactor::mark_next_turn(Endpoint& endpoint) noexcept {
  mark(endpoint.awaits_end_of_turn, endpoint, [&] { next_turn_.push_back(&endpoint); });
}

void Reactor::mark_securing(Endpoint& endpoint, bool has_begun) {
  if (endpoint.awaits_securing) return;
  (has_begun ? begun_securing_ : new_securing_).add(endpoint);
  endpoint.awaits_securing = true;
}

void Reactor::has_come() {
  if (doomed_.capacity() <= endpoints_) doomed_.reserve(std::max<std::size_t>(64, 2 * endpoints_));
  ++endpoints_;
}

void Reactor::on_wake(std::uint32_t) noexcept {
  if (!is_over_) drain_inbox();
}

void Reactor::run_controls() noexcept {
  inbox_.clear_wake();
  for (Inbox::Control control; inbox_.take(control);) {
    const webshocket::detail::Working working(*this, webshocket::detail::kPosted);
    try {
      control();
    } catch (...) {
      report("a posted function failed", std::current_exception());
    }
    control = nullptr;
  }
}

void Reactor::end_turn() noexcept {
  if (inbox_left_) drain_inbox();
  for (Endpoint* endpoint : next_turn_) {
    endpoint->awaits_end_of_turn = false;
    mark_going(*endpoint);
  }
  next_turn_.clear();
  const auto now = Clock::now();
  while (timers_.fire_one(now)) {
  }
  run_securing();
  for (int round = 0; round < kRoundsPerTurn && work_left(); ++round) run_round();
  send_off();
  runs_.end_turn();
  page_file_.clear();
  scratch_.release(kScratchKept);
  deflate_scratch_.release(kScratchKept);
  settle();
  if (now >= thin_out_at_) thin_out_spares(now);
  counters_.inbound_bytes.set(inbound_bytes_);
  counters_.outbox_bytes.set(own_outbox_bytes_ + runs_.bytes());
  set_alarm(now);
  loop_.set_awake(work_left() || inbox_left_ || has_securing() || !next_turn_.empty());
  now_ = {};
  count_turn();
}

void Reactor::count_turn() noexcept {
  const auto took = Clock::now() - loop_.turn_began();
  const auto microseconds = static_cast<std::uint64_t>(took / std::chrono::microseconds(1));
  const auto bucket = static_cast<std::size_t>(std::bit_width(microseconds));
  counters_.turns[std::min(bucket, counters_.turns.size() - 1)].add();
  if (slow_turn_.count() == 0 || took <= slow_turn_) return;
  counters_.slow_callbacks.add();
  on_slow_turn(took);
}

bool Reactor::work_left() const noexcept {
  return !deferred_.empty() || !going_.empty() || !dirty_.empty() || !doomed_.empty();
}

void Reactor::run_round() {
  for (auto& function : std::exchange(deferred_, {})) {
    const webshocket::detail::Working working(*this, webshocket::detail::kDeferred);
    try {
      function();
    } catch (...) {
      report("a deferred function failed", std::current_exception());
    }
  }
  // The lists are walked by index: a step may append to any of them.
  const std::size_t going = going_.size();
  for (std::size_t i = 0; i < going; ++i) {
    going_[i]->guard([&] { going_[i]->go_on(); });
  }
  going_.erase(going_.begin(), going_.begin() + static_cast<std::ptrdiff_t>(going));
  send_off();
  if (runs_.bytes() <= kFitsCache) dirty_.order();
  const std::size_t dirty = dirty_.size();
  for (std::size_t i = 0; i < dirty; ++i) {
    if (i + kAhead < dirty) dirty_[i + kAhead].prefetch_output();
    dirty_[i].flush_turn();
  }
  dirty_.drop_first(dirty);
  if (!stuck_.empty()) {
    // Only now is it known who else refers to the runs.
    runs_.end_turn();
    for (Endpoint* endpoint : stuck_) endpoint->detach_outbox();
    stuck_.clear();
  }
  const std::size_t doomed = doomed_.size();
  burying_ = true;
  for (std::size_t i = 0; i < doomed; ++i) doomed_[i]->bury();
  burying_ = false;
  doomed_.erase(doomed_.begin(), doomed_.begin() + static_cast<std::ptrdiff_t>(doomed));
}

// A handshake costs more than anything else that a turn does: many of them at once must not keep
// those waiting who have theirs behind them.
void Reactor::run_securing() noexcept {
  if (!has_securing()) return;
  const auto begin = Clock::now();
  do {
    Endpoint& endpoint = (begun_securing_.empty() ? new_securing_ : begun_securing_).take();
    endpoint.awaits_securing = false;
    endpoint.guard([&] { endpoint.go_on_securing(); });
  } while (has_securing() &&
           (securing_budget_.count() == 0 || Clock::now() - begin < securing_budget_));
  counters_.tls_handshakes_waiting.set(begun_securing_.size() + new_securing_.size());
}

void Reactor::report(std::string_view what, const std::exception_ptr& error) noexcept {
  counters_.handler_errors.add();
  webshocket::detail::log_if_possible(*this, LogLevel::error, [&] {
    return std::string(what) + ": " + webshocket::detail::describe_exception(error);
  });
}

void Reactor::set_alarm(Clock::time_point now) noexcept {
  if (alarm_ <= now) alarm_ = Clock::time_point::max();  // it has gone off
  const auto due = timers_.empty() ? settle_due() : std::min(timers_.next_due(), settle_due());
  // One that comes too early does no harm, and is cheaper than to set another each time.
  if (due >= alarm_) return;
  alarm_ = due;
  loop_.set_alarm(due);
}

Reactor::Clock::time_point Reactor::now() const noexcept {
  if (now_ != Clock::time_point{}) return now_;
  // The clock was read when the turn began; before the first turn, it was not.
  now_ = loop_.turn_began();
  if (now_ == Clock::time_point::min()) now_ = Clock::now();
  return now_;
}

void Reactor::start_timer(webshocket::detail::TimerNode& timer, std::chrono::nanoseconds delay) {
  // The turn's clock may be behind: a timer must not fire early.
  const auto now = Clock::now();
  const auto left = Clock::time_point::max() - now;
  timers_.start(timer, delay > left ? Clock::time_point::max() : now + delay);
}

void Reactor::thin_out_spares(Clock::time_point now) noexcept {
  thin_out_at_ = now + kBetweenThinningOut;
  for (auto& readers : readers_) readers.thin_out([](const LentReader&) {});
  outboxes_.thin_out([this](const Outbox& outbox) { outbox_memory_kept_ -= outbox.memory(); });
  runs_.thin_out_spare();
}

void Reactor::give_back_memory() noexcept {
  outboxes_.clear();
  outbox_memory_kept_ = 0;
  for (auto& readers : readers_) readers.clear();
  runs_.give_back_spare();
  dirty_.give_back_memory();
  for (auto* list : {&stuck_, &going_, &next_turn_}) list->shrink_to_fit();
  fit_doomed();
  timers_.shrink();
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

void Reactor::fit_doomed() noexcept {
  if (!doomed_.empty()) return;
  try {
    std::vector<Endpoint*> smaller;
    smaller.reserve(endpoints_);
    doomed_.swap(smaller);
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): as it is, it has room
  }
}

void Reactor::evict_guests() noexcept {
  while (!guests_.empty()) {
    Guest& guest = guests_.front();
    GuestList::remove(guest);
    leaving_.add(guest);
    guest.evict();
  }
}

}  // namespace webshocket::shards
