// Going down: from the request to the end of the thread.

#include <utility>

#include "shards/shard.hpp"

namespace webshocket::shards {

void Shard::drain(std::chrono::milliseconds timeout, std::function<void()> drained) noexcept {
  ticks_.release();
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
  loop_.set_awake(true);
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
    evict_guests();
    const bool is_quiet = calls_.size() == 0 && !has_guests();
    if (quiet_ && is_quiet) std::exchange(quiet_, nullptr)();
    // A client may have come since it was quiet.
    if (ended_ && is_quiet) stop();
  }
}

void Shard::quiesce(std::function<void()> quiet) noexcept {
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
