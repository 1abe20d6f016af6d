/// How many connections each address has, and how fast they come.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <utility>

#include <webshocket/config.hpp>

#include "api/token_bucket.hpp"
#include "protocol/address.hpp"
#include "protocol/network.hpp"

namespace webshocket::shards {

class IpSlot;

/// Over all shards; any thread. No limit has the machine itself (loopback addresses, unix sockets),
/// and who is exempt.
///
/// An entry lives while it counts a connection or its bucket is not full, and a while longer: there
/// are never more than twice as many as that, so that who goes through many addresses gains
/// nothing.
class IpTable {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  enum class Verdict : std::uint8_t {
    fits,
    too_many,         ///< `Config::max_connections_per_ip`
    too_many_per_64,  ///< `Config::max_connections_per_64`
    too_fast,         ///< `Config::accept_rate_per_ip`
  };

  /// `exempt` outlives it.
  IpTable(const Config& config, const protocol::Networks& exempt) noexcept
      : exempt_(exempt),
        per_ip_(config.max_connections_per_ip),
        per_64_(config.max_connections_per_64),
        rate_{config.accept_rate_per_ip, config.accept_burst_per_ip} {}
  IpTable(const IpTable&) = delete;
  IpTable& operator=(const IpTable&) = delete;

  /// A connection comes from there. `slot`, which gives up what it has, is its place if it fits;
  /// none, if the address has no limit. What does not fit is counted.
  Verdict accept(const protocol::Address& from, TimePoint now, IpSlot& slot);
  /// One that has been accepted is from there, as somebody says who is believed: no matter how fast
  /// they come.
  Verdict name(const protocol::Address& from, TimePoint now, IpSlot& slot);

  std::uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }
  std::uint64_t refused_rate() const noexcept {
    return refused_rate_.load(std::memory_order_relaxed);
  }
  /// Entries, for tests.
  std::size_t size() const;

 private:
  friend class IpSlot;

  static constexpr std::size_t kStripes = 64;
  static constexpr std::size_t kLeastSwept = 64;

  /// An IPv4 address, the network of an IPv6 one, or with `is_host` that address itself.
  struct Key {
    std::array<std::byte, 16> bytes{};
    std::uint8_t family = 0;
    bool is_host = false;

    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept;
  };
  struct Stripe;
  /// Of one key. Stays where it is while it counts.
  struct Entry {
    Stripe* home = nullptr;
    Entry* network = nullptr;  ///< that an IPv6 address is in
    std::size_t count = 0;
    webshocket::detail::TokenBucket bucket;
  };
  /// An address and its network are in the same one.
  struct Stripe {
    mutable std::mutex mutex;
    std::unordered_map<Key, Entry, Hash> entries;
    std::size_t sweep_at = kLeastSwept;

    void sweep(TimePoint now);
    Entry& entry(const Key& key);
  };

  Verdict take(const protocol::Address& from, const webshocket::detail::TokenRate& rate,
               TimePoint now, IpSlot& slot);
  Verdict count(Verdict verdict) noexcept;

  const protocol::Networks& exempt_;
  const std::size_t per_ip_;
  const std::size_t per_64_;
  const webshocket::detail::TokenRate rate_;
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> refused_rate_{0};
  std::array<Stripe, kStripes> stripes_;
};

/// A connection that counts for its address, until the end of this. The table outlives it.
class IpSlot {
 public:
  IpSlot() noexcept = default;
  IpSlot(IpSlot&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
  IpSlot& operator=(IpSlot&& other) noexcept {
    std::swap(entry_, other.entry_);
    return *this;
  }
  ~IpSlot() { release(); }

  void release() noexcept;
  explicit operator bool() const noexcept { return entry_ != nullptr; }

 private:
  friend class IpTable;

  IpTable::Entry* entry_ = nullptr;
};

}  // namespace webshocket::shards
