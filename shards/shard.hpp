/// One thread: a loop, its connections and channels, and the handlers.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <webshocket/connection.hpp>
#include <webshocket/handler.hpp>

#include "api/calls.hpp"
#include "api/counters.hpp"
#include "api/timer_queue.hpp"
#include "protocol/buffer.hpp"
#include "protocol/frame_reader.hpp"
#include "shards/bus.hpp"
#include "shards/channels.hpp"
#include "shards/connection_table.hpp"
#include "shards/loop.hpp"
#include "shards/outbox.hpp"
#include "shards/site.hpp"
#include "shards/tcp_connection.hpp"

namespace webshocket::shards {

class Shard final : public webshocket::detail::Hub, private Receiver {
 public:
  static constexpr std::size_t kReadBuffer = 64 * 1024;

  /// Does not start yet. Throws `WebSocketError` when the system refuses a loop.
  Shard(Site& site, std::size_t index);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // --- any thread -----------------------------------------------------------------------------

  /// Starts the thread and builds the handlers on it. Throws what they throw; then the thread is
  /// gone.
  void start();
  /// Waits for the thread's end.
  void join();
  const webshocket::detail::Counters& counters() const noexcept { return counters_; }

  // --- its own thread: the engine posts these -------------------------------------------------

  void adopt(Adoption adoption) noexcept;
  /// Takes no more, lets accepted calls end, closes with 1001. `drained` is called when the last
  /// connection has gone, at the latest after `timeout`.
  void drain(std::chrono::milliseconds timeout, std::function<void()> drained) noexcept;
  /// What still drains is cut off.
  void hurry() noexcept;
  /// `on_stop`, and the end of background tasks; then `quiet` is called.
  void quiesce(std::function<void()> quiet) noexcept;
  /// The thread ends.
  void end() noexcept;

  Handler& handler(std::size_t route) noexcept { return *handlers_[route]; }

  // --- its own thread: its connections --------------------------------------------------------

  Site& site() noexcept { return site_; }
  Loop& loop() noexcept { return loop_; }
  Channels& subscriptions() noexcept { return channels_; }
  Census& census() noexcept { return site_.bus->census(); }
  bool draining() const noexcept { return draining_; }
  std::span<std::byte> read_buffer() noexcept { return read_buffer_; }
  protocol::Buffer& scratch() noexcept {
    scratch_.clear();
    return scratch_;
  }
  Document& document() noexcept { return document_; }
  const DecodeLimits& decode_limits() const noexcept { return decode_limits_; }

  std::unique_ptr<protocol::FrameReader> lend_reader();
  void take_back(std::unique_ptr<protocol::FrameReader> reader) noexcept;
  std::unique_ptr<Outbox> lend_outbox();
  void take_back(std::unique_ptr<Outbox> outbox) noexcept;

  void enter(TcpConnection& connection);
  void leave(TcpConnection& connection) noexcept;
  void came(TcpConnection&) noexcept { ++live_; }
  void gone(TcpConnection&) noexcept { --live_; }
  void mark_dirty(TcpConnection& connection);
  void mark_going(TcpConnection& connection);
  void mark_doomed(TcpConnection& connection) { doomed_.push_back(&connection); }

  /// Bytes of half-received messages, over all connections.
  bool take_inbound(std::size_t before, std::size_t after) noexcept;
  /// The outboxes' own bytes; what they share is counted by `SharedBytes`.
  void count_outbox(std::size_t before, std::size_t after) noexcept {
    own_outbox_bytes_ += after - before;
  }
  void count_parked(std::size_t before, std::size_t after) noexcept {
    counters_.parked_bytes.add(after - before);
  }
  bool at_call_limit() const noexcept {
    const std::size_t limit = site_.config.rpc_task_limit_per_shard;
    return limit != 0 && calls_.rpc_size() >= limit;
  }
  void wait_for_call_limit(TcpConnection& connection);
  iovec* parts() noexcept { return parts_.data(); }
  std::size_t part_count() const noexcept { return parts_.size(); }

  // --- Hub --------------------------------------------------------------------------------------

  const Config& config() const noexcept override { return site_.config; }
  std::size_t shard() const noexcept override { return index_; }
  std::size_t shard_count() const noexcept override { return site_.bus->shards(); }
  Clock::time_point now() const noexcept override;
  void log(LogLevel level, std::string_view text) const noexcept override;
  void start_timer(webshocket::detail::TimerNode& timer, std::chrono::nanoseconds delay) override;
  void stop_timer(webshocket::detail::TimerNode& timer) noexcept override { timers_.stop(timer); }
  void defer(std::function<void()> fn) override { deferred_.push_back(std::move(fn)); }
  void offload(webshocket::detail::OffloadJob& job) override;
  void gather(const Handler& asker, webshocket::detail::GatherJob& job) override;
  std::shared_ptr<webshocket::detail::Mailbox> mailbox() const override { return mailbox_; }
  std::weak_ptr<webshocket::detail::Router> router() const override { return site_.bus; }
  webshocket::detail::Calls& calls() noexcept override { return calls_; }
  webshocket::detail::Counters& counters() noexcept override { return counters_; }
  bool publish(const Handler& from, std::span<const std::string_view> channels,
               const Content& content, const Predicate& predicate) override;
  bool broadcast(const Handler& from, const Content& content, const Predicate& predicate) override;
  std::vector<Connection*> subscribers(const Handler& of, std::string_view channel) override;
  std::vector<std::string> channels() const override;
  std::size_t client_count() const noexcept override { return site_.connections.used(); }

 private:
  static constexpr std::size_t kReadersKept = 32;
  static constexpr std::size_t kOutboxesKept = 4096;
  static constexpr std::size_t kRecipientsPerTurn = 16'384;
  static constexpr int kRoundsPerTurn = 8;

  void run(std::function<void(std::exception_ptr)> started) noexcept;
  void build_handlers();
  void open_handles() noexcept;
  void close_handles() noexcept;

  void on_wake(int status, int events) noexcept;
  void on_timer() noexcept;
  void end_turn() noexcept;
  bool work_left() const noexcept;
  void run_round();
  void arm_timer() noexcept;
  void settle_stages() noexcept;
  void check_outbox_total() noexcept;

  // fan_out.cpp
  void drain_inbox() noexcept;
  bool receive(const Delivery& delivery) noexcept override;
  struct Outcome {
    std::size_t tried = 0;
    std::size_t delivered = 0;
    std::size_t dropped = 0;
  };
  Outcome deliver(const Delivery& delivery) noexcept;
  bool run_work(const Delivery& delivery) noexcept;

  Site& site_;
  const std::size_t index_;
  const DecodeLimits decode_limits_;
  Inbox& inbox_;
  std::shared_ptr<webshocket::detail::Mailbox> mailbox_;
  webshocket::detail::Counters counters_;
  SharedBytes shared_bytes_;
  Loop loop_;
  Poll wake_;
  Timer timer_;
  EndOfTurn end_of_turn_;
  StayAwake stay_awake_;
  webshocket::detail::TimerQueue timers_;
  Clock::time_point timer_due_ = Clock::time_point::max();
  mutable Clock::time_point now_{};

  std::vector<std::unique_ptr<Handler>> handlers_;
  Channels channels_;
  ConnectionTable table_;
  std::size_t live_ = 0;  ///< connection objects, those included that have left the table
  webshocket::detail::Calls calls_;

  std::vector<std::function<void()>> deferred_;
  std::vector<TcpConnection*> dirty_;
  std::vector<TcpConnection*> going_;
  std::vector<TcpConnection*> doomed_;
  std::vector<Uid> wait_for_call_limit_;
  bool inbox_left_ = false;

  std::vector<std::byte> read_buffer_;
  protocol::Buffer scratch_;
  Document document_;
  std::array<iovec, 256> parts_;
  std::vector<std::unique_ptr<protocol::FrameReader>> readers_;
  std::vector<std::unique_ptr<Outbox>> outboxes_;
  std::size_t inbound_bytes_ = 0;
  std::size_t own_outbox_bytes_ = 0;

  bool draining_ = false;
  bool burying_ = false;  ///< on_disconnect runs
  bool stopped_ = false;  ///< on_stop has run
  Clock::time_point close_all_at_ = Clock::time_point::max();
  Clock::time_point cut_off_at_ = Clock::time_point::max();
  std::function<void()> drained_;
  std::function<void()> quiet_;

  std::thread thread_;
};

}  // namespace webshocket::shards
