// Counters of many shards, as one.

#include "api/counters.hpp"
#include "engine/engine.hpp"

namespace webshocket::engine {
namespace {

Stats::Shard read(const detail::Counters& from, const shards::Inbox& inbox) noexcept {
  return {
      .connections = from.connections.get(),
      .handshakes_pending = from.handshakes_pending.get(),
      .connections_total = from.connections_total.get(),
      .http_requests = from.http_requests.get(),
      .upgrades_rejected = from.upgrades_rejected.get(),
      .proxy_headers_rejected = from.proxy_headers_rejected.get(),
      .tls_handshakes = from.tls_handshakes.get(),
      .tls_resumptions = from.tls_resumptions.get(),
      .tls_handshake_failures = from.tls_handshake_failures.get(),
      .tls_handshakes_waiting = from.tls_handshakes_waiting.get(),
      .messages_received = from.messages_received.get(),
      .bytes_received = from.bytes_received.get(),
      .messages_inflated = from.messages_inflated.get(),
      .inflate_bytes_in = from.inflate_bytes_in.get(),
      .inflate_bytes_out = from.inflate_bytes_out.get(),
      .messages_sent = from.messages_sent.get(),
      .bytes_sent = from.bytes_sent.get(),
      .messages_deflated = from.messages_deflated.get(),
      .deflate_bytes_in = from.deflate_bytes_in.get(),
      .deflate_bytes_out = from.deflate_bytes_out.get(),
      .packets_unknown = from.packets_unknown.get(),
      .rpc_calls = from.rpc_calls.get(),
      .rpc_errors = from.rpc_errors.get(),
      .calls_in_flight = from.calls_in_flight.get(),
      .deliveries = from.deliveries.get(),
      .deliveries_dropped = from.deliveries_dropped.get(),
      .conflated = from.conflated.get(),
      .ticks_early = from.ticks_early.get(),
      .slow_consumers = from.slow_consumers.get(),
      .protocol_errors = from.protocol_errors.get(),
      .handler_errors = from.handler_errors.get(),
      .pings_unanswered = from.pings_unanswered.get(),
      .inbox_refused = inbox.refused(),
      .outbox_bytes = from.outbox_bytes.get(),
      .inbound_bytes = from.inbound_bytes.get(),
      .parked_bytes = from.parked_bytes.get(),
      .tick_bytes = from.tick_bytes.get(),
  };
}

void add(Stats::Shard& to, const Stats::Shard& from) noexcept {
  to.connections += from.connections;
  to.handshakes_pending += from.handshakes_pending;
  to.connections_total += from.connections_total;
  to.http_requests += from.http_requests;
  to.upgrades_rejected += from.upgrades_rejected;
  to.proxy_headers_rejected += from.proxy_headers_rejected;
  to.tls_handshakes += from.tls_handshakes;
  to.tls_resumptions += from.tls_resumptions;
  to.tls_handshake_failures += from.tls_handshake_failures;
  to.tls_handshakes_waiting += from.tls_handshakes_waiting;
  to.messages_received += from.messages_received;
  to.bytes_received += from.bytes_received;
  to.messages_inflated += from.messages_inflated;
  to.inflate_bytes_in += from.inflate_bytes_in;
  to.inflate_bytes_out += from.inflate_bytes_out;
  to.messages_sent += from.messages_sent;
  to.bytes_sent += from.bytes_sent;
  to.messages_deflated += from.messages_deflated;
  to.deflate_bytes_in += from.deflate_bytes_in;
  to.deflate_bytes_out += from.deflate_bytes_out;
  to.packets_unknown += from.packets_unknown;
  to.rpc_calls += from.rpc_calls;
  to.rpc_errors += from.rpc_errors;
  to.calls_in_flight += from.calls_in_flight;
  to.deliveries += from.deliveries;
  to.deliveries_dropped += from.deliveries_dropped;
  to.conflated += from.conflated;
  to.ticks_early += from.ticks_early;
  to.slow_consumers += from.slow_consumers;
  to.protocol_errors += from.protocol_errors;
  to.handler_errors += from.handler_errors;
  to.pings_unanswered += from.pings_unanswered;
  to.inbox_refused += from.inbox_refused;
  to.outbox_bytes += from.outbox_bytes;
  to.inbound_bytes += from.inbound_bytes;
  to.parked_bytes += from.parked_bytes;
  to.tick_bytes += from.tick_bytes;
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
  if (site_.bus != nullptr) {
    const shards::DeflateTotals deflated = site_.bus->deflated();
    stats.shared_deflated = deflated.messages;
    stats.shared_deflate_bytes_in = deflated.bytes_in;
    stats.shared_deflate_bytes_out = deflated.bytes_out;
  }
  stats.accepted = accept_counters_.accepted.load(std::memory_order_relaxed);
  stats.refused = accept_counters_.refused.load(std::memory_order_relaxed);
  stats.accept_errors = accept_counters_.errors.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace webshocket::engine
