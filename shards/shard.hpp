/// One thread: a loop, its connections and channels, and the handlers.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <webshocket/connection.hpp>
#include <webshocket/handler.hpp>

#include "protocol/http.hpp"
#include "shards/bus.hpp"
#include "shards/channels.hpp"
#include "shards/connection_table.hpp"
#include "shards/reactor.hpp"
#include "shards/site.hpp"
#include "shards/tcp_connection.hpp"
#include "shards/ticks.hpp"

namespace webshocket::shards {

/// What came of a delivery.
struct Outcome {
  std::size_t delivered = 0;
  std::size_t dropped = 0;
  std::size_t lost = 0;         ///< for want of memory, and the connection with it
  std::size_t passed_over = 0;  ///< by the predicate, or for want of its form

  std::size_t tried() const noexcept { return delivered + dropped + lost + passed_over; }
};

class Shard final : public Reactor, private Receiver {
 public:
  /// Does not start yet. Throws `WebSocketError` when the system refuses a loop.
  Shard(Site& site, std::size_t index);
  ~Shard();

  // --- any thread -----------------------------------------------------------------------------

  /// Starts the thread and builds the handlers on it. Throws what they throw; then the thread is
  /// gone.
  void start();
  /// Waits for the thread's end.
  void join();

  // --- instead of that, on a thread that is lent to it: for who decides what happens when --------

  /// Builds the handlers. Throws what they throw: then what they have begun has to end first.
  void begin();
  /// One turn of the loop, without sleep. False if there was nothing to do and nothing is left.
  bool turn() noexcept { return loop_.turn(); }
  /// Its last turn was the last: `end` has been called, and all is quiet.
  bool has_ended() const noexcept { return loop_.is_stopped(); }
  /// Destroys the handlers. REQUIRES: it has ended.
  void finish() noexcept;

  // --- its own thread: the engine posts these -------------------------------------------------

  void adopt(Adoption adoption) noexcept;
  /// Takes no more, lets accepted calls end, closes with 1001: some connections after the others,
  /// and until it is its turn each is served. `drained` is called when the last one has gone, at
  /// the latest after `timeout`.
  void drain(std::chrono::milliseconds timeout, std::function<void()> drained) noexcept;
  /// What still drains is cut off.
  void hurry() noexcept;
  /// `on_stop`, and the end of background tasks; then `quiet` is called.
  void quiesce(std::function<void()> quiet) noexcept;
  /// The thread ends.
  void end() noexcept;

  Handler& handler(std::size_t route) noexcept { return *handlers_[route]; }

  // --- its own thread: its connections --------------------------------------------------------

  Site& site() const noexcept { return site_; }
  Channels& subscriptions() noexcept { return channels_; }
  Census& census() noexcept { return site_.bus->census(); }
  bool draining() const noexcept { return draining_; }
  /// For who asks for an upgrade meanwhile.
  static protocol::HttpError going_away();
  /// What a CLOSE for the drain says: when its client shall come back.
  std::string parting_words() const;
  const EndpointRules& rules() const noexcept { return rules_; }
  const DecodeLimits& decode_limits() const noexcept { return decode_limits_; }
  /// Of connections that have none of their own.
  const OutboxRule& outbox_rule() const noexcept { return outbox_rule_; }
  const OutboxRules& outbox_rules() const noexcept { return site_.bus->outboxes(); }

  void enter(TcpConnection& connection);
  void leave(TcpConnection& connection) noexcept;
  void came(TcpConnection&) noexcept { ++live_; }
  void gone(TcpConnection&) noexcept { --live_; }
  void forget(TcpConnection& connection) noexcept { table_.erase(connection); }
  bool at_call_limit() const noexcept {
    const std::size_t limit = site_.config.rpc_task_limit_per_shard;
    return limit != 0 && calls_.rpc_size() >= limit;
  }
  void wait_for_call_limit(TcpConnection& connection);

  // --- Hub --------------------------------------------------------------------------------------

  const Config& config() const noexcept override { return site_.config; }
  std::size_t shard() const noexcept override { return index_; }
  std::size_t shard_count() const noexcept override { return site_.bus->shards(); }
  void log(LogLevel level, std::string_view text) const noexcept override;
  void offload(webshocket::detail::OffloadJob& job) override;
  void gather(const Handler& asker, webshocket::detail::GatherJob& job) override;
  std::shared_ptr<webshocket::detail::Mailbox> mailbox() const override { return mailbox_; }
  std::weak_ptr<webshocket::detail::Router> router() const override { return site_.bus; }
  bool publish(const Handler& from, std::span<const std::string_view> channels,
               const Content& content, const Predicate& predicate) override;
  bool broadcast(const Handler& from, const Content& content, const Predicate& predicate) override;
  std::vector<Connection*> subscribers(const Handler& of, std::string_view channel) override;
  std::vector<std::string> channels() const override;
  std::size_t client_count() const noexcept override { return site_.connections.used(); }

 private:
  /// What makes a thread this shard's.
  struct Presence {
    explicit Presence(Shard& shard)
        : current(shard), membership(*shard.site_.bus, shard.index_, shard) {}
    Current current;
    Bus::Membership membership;
  };

  static constexpr std::size_t kRecipientsPerTurn = 16'384;
  // Memory goes back when three of four have left, of so many that it is worth it; and when the
  // crowd has passed, as those who are leaving need some of it.
  static constexpr std::size_t kCrowd = 1'000;
  static constexpr std::size_t kFlood = 16 * 1024 * 1024;
  static constexpr std::chrono::seconds kCrowdPasses{1};
  static constexpr std::chrono::minutes kBetweenGivingBack{1};

  void run(std::function<void(std::exception_ptr)> started) noexcept;
  /// Throws `UsageError` where the system does not let it run.
  void pin() const;
  void build_handlers();

  void send_off() override { presence_->membership.send_off(); }
  void settle() noexcept override;
  void on_slow_turn(std::chrono::nanoseconds took) noexcept override;
  Clock::time_point settle_due() const noexcept override {
    return std::min({leave_at_, close_all_at_, cut_off_at_, give_back_at_});
  }
  void settle_stages() noexcept;
  void send_some_away() noexcept;
  void cut_off_all() noexcept;
  /// What it keeps of messages.
  std::size_t kept_bytes() const noexcept {
    return own_outbox_bytes_ + runs_.bytes() + inbound_bytes_ + counters_.parked_bytes.get();
  }
  void check_memory() noexcept;
  /// Closes the longest outboxes, until all of them are at most `limit` bytes.
  void close_longest(std::size_t limit, std::string_view reason) noexcept;
  void settle_memory() noexcept;

  // fan_out.cpp
  void drain_inbox() noexcept override;
  bool receive(const Delivery& delivery) noexcept override;
  bool give_to_followers(const Delivery& delivery, const Content& content,
                         std::size_t fragment_size) override;
  void hold(std::shared_ptr<const Delivery> delivery) override;
  Outcome deliver(const Delivery& delivery) noexcept;
  Outcome deliver_to_one(const Delivery& delivery) noexcept;
  Audience audience_of(const Delivery& delivery) const noexcept;
  /// How many they are; 0: each is to be given it.
  std::size_t append_for_followers(const Audience& audience, const Delivery& delivery) noexcept;
  Outcome has_given(std::size_t followers) noexcept;
  void count(const Outcome& outcome) noexcept;
  bool run_work(const Delivery& delivery) noexcept;

  Site& site_;
  const std::size_t index_;
  const DecodeLimits decode_limits_;
  const EndpointRules rules_;
  const OutboxRule outbox_rule_;
  std::shared_ptr<webshocket::detail::Mailbox> mailbox_;

  std::vector<std::unique_ptr<Handler>> handlers_;
  Channels channels_;
  ConnectionTable table_;
  Ticks ticks_;
  std::optional<Presence> presence_;  ///< from `begin` to `finish`
  std::size_t live_ = 0;        ///< connection objects, those included that have left the table
  std::size_t most_live_ = 0;   ///< since memory was given back
  std::size_t most_bytes_ = 0;  ///< the same of what it kept of messages
  std::size_t told_bytes_ = 0;  ///< to the site's budget
  Clock::time_point gave_back_at_{};
  Clock::time_point give_back_at_ = Clock::time_point::max();
  std::vector<Uid> wait_for_call_limit_;

  bool draining_ = false;
  bool stopped_ = false;       ///< on_stop has run
  bool ended_ = false;         ///< nobody needs it any more
  std::vector<Uid> to_leave_;  ///< who is still served while it drains; the next ones at the end
  std::size_t leave_at_once_ = 0;
  Clock::time_point leave_at_ = Clock::time_point::max();
  Clock::time_point close_all_at_ = Clock::time_point::max();
  Clock::time_point cut_off_at_ = Clock::time_point::max();
  std::function<void()> drained_;
  std::function<void()> quiet_;

  std::thread thread_;
};

}  // namespace webshocket::shards
