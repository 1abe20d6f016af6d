/// Publishes that wait for their tick, to leave together.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <webshocket/detail/hub.hpp>

#include "api/counters.hpp"
#include "shards/bus.hpp"

namespace webshocket::shards {

/// One shard's. Ticks of one length are those of one clock, on all shards and for all channels: so
/// a connection gets what several rooms have for it in one go, too. One thread.
class Ticks {
 public:
  /// A `limit` of 0 is none.
  Ticks(webshocket::detail::Hub& hub, Receiver& receiver, std::size_t limit) noexcept
      : hub_(hub), receiver_(receiver), limit_(limit) {}
  Ticks(const Ticks&) = delete;
  Ticks& operator=(const Ticks&) = delete;
  ~Ticks();

  /// It leaves at the next tick of its length; at once, and all that waits with it, if more than
  /// the limit waits. One with the same channel, key and predicate that waits already is dropped.
  /// REQUIRES: it has a tick.
  void add(std::shared_ptr<const Delivery> delivery);
  /// What waits leaves now.
  void release() noexcept;

  std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Key {
    Delivery::Target target;
    std::size_t route;
    std::string_view channel;
    std::string_view key;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      const std::hash<std::string_view> hash;
      return (hash(key.channel) * 31 + key.route) * 31 + hash(key.key);
    }
  };
  /// What leaves at one tick.
  struct Batch final : webshocket::detail::TimerNode {
    Batch(Ticks& its_ticks, std::chrono::milliseconds its_length) noexcept
        : ticks(its_ticks), length(its_length) {}
    void fire() noexcept override { ticks.release(*this); }

    Ticks& ticks;
    const std::chrono::milliseconds length;
    std::vector<std::shared_ptr<const Delivery>> waiting;  ///< null: a newer one came
    std::unordered_map<Key, std::size_t, KeyHash> newest;  ///< where in `waiting`
    std::size_t replaced = 0;                              ///< how many are null
  };

  Batch& batch_of(std::chrono::milliseconds length);
  static Key key_of(const Delivery& delivery) noexcept {
    return {delivery.target, delivery.route, delivery.channel, delivery.key};
  }
  /// `newest` is the last that waits.
  void conflate(Batch& batch, const Delivery& newest) noexcept;
  void replace_older(Batch& batch, const Delivery& newer);
  static void close_gaps(Batch& batch);
  void release(Batch& batch) noexcept;
  void count(std::size_t bytes) noexcept;

  webshocket::detail::Hub& hub_;
  Receiver& receiver_;
  const std::size_t limit_;
  std::size_t bytes_ = 0;
  std::vector<std::unique_ptr<Batch>> batches_;  ///< one per length, and so a few
};

}  // namespace webshocket::shards
