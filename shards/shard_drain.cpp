// Going down: from the request to the end of the thread.

#include <algorithm>
#include <chrono>
#include <new>
#include <random>
#include <utility>

#include "api/log_gate.hpp"
#include "api/working.hpp"
#include "shards/random_seed.hpp"
#include "shards/shard.hpp"

namespace webshocket::shards {
namespace {

/// Between those that leave and the next ones.
constexpr std::chrono::milliseconds kPause{10};
/// So few who come back to another server are no storm.
constexpr std::size_t kFewestAtOnce = 16;

}  // namespace

void Shard::drain(std::chrono::milliseconds timeout, std::function<void()> drained) noexcept {
  ticks_.release();
  draining_ = true;
  drained_ = std::move(drained);
  const auto now = Clock::now();
  cut_off_at_ = now + timeout;
  // The last fifth is for the closing handshakes of those whose calls did not end.
  close_all_at_ = cut_off_at_ - timeout / 5;
  table_.for_each([&](TcpConnection& connection) {
    if (connection.is_closing()) return;
    try {
      if (connection.is_open()) return to_leave_.push_back(connection.uid());
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): it leaves at once, too
    }
    connection.leave();
  });
  const auto spread = std::min(site_.config.drain_spread, timeout / 2);
  const auto pauses = static_cast<std::size_t>(spread / kPause);
  leave_at_once_ = std::max(kFewestAtOnce, to_leave_.size() / (pauses + 1) + 1);
  leave_at_ = now;
}

void Shard::send_some_away() noexcept {
  for (std::size_t i = 0; i < leave_at_once_ && !to_leave_.empty(); ++i) {
    if (TcpConnection* connection = table_.find(to_leave_.back())) connection->leave();
    to_leave_.pop_back();
  }
  leave_at_ = to_leave_.empty() ? Clock::time_point::max() : now() + kPause;
}

protocol::HttpError Shard::going_away() {
  return {503, "The server is going away.", {{"Retry-After", "1"}}};
}

std::string Shard::parting_words() const {
  const auto most = site_.config.reconnect_hint;
  if (most.count() == 0) return {};
  thread_local std::minstd_rand random(static_cast<std::minstd_rand::result_type>(random_seed()));
  std::uniform_int_distribution<std::chrono::milliseconds::rep> spread(0, most.count());
  return "reconnect in " + std::to_string(spread(random)) + " ms";
}

void Shard::hurry() noexcept {
  if (!drained_) return;
  close_all_at_ = cut_off_at_ = now();
}

void Shard::settle_stages() noexcept {
  const auto now = this->now();
  if (now >= leave_at_) send_some_away();
  if (now >= close_all_at_) {
    close_all_at_ = leave_at_ = Clock::time_point::max();
    table_.for_each([&](TcpConnection& connection) {
      if (connection.is_open()) {
        connection.guard([&] { connection.shut_down(CloseCode::going_away, parting_words()); });
      }
    });
  }
  if (now >= cut_off_at_) {
    cut_off_at_ = Clock::time_point::max();
    cut_off_all();
    calls_.cancel_all();
  }
  if (drained_ && live_ == 0) {
    leave_at_ = close_all_at_ = cut_off_at_ = Clock::time_point::max();
    std::exchange(drained_, nullptr)();
  }
  if (stopped_) {
    calls_.cancel_all();
    evict_guests();
    const bool is_quiet = calls_.size() == 0 && !has_guests();
    if (quiet_ && is_quiet) std::exchange(quiet_, nullptr)();
    // A client may have come since it was quiet.
    if (ended_ && is_quiet) stop();
  }
}

void Shard::cut_off_all() noexcept {
  std::size_t count = 0;
  table_.for_each([&](TcpConnection& connection) {
    connection.cut_off();
    ++count;
  });
  if (count == 0) return;
  counters_.drains_cut_off.add(count);
  webshocket::detail::log_if_possible(*this, LogLevel::warning, [&] {
    return "shard " + std::to_string(index_) + ": " + std::to_string(count) +
           " connections were left at the end of the drain, and cut off";
  });
}

void Shard::on_slow_turn(std::chrono::nanoseconds took) noexcept {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  webshocket::detail::log_if_possible(*this, LogLevel::warning, [&] {
    return "shard " + std::to_string(index_) + " goes on: a turn has taken " +
           std::to_string(milliseconds) + " ms";
  });
}

void Shard::quiesce(std::function<void()> quiet) noexcept {
  const webshocket::detail::Working working(*this, webshocket::detail::kOnStop);
  for (const auto& handler : handlers_) {
    try {
      handler->on_stop();
    } catch (...) {
      report("on_stop failed", std::current_exception());
    }
  }
  stopped_ = true;
  quiet_ = std::move(quiet);
}

void Shard::end() noexcept { ended_ = true; }

}  // namespace webshocket::shards
