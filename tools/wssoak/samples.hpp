/// What was seen every few seconds.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "drift.hpp"

namespace wssoak {

/// Rates are of the time since the last sample, latencies too; the rest is of this moment.
struct Sample {
  double seconds = 0;      ///< since the load began
  double factor = 0;       ///< of the rates
  double machine_cpu = 0;  ///< share of all processors
  double server_cpu = 0;   ///< in processors
  double clients_cpu = 0;
  double server_rss_mib = 0;
  double server_private_mib = 0;
  double server_heap_mib = 0;  ///< allocated and not freed
  double clients_rss_mib = 0;
  double clients_heap_mib = 0;
  double connections = 0;
  double accepted = 0;  ///< sockets since the start
  double visits_per_s = 0;
  double calls_per_s = 0;
  double stream_items_per_s = 0;
  double publishes_per_s = 0;
  double deliveries_per_s = 0;
  double received_per_s = 0;
  double dropped_new = 0;  ///< since the start, as the other three
  double dropped_old = 0;
  double dropped_conflated = 0;
  double dropped_disconnect = 0;
  double waiting = 0;  ///< deliveries in outboxes
  double errors = 0;   ///< mistakes that clients have found since the start
  double call_p50_ms = 0;
  double call_p99_ms = 0;
  double delivery_p99_ms = 0;
};

/// A head line and one line each.
std::string csv_of(std::span<const Sample> samples);

/// One quantity over the minutes.
std::vector<Point> series_of(std::span<const Sample> samples, double Sample::*value);

}  // namespace wssoak
