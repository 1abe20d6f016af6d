/// Where shards meet: an inbox each, and the bus that knows them all.
///
/// Order: what one thread posts to one shard arrives in that order, and nothing is promised between
/// threads; that is what the queue gives per producer. Bound: bytes per inbox, reserved in every
/// target before anything is posted, so a publish reaches all of them or none. No shard ever waits
/// for another.
#pragma once

#include <concurrentqueue/concurrentqueue.h>

#include <array>
#include <atomic>
#include <bitset>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <webshocket/detail/hub.hpp>
#include <webshocket/predicate.hpp>

#include "shards/census.hpp"
#include "shards/message.hpp"
#include "shards/outbox_rules.hpp"
#include "shards/run.hpp"
#include "shards/tick_rules.hpp"

namespace webshocket::shards {

/// A message and to whom; or a piece of work for a connection's shard. Borrows names.
struct Delivery {
  enum class Target : std::uint8_t { one, channel, everybody };
  static constexpr std::size_t kAllRoutes = static_cast<std::size_t>(-1);

  Target target = Target::one;
  Uid uid = {};  ///< of one
  std::string_view channel = {};
  std::uint64_t hash = 0;          ///< of the channel, by the census and in every shard
  std::size_t route = kAllRoutes;  ///< of everybody
  Predicate predicate = {};
  std::shared_ptr<const Message> message = {};
  std::uint64_t moment = 0;              ///< by the census, before it was made: see `Census::made`
  std::chrono::milliseconds tick{0};     ///< it waits for; 0: for none
  std::string_view key = {};             ///< see `PublishOptions::key`
  std::uint64_t key_hash = Run::kNoKey;  ///< of it
  std::uint8_t rule = OutboxRules::kNone;      ///< of the channel
  std::function<void(Connection&)> work = {};  ///< instead of a message, for one

  /// Of the packet that it is sent as.
  PacketSource source() const noexcept {
    switch (target) {
      case Target::channel:
        return PacketSource::channel;
      case Target::everybody:
        return PacketSource::broadcast;
      case Target::one:
        break;
    }
    return PacketSource::custom;
  }
  std::optional<std::string_view> packet_channel() const noexcept {
    return target == Target::channel ? std::optional(channel) : std::nullopt;
  }
  /// What it takes of an inbox's bound.
  std::size_t cost() const noexcept {
    constexpr std::size_t kEnvelope = 256;
    return (message == nullptr ? 0 : message->size()) + kEnvelope;
  }
};

/// One that outlives the call that it comes from. Immutable.
class PostedDelivery final : public Delivery {
 public:
  explicit PostedDelivery(Delivery delivery)
      : Delivery(std::move(delivery)), channel_(Delivery::channel), key_(Delivery::key) {
    Delivery::channel = channel_;
    Delivery::key = key_;
  }
  PostedDelivery(const PostedDelivery&) = delete;
  PostedDelivery& operator=(const PostedDelivery&) = delete;

 private:
  std::string channel_;
  std::string key_;
};

/// One shard's queue. Posting: any thread. Taking: the shard's.
class Inbox {
 public:
  Inbox();
  ~Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  using Control = std::function<void()>;
  using Queue = moodycamel::ConcurrentQueue<std::shared_ptr<const Delivery>>;

  /// False if the bound (0: none) would be passed.
  bool reserve(std::size_t bytes, std::size_t limit) noexcept;
  void give_back(std::size_t bytes) noexcept { bytes_.fetch_sub(bytes, std::memory_order_relaxed); }
  /// False if there is no memory for it: refused, as if it was full.
  bool post(moodycamel::ProducerToken& token, std::shared_ptr<const Delivery> delivery);
  /// All of them in one operation; leaves them empty. What there is no memory for is refused.
  void post_all(moodycamel::ProducerToken& token,
                std::span<std::shared_ptr<const Delivery>> deliveries);
  /// Never refused: without memory it waits for what the shard takes.
  void post_control(Control control);
  /// Costs a system call only if the shard sleeps.
  void wake() noexcept;

  /// Becomes readable when the shard is to look.
  int descriptor() const noexcept { return event_; }
  /// Before the queues are looked at: whoever posts from here on wakes again.
  void clear_wake() noexcept;
  bool take(Control& control) { return control_.try_dequeue(control); }
  bool take(std::shared_ptr<const Delivery>& delivery) {
    if (next_taken_ == taken_count_ && !take_batch()) return false;
    delivery = std::move(taken_[next_taken_++]);
    return true;
  }
  /// The shard takes nothing more: what is there is destroyed, and what still comes, by who posts
  /// it.
  void abandon() noexcept;

  std::uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }
  Queue& queue() noexcept { return queue_; }

 private:
  bool take_batch();
  void discard() noexcept;

  Queue queue_;
  moodycamel::ConsumerToken consumer_;
  std::array<std::shared_ptr<const Delivery>, 32> taken_;  ///< the shard's: out of the queue
  std::size_t next_taken_ = 0;
  std::size_t taken_count_ = 0;
  moodycamel::ConcurrentQueue<Control> control_;
  int event_;
  alignas(64) std::atomic<bool> awake_{false};
  std::atomic<bool> abandoned_{false};
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::uint64_t> refused_{0};
};

/// What the bus delivers to on a shard's own thread.
class Receiver {
 public:
  /// For one: false if the connection is gone or its outbox is full.
  virtual bool receive(const Delivery& delivery) noexcept = 0;
  /// For many, before it is encoded: true if all who are to get it have it, as they follow.
  virtual bool give_to_followers(const Delivery& delivery, const Content& content,
                                 std::size_t fragment_size) = 0;
  /// The same at its tick.
  virtual void hold(std::shared_ptr<const Delivery> delivery) = 0;

 protected:
  ~Receiver() = default;
};

inline constexpr std::size_t kMostShards = 1024;

class Bus final : public webshocket::detail::Router, public std::enable_shared_from_this<Bus> {
 public:
  Bus(std::size_t shards, std::size_t inbox_limit, const Framing& framing, TickRules ticks = {},
      OutboxRules outboxes = {});
  ~Bus() override;

  std::size_t shards() const noexcept { return inboxes_.size(); }
  /// Any thread.
  std::size_t shard_of(const Uid& uid) const noexcept;
  std::size_t shard_of(std::string_view pin_key) const noexcept;
  Census& census() noexcept { return census_; }
  Inbox& inbox(std::size_t shard) noexcept { return *inboxes_[shard]; }

  /// Never refused; false when the shards have ended. Any thread.
  bool post_control(std::size_t shard, Inbox::Control control);

  /// Encodes for everybody who could want it, and posts; on a shard's own thread that shard gets it
  /// at once. False if an inbox is full or the shards have ended: then nobody got it. Any thread.
  bool publish(std::span<const std::string_view> channels, const Content& content,
               const Predicate& predicate, std::vector<std::string>* lacking = nullptr);
  bool broadcast(std::size_t route, const Content& content, const Predicate& predicate);

  SendStatus send(const Uid& uid, Form form, const Content& content,
                  std::size_t fragment_size) override;
  bool post(const Uid& uid, std::function<void(Connection&)> fn) override;

  /// As many as threads have posted at the same time, not as there have been threads.
  std::size_t producer_count() const;

  /// What was compressed for all who get it, once.
  DeflateTotals deflated() const noexcept;

  const OutboxRules& outboxes() const noexcept { return outboxes_; }

  /// From here on nothing is accepted any more.
  void close() noexcept { closed_.store(true, std::memory_order_release); }
  bool closed() const noexcept { return closed_.load(std::memory_order_acquire); }

  /// One thread's right to post in order: a token per inbox.
  struct Producer {
    std::vector<moodycamel::ProducerToken> tokens;
    bool lent = false;
  };

  /// Makes this thread a shard of this bus, as long as it lives. What it posts to other shards
  /// waits until `send_off`: so those who hear of it find all that one turn has for them, and
  /// theirs is one burst, too.
  class Membership {
   public:
    Membership(Bus& bus, std::size_t shard, Receiver& receiver);
    ~Membership();
    Membership(const Membership&) = delete;
    Membership& operator=(const Membership&) = delete;

    void send_off();

   private:
    friend class Bus;
    static constexpr std::size_t kMostWaiting = 256;
    static constexpr std::size_t kMostBytesWaiting = 1024 * 1024;
    void post(std::size_t shard, std::shared_ptr<const Delivery> delivery);

    Bus& bus_;
    const std::size_t shard_;
    Receiver& receiver_;
    Producer& producer_;
    std::vector<std::vector<std::shared_ptr<const Delivery>>> waiting_;  ///< by shard
    std::vector<std::size_t> with_waiting_;                              ///< shards
    std::size_t waiting_bytes_ = 0;
    std::shared_ptr<Message> spare_;  ///< for the next message that leaves this shard to nobody
  };

 private:
  friend class ProducerLease;
  using ShardSet = std::bitset<kMostShards>;
  /// Of a message: the forms that somebody could want it in, and who.
  struct Demand {
    Forms forms;
    std::size_t shards = 0;  ///< how many
    std::size_t shard = 0;   ///< one of them
  };
  struct Parcel {
    std::shared_ptr<const Delivery> delivery;
    ShardSet shards;
  };

  /// `forms_of(shard)`: what is wanted there.
  template <class FormsOf>
  Demand demand(FormsOf&& forms_of) const noexcept;
  template <class FormsOf>
  ShardSet shards_where(FormsOf&& forms_of) const noexcept;
  /// This thread's membership, if it is a shard.
  Membership* here() const noexcept;
  /// The same, if no other shard wants the message.
  Membership* only_here(const Demand& demand) const noexcept;
  /// At once, and without a queue; false if no form can hold it.
  bool deliver_here(Membership& here, Delivery& delivery, const Content& content,
                    const Predicate& predicate, const Demand& demand,
                    std::vector<std::string>* lacking);
  void count_deflated(const Message& message) noexcept;
  std::shared_ptr<const Message> freeze(PacketSource source,
                                        std::optional<std::string_view> channel,
                                        const Content& content, Forms forms,
                                        const Framing& framing);
  Producer& producer();
  Producer& lend_producer();
  void return_producer(Producer& producer) noexcept;
  struct Reservation;
  bool hand_out(std::span<const Parcel> parcels);
  SendStatus hand_over(std::shared_ptr<const Delivery> delivery, bool bounded);

  std::uint64_t hash_of(std::string_view key) const noexcept;

  std::size_t inbox_limit_;
  Framing framing_;
  TickRules ticks_;
  OutboxRules outboxes_;
  std::uint64_t seed_;
  std::vector<std::unique_ptr<Inbox>> inboxes_;
  Census census_;
  std::atomic<bool> closed_{false};
  std::atomic<std::uint64_t> deflated_messages_{0};
  std::atomic<std::uint64_t> deflated_in_{0};
  std::atomic<std::uint64_t> deflated_out_{0};
  mutable std::mutex
      producers_mutex_;  ///< at a thread's first post and at its end, never in between
  std::vector<std::unique_ptr<Producer>> producers_;
};

}  // namespace webshocket::shards
