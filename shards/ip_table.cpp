#include "shards/ip_table.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cstdint>

#include "shards/random_seed.hpp"

namespace webshocket::shards {
namespace {

constexpr std::size_t kNetworkBytes = 8;  // of an IPv6 address: its /64

bool has_limits(const protocol::Address& address) noexcept {
  if (address.family == 4) return address.bytes[0] != std::byte{127};
  if (address.family != 6) return false;
  std::array<std::byte, 16> loopback{};
  loopback[15] = std::byte{1};
  return address.bytes != loopback;
}

}  // namespace

std::size_t IpTable::Hash::operator()(const Key& key) const noexcept {
  // Who has many networks could choose those that collide.
  static const std::uint64_t seed = random_seed();
  return XXH3_64bits_withSeed(key.bytes.data(), key.bytes.size(), seed) + key.family;
}

void IpTable::Stripe::sweep(TimePoint now) {
  if (entries.size() < sweep_at) return;
  std::erase_if(entries, [now](const auto& each) {
    return each.second.count == 0 && each.second.bucket.is_full(now);
  });
  sweep_at = std::max(kLeastSwept, 2 * entries.size());
}

IpTable::Entry& IpTable::Stripe::entry(const Key& key) {
  Entry& entry = entries[key];
  // Who releases a slot reads it before it has the lock.
  if (entry.home == nullptr) entry.home = this;
  return entry;
}

IpTable::Verdict IpTable::accept(const protocol::Address& from, TimePoint now, IpSlot& slot) {
  return count(take(from, rate_, now, slot));
}

IpTable::Verdict IpTable::name(const protocol::Address& from, TimePoint now, IpSlot& slot) {
  return count(take(from, {}, now, slot));
}

IpTable::Verdict IpTable::take(const protocol::Address& from,
                               const webshocket::detail::TokenRate& rate, TimePoint now,
                               IpSlot& slot) {
  slot.release();
  if (per_ip_ == 0 && per_64_ == 0 && !rate) return Verdict::fits;
  if (!has_limits(from) || exempt_.contains(from)) return Verdict::fits;
  Key network{from.bytes, from.family};
  if (from.family == 6) {
    std::fill(network.bytes.begin() + kNetworkBytes, network.bytes.end(), std::byte{});
  }
  Stripe& stripe = stripes_[Hash()(network) % kStripes];
  const std::scoped_lock lock(stripe.mutex);
  stripe.sweep(now);
  Entry* const whole = &stripe.entry(network);
  Entry* const host = from.family == 6 ? &stripe.entry({from.bytes, from.family, true}) : whole;
  if (!whole->bucket.take(rate, now)) return Verdict::too_fast;
  if (per_ip_ != 0 && host->count >= per_ip_) return Verdict::too_many;
  if (host != whole) {
    if (per_64_ != 0 && whole->count >= per_64_) return Verdict::too_many_per_64;
    host->network = whole;
    ++whole->count;
  }
  ++host->count;
  slot.entry_ = host;
  return Verdict::fits;
}

IpTable::Verdict IpTable::count(Verdict verdict) noexcept {
  if (verdict == Verdict::too_fast) {
    refused_rate_.fetch_add(1, std::memory_order_relaxed);
  } else if (verdict != Verdict::fits) {
    refused_.fetch_add(1, std::memory_order_relaxed);
  }
  return verdict;
}

std::size_t IpTable::size() const {
  std::size_t size = 0;
  for (const Stripe& stripe : stripes_) {
    const std::scoped_lock lock(stripe.mutex);
    size += stripe.entries.size();
  }
  return size;
}

void IpSlot::release() noexcept {
  IpTable::Entry* const entry = std::exchange(entry_, nullptr);
  if (entry == nullptr) return;
  const std::scoped_lock lock(entry->home->mutex);
  --entry->count;
  if (entry->network != nullptr) --entry->network->count;
}

}  // namespace webshocket::shards
