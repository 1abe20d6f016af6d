/// One thread's loop and what everything on it shares: timers, the end of the turn, buffers that
/// are lent. A shard is one with a server's connections on it; a client loop is one without.
#pragma once

#include <sys/uio.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <webshocket/detail/hub.hpp>
#include <webshocket/value.hpp>

#include "api/calls.hpp"
#include "api/counters.hpp"
#include "api/log_gate.hpp"
#include "api/timer_queue.hpp"
#include "protocol/buffer.hpp"
#include "protocol/frame_header.hpp"
#include "shards/bus.hpp"
#include "shards/flush_list.hpp"
#include "shards/lent_reader.hpp"
#include "shards/loop.hpp"
#include "shards/outbox.hpp"
#include "shards/spares.hpp"

namespace webshocket::shards {

class Endpoint;

/// Something that lives on a reactor and has to go before it does.
class Guest {
 public:
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  /// On the reactor's thread, once: it leaves now or soon.
  virtual void evict() noexcept = 0;

 protected:
  Guest() noexcept = default;
  ~Guest() = default;

 private:
  friend class GuestList;
  Guest* next_ = nullptr;
  Guest** link_ = nullptr;  ///< what points to this one
};

class GuestList {
 public:
  bool empty() const noexcept { return first_ == nullptr; }
  Guest& front() noexcept { return *first_; }
  void add(Guest& guest) noexcept {
    guest.next_ = first_;
    guest.link_ = &first_;
    if (first_ != nullptr) first_->link_ = &guest.next_;
    first_ = &guest;
  }
  /// Does nothing if it is in no list.
  static void remove(Guest& guest) noexcept {
    if (guest.link_ == nullptr) return;
    *guest.link_ = guest.next_;
    if (guest.next_ != nullptr) guest.next_->link_ = guest.link_;
    guest.link_ = nullptr;
  }

 private:
  Guest* first_ = nullptr;
};

/// First come, first served.
class WaitingLine {
 public:
  bool empty() const noexcept { return served_ == line_.size(); }
  std::size_t size() const noexcept { return line_.size() - served_; }
  void add(Endpoint& endpoint) { line_.push_back(&endpoint); }
  /// REQUIRES: it is not empty.
  Endpoint& take() noexcept {
    Endpoint& first = *line_[served_++];
    // The others move up now and then, and not each time.
    if (served_ * 2 >= line_.size()) {
      line_.erase(line_.begin(), line_.begin() + static_cast<std::ptrdiff_t>(served_));
      served_ = 0;
    }
    return first;
  }

 private:
  std::vector<Endpoint*> line_;
  std::size_t served_ = 0;
};

class Reactor : public webshocket::detail::Hub {
 public:
  static constexpr std::size_t kReadBuffer = 256 * 1024;

  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // --- any thread -----------------------------------------------------------------------------

  const webshocket::detail::Counters& counters() const noexcept { return counters_; }
  /// See `Loop::turn_began`.
  Clock::time_point turn_began() const noexcept { return loop_.turn_began(); }

  // --- its own thread -------------------------------------------------------------------------

  Loop& loop() noexcept { return loop_; }
  std::span<std::byte> read_buffer() noexcept { return read_buffer_; }
  protocol::Buffer& scratch() noexcept {
    scratch_.clear();
    return scratch_;
  }
  protocol::Buffer& deflate_scratch() noexcept {
    deflate_scratch_.clear();
    return deflate_scratch_;
  }
  Document& document() noexcept { return document_; }
  Runs& runs() noexcept { return runs_; }
  PageFile& page_file() noexcept { return page_file_; }
  std::span<iovec> parts() noexcept { return parts_; }

  std::unique_ptr<LentReader> lend_reader(Endpoint& owner, protocol::Role role);
  void take_back(std::unique_ptr<LentReader> reader, protocol::Role role) noexcept;
  std::unique_ptr<Outbox> lend_outbox();
  void take_back(std::unique_ptr<Outbox> outbox) noexcept;

  /// It has output: written at the end of the turn.
  void mark_dirty(Endpoint& endpoint) noexcept;
  /// It has output that its socket does not take. By `flush_turn`.
  void mark_stuck(Endpoint& endpoint) { stuck_.push_back(&endpoint); }
  /// It goes on with what had to wait, at the end of the turn.
  void mark_going(Endpoint& endpoint) noexcept;
  /// It goes on with its TLS handshake when those before it have: at the end of the turn, or of a
  /// later one when this turn's budget is spent. Until then nothing need be watched.
  void mark_securing(Endpoint& endpoint, bool has_begun);
  /// The same at the end of the next turn, when others have had theirs.
  void mark_next_turn(Endpoint& endpoint) noexcept;
  /// It is buried at the end of the turn. Once. Needs no memory: there was room from its beginning.
  void mark_doomed(Endpoint& endpoint) noexcept { doomed_.push_back(&endpoint); }

  /// An endpoint, to be or no more.
  void has_come();
  void has_gone() noexcept { --endpoints_; }

  /// Bytes of half-received messages, over all endpoints. False beyond the limit.
  bool take_inbound(std::size_t before, std::size_t after) noexcept;
  /// Whether all that is kept of input is within the limit.
  bool inbound_fits() const noexcept {
    if (is_over_share_) return false;
    return inbound_limit_ == 0 || inbound_bytes_ + counters_.parked_bytes.get() <= inbound_limit_;
  }
  /// The limit that it is beyond.
  std::string_view inbound_complaint() const noexcept {
    return is_over_share_ ? "memory_limit reached" : "inbound_total_limit reached";
  }
  /// The outboxes' own bytes; what they share is counted by `Runs`.
  void count_outbox(std::size_t before, std::size_t after) noexcept {
    own_outbox_bytes_ += after - before;
  }
  void count_parked(std::size_t before, std::size_t after) noexcept {
    counters_.parked_bytes.add(after - before);
  }

  /// Counts and logs what one of the user's functions threw.
  void report(std::string_view what, const std::exception_ptr& error) noexcept;

  void add_guest(Guest& guest) noexcept { guests_.add(guest); }
  void remove_guest(Guest& guest) noexcept { GuestList::remove(guest); }

  // --- Hub --------------------------------------------------------------------------------------

  Clock::time_point now() const noexcept override;
  void start_timer(webshocket::detail::TimerNode& timer, std::chrono::nanoseconds delay) override;
  void stop_timer(webshocket::detail::TimerNode& timer) noexcept override { timers_.stop(timer); }
  void defer(std::function<void()> fn) override { deferred_.push_back(std::move(fn)); }
  webshocket::detail::Calls& calls() noexcept override { return calls_; }
  webshocket::detail::Counters& counters() noexcept override { return counters_; }
  webshocket::detail::LogGate& log_gate() noexcept override { return log_gate_; }

 protected:
  /// Throws `WebSocketError` when the system refuses a loop. An `inbound_limit` of 0 is none, and a
  /// `securing_budget` too: for the TLS handshakes of one turn. A turn that is longer than
  /// `slow_turn` (0: however long) is told.
  Reactor(Inbox& inbox, std::size_t inbound_limit, std::chrono::nanoseconds securing_budget = {},
          std::chrono::nanoseconds slow_turn = {});
  ~Reactor() = default;

  void open_handles() noexcept;
  /// Runs the loop until they are closed.
  void close_handles() noexcept;

  /// What has come in for this thread. What it cannot finish in one turn it says by `inbox_left_`.
  virtual void drain_inbox() noexcept = 0;
  /// The handlers have had their turn, or a part of it: what they have for other threads leaves.
  virtual void send_off() {}
  /// The turn's work is done, and its output written.
  virtual void settle() noexcept = 0;
  /// When `settle` is to run, at the latest.
  virtual Clock::time_point settle_due() const noexcept { return Clock::time_point::max(); }

  /// A turn took too long.
  virtual void on_slow_turn(std::chrono::nanoseconds) noexcept {}

  void run_controls() noexcept;
  /// This turn is the last: nothing is taken from the inbox any more.
  void stop() noexcept {
    is_over_ = true;
    loop_.stop();
  }
  /// What was kept for the next, and what the allocator keeps, goes back to the system. It takes
  /// its time: some milliseconds after 18,000 connections.
  void give_back_memory() noexcept;
  void thin_out_spares(Clock::time_point now) noexcept;
  void evict_guests() noexcept;
  bool has_guests() const noexcept { return !guests_.empty() || !leaving_.empty(); }

  Inbox& inbox_;
  bool inbox_left_ = false;
  bool burying_ = false;  ///< on_disconnect runs
  webshocket::detail::Counters counters_;
  webshocket::detail::LogGate log_gate_;
  Runs runs_;
  PageFile page_file_;
  std::size_t inbound_bytes_ = 0;
  std::size_t own_outbox_bytes_ = 0;
  bool is_over_share_ = false;  ///< of `Config::memory_limit`: no more input is kept
  Loop loop_;
  webshocket::detail::TimerQueue timers_;
  webshocket::detail::Calls calls_;

 private:
  static constexpr std::chrono::seconds kBetweenThinningOut{10};
  static constexpr std::size_t kReadersKept = 32;
  static constexpr std::size_t kOutboxesKept = 4096;
  static constexpr std::size_t kOutboxMemoryKept = 4 * 1024 * 1024;  ///< by all of them
  static constexpr std::size_t kScratchKept = 1024 * 1024;
  static constexpr int kRoundsPerTurn = 8;
  /// What fits well into a core's own cache: it may be sent criss-cross. Of more, those who get the
  /// same should come one behind the other.
  static constexpr std::size_t kFitsCache = 256 * 1024;
  static constexpr std::size_t kAhead = 4;  ///< while the kernel takes one, others come nearer

  /// `add()`s it to one of the lists, unless it is there. If that lacks memory it is lost.
  template <class Add>
  void mark(bool& is_there, Endpoint& endpoint, Add&& add) noexcept;
  void fit_doomed() noexcept;
  void on_wake(std::uint32_t events) noexcept;
  void end_turn() noexcept;
  bool work_left() const noexcept;
  void run_round();
  void run_securing() noexcept;
  bool has_securing() const noexcept { return !begun_securing_.empty() || !new_securing_.empty(); }
  void set_alarm(Clock::time_point now) noexcept;
  void count_turn() noexcept;

  const std::size_t inbound_limit_;
  const std::chrono::nanoseconds securing_budget_;
  const std::chrono::nanoseconds slow_turn_;
  bool is_over_ = false;
  Poll wake_;
  Clock::time_point alarm_ = Clock::time_point::max();
  mutable Clock::time_point now_{};

  std::vector<std::function<void()>> deferred_;
  FlushList dirty_;
  std::vector<Endpoint*> stuck_;
  std::vector<Endpoint*> going_;
  std::vector<Endpoint*> next_turn_;  ///< will be going then
  std::vector<Endpoint*> doomed_;     ///< with room for all
  std::size_t endpoints_ = 0;
  /// Those whose handshake has begun come first: what has been spent on them would be lost if they
  /// ran out of time behind all who are new.
  WaitingLine begun_securing_;
  WaitingLine new_securing_;
  GuestList guests_;
  GuestList leaving_;  ///< evicted, and not yet gone

  std::vector<std::byte> read_buffer_;
  protocol::Buffer scratch_;
  protocol::Buffer deflate_scratch_;
  Document document_;
  std::array<iovec, 256> parts_;
  /// By role.
  std::array<Spares<LentReader>, 2> readers_{Spares<LentReader>(kReadersKept),
                                             Spares<LentReader>(kReadersKept)};
  Spares<Outbox> outboxes_{kOutboxesKept};
  std::size_t outbox_memory_kept_ = 0;
  Clock::time_point thin_out_at_{};
};

}  // namespace webshocket::shards
