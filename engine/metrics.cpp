// Counters of many shards, as one.

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <tuple>

#include "api/counters.hpp"
#include "engine/engine.hpp"

namespace webshocket::engine {
namespace {

struct Field {
  detail::Counter detail::Counters::*counter;
  std::uint64_t Stats::Shard::*value;
};

constexpr Field kFields[] = {
    {&detail::Counters::connections, &Stats::Shard::connections},
    {&detail::Counters::handshakes_pending, &Stats::Shard::handshakes_pending},
    {&detail::Counters::connections_total, &Stats::Shard::connections_total},
    {&detail::Counters::http_requests, &Stats::Shard::http_requests},
    {&detail::Counters::upgrades_rejected, &Stats::Shard::upgrades_rejected},
    {&detail::Counters::handshakes_timed_out, &Stats::Shard::handshakes_timed_out},
    {&detail::Counters::keep_alives_refused, &Stats::Shard::keep_alives_refused},
    {&detail::Counters::keep_alives_timed_out, &Stats::Shard::keep_alives_timed_out},
    {&detail::Counters::proxy_headers_rejected, &Stats::Shard::proxy_headers_rejected},
    {&detail::Counters::tls_handshakes, &Stats::Shard::tls_handshakes},
    {&detail::Counters::tls_resumptions, &Stats::Shard::tls_resumptions},
    {&detail::Counters::tls_handshake_failures, &Stats::Shard::tls_handshake_failures},
    {&detail::Counters::tls_handshakes_waiting, &Stats::Shard::tls_handshakes_waiting},
    {&detail::Counters::messages_received, &Stats::Shard::messages_received},
    {&detail::Counters::bytes_received, &Stats::Shard::bytes_received},
    {&detail::Counters::messages_inflated, &Stats::Shard::messages_inflated},
    {&detail::Counters::inflate_bytes_in, &Stats::Shard::inflate_bytes_in},
    {&detail::Counters::inflate_bytes_out, &Stats::Shard::inflate_bytes_out},
    {&detail::Counters::messages_sent, &Stats::Shard::messages_sent},
    {&detail::Counters::bytes_sent, &Stats::Shard::bytes_sent},
    {&detail::Counters::messages_deflated, &Stats::Shard::messages_deflated},
    {&detail::Counters::deflate_bytes_in, &Stats::Shard::deflate_bytes_in},
    {&detail::Counters::deflate_bytes_out, &Stats::Shard::deflate_bytes_out},
    {&detail::Counters::packets_unknown, &Stats::Shard::packets_unknown},
    {&detail::Counters::packets_too_deep, &Stats::Shard::packets_too_deep},
    {&detail::Counters::packets_too_large, &Stats::Shard::packets_too_large},
    {&detail::Counters::messages_limited, &Stats::Shard::messages_limited},
    {&detail::Counters::messages_timed_out, &Stats::Shard::messages_timed_out},
    {&detail::Counters::receives_paused, &Stats::Shard::receives_paused},
    {&detail::Counters::subscriptions_refused, &Stats::Shard::subscriptions_refused},
    {&detail::Counters::rpc_calls, &Stats::Shard::rpc_calls},
    {&detail::Counters::rpc_errors, &Stats::Shard::rpc_errors},
    {&detail::Counters::calls_parked, &Stats::Shard::calls_parked},
    {&detail::Counters::calls_in_flight, &Stats::Shard::calls_in_flight},
    {&detail::Counters::deliveries, &Stats::Shard::deliveries},
    {&detail::Counters::deliveries_written, &Stats::Shard::deliveries_written},
    {&detail::Counters::deliveries_discarded, &Stats::Shard::deliveries_discarded},
    {&detail::Counters::dropped_new, &Stats::Shard::dropped_new},
    {&detail::Counters::dropped_old, &Stats::Shard::dropped_old},
    {&detail::Counters::dropped_conflated, &Stats::Shard::dropped_conflated},
    {&detail::Counters::dropped_disconnect, &Stats::Shard::dropped_disconnect},
    {&detail::Counters::sends_dropped, &Stats::Shard::sends_dropped},
    {&detail::Counters::conflated, &Stats::Shard::conflated},
    {&detail::Counters::ticks_early, &Stats::Shard::ticks_early},
    {&detail::Counters::slow_consumers, &Stats::Shard::slow_consumers},
    {&detail::Counters::writes_timed_out, &Stats::Shard::writes_timed_out},
    {&detail::Counters::protocol_errors, &Stats::Shard::protocol_errors},
    {&detail::Counters::handler_errors, &Stats::Shard::handler_errors},
    {&detail::Counters::predicate_errors, &Stats::Shard::predicate_errors},
    {&detail::Counters::allocation_failures, &Stats::Shard::allocation_failures},
    {&detail::Counters::slow_callbacks, &Stats::Shard::slow_callbacks},
    {&detail::Counters::pings_unanswered, &Stats::Shard::pings_unanswered},
    {&detail::Counters::closes_timed_out, &Stats::Shard::closes_timed_out},
    {&detail::Counters::drains_cut_off, &Stats::Shard::drains_cut_off},
    {&detail::Counters::accepts_refused, &Stats::Shard::accepts_refused},
    {&detail::Counters::outbox_bytes, &Stats::Shard::outbox_bytes},
    {&detail::Counters::inbound_bytes, &Stats::Shard::inbound_bytes},
    {&detail::Counters::parked_bytes, &Stats::Shard::parked_bytes},
    {&detail::Counters::tick_bytes, &Stats::Shard::tick_bytes},
};
constexpr std::size_t kTurns = std::tuple_size_v<decltype(Stats::Shard::turns)>;
static_assert(std::tuple_size_v<decltype(detail::Counters::turns)> == kTurns);
// All, what `derive` and an inbox know, and the turns.
static_assert(sizeof(Stats::Shard) == (std::size(kFields) + 3 + kTurns) * sizeof(std::uint64_t));

void derive(Stats::Shard& shard) noexcept {
  shard.deliveries_dropped =
      shard.dropped_new + shard.dropped_old + shard.dropped_conflated + shard.dropped_disconnect;
  const std::uint64_t settled =
      shard.deliveries_written + shard.deliveries_dropped + shard.deliveries_discarded;
  // Read a moment apart, they may disagree.
  shard.deliveries_waiting = shard.deliveries - std::min(shard.deliveries, settled);
}

Stats::Shard read(const detail::Counters& from, const shards::Inbox& inbox) noexcept {
  Stats::Shard shard;
  for (const Field& field : kFields) shard.*field.value = (from.*field.counter).get();
  shard.inbox_refused = inbox.refused();
  derive(shard);
  for (std::size_t i = 0; i < kTurns; ++i) shard.turns[i] = from.turns[i].get();
  return shard;
}

void add(Stats::Shard& to, const Stats::Shard& from) noexcept {
  for (const Field& field : kFields) to.*field.value += from.*field.value;
  to.inbox_refused += from.inbox_refused;
  derive(to);
  for (std::size_t i = 0; i < kTurns; ++i) to.turns[i] += from.turns[i];
}

}  // namespace

Stats Engine::stats() const {
  Stats stats;
  const std::scoped_lock lock(mutex_);
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    const auto& shard = std::as_const(*shards_[i]);
    stats.shards.push_back(read(shard.counters(), site_.bus->inbox(i)));
    add(stats.total, stats.shards.back());
  }
  // The bus may be in the making until then.
  if (!shards_.empty()) {
    const shards::DeflateTotals deflated = site_.bus->deflated();
    stats.shared_deflated = deflated.messages;
    stats.shared_deflate_bytes_in = deflated.bytes_in;
    stats.shared_deflate_bytes_out = deflated.bytes_out;
  }
  stats.accepted = accept_counters_.accepted.load(std::memory_order_relaxed);
  stats.refused = accept_counters_.refused.load(std::memory_order_relaxed);
  stats.refused_per_ip = site_.ips.refused();
  stats.refused_rate = site_.ips.refused_rate();
  stats.accepts_paused = accept_counters_.paused.load(std::memory_order_relaxed);
  stats.accept_errors = accept_counters_.errors.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace webshocket::engine
