/// A shard's counters: written by its thread, read by any.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace webshocket::detail {

/// One writer, so adding needs no locked instruction.
class Counter {
 public:
  void add(std::uint64_t count = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  void subtract(std::uint64_t count = 1) noexcept { add(0 - count); }
  void set(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// See `Stats::Shard` for what each one counts.
struct Counters {
  Counter connections;
  Counter handshakes_pending;
  Counter connections_total;
  Counter http_requests;
  Counter upgrades_rejected;
  Counter handshakes_timed_out;
  Counter keep_alives_refused;
  Counter keep_alives_timed_out;
  Counter proxy_headers_rejected;
  Counter tls_handshakes;
  Counter tls_resumptions;
  Counter tls_handshake_failures;
  Counter tls_handshakes_waiting;
  Counter messages_received;
  Counter bytes_received;
  Counter messages_inflated;
  Counter inflate_bytes_in;
  Counter inflate_bytes_out;
  Counter messages_sent;
  Counter bytes_sent;
  Counter messages_deflated;
  Counter deflate_bytes_in;
  Counter deflate_bytes_out;
  Counter packets_unknown;
  Counter packets_too_deep;
  Counter packets_too_large;
  Counter messages_limited;
  Counter messages_timed_out;
  Counter receives_paused;
  Counter subscriptions_refused;
  Counter rpc_calls;
  Counter rpc_errors;
  Counter calls_parked;
  Counter calls_in_flight;
  Counter deliveries;
  Counter deliveries_written;
  Counter deliveries_discarded;
  Counter dropped_new;
  Counter dropped_old;
  Counter dropped_conflated;
  Counter dropped_disconnect;
  Counter sends_dropped;
  Counter conflated;
  Counter ticks_early;
  Counter slow_consumers;
  Counter writes_timed_out;
  Counter protocol_errors;
  Counter handler_errors;
  Counter predicate_errors;
  Counter allocation_failures;
  Counter slow_callbacks;
  Counter pings_unanswered;
  Counter closes_timed_out;
  Counter drains_cut_off;
  Counter accepts_refused;
  Counter outbox_bytes;
  Counter inbound_bytes;
  Counter parked_bytes;
  Counter tick_bytes;
  std::array<Counter, 24> turns;
};

}  // namespace webshocket::detail
