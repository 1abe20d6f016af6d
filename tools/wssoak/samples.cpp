#include "samples.hpp"

#include <array>
#include <cstdio>
#include <iterator>

namespace wssoak {
namespace {

struct Column {
  const char* name;
  double Sample::*value;
};

constexpr Column kColumns[] = {
    {"seconds", &Sample::seconds},
    {"factor", &Sample::factor},
    {"machine_cpu", &Sample::machine_cpu},
    {"server_cpu", &Sample::server_cpu},
    {"clients_cpu", &Sample::clients_cpu},
    {"server_rss_mib", &Sample::server_rss_mib},
    {"server_private_mib", &Sample::server_private_mib},
    {"server_heap_mib", &Sample::server_heap_mib},
    {"clients_rss_mib", &Sample::clients_rss_mib},
    {"clients_heap_mib", &Sample::clients_heap_mib},
    {"connections", &Sample::connections},
    {"accepted", &Sample::accepted},
    {"visits_per_s", &Sample::visits_per_s},
    {"calls_per_s", &Sample::calls_per_s},
    {"stream_items_per_s", &Sample::stream_items_per_s},
    {"publishes_per_s", &Sample::publishes_per_s},
    {"deliveries_per_s", &Sample::deliveries_per_s},
    {"received_per_s", &Sample::received_per_s},
    {"dropped_new", &Sample::dropped_new},
    {"dropped_old", &Sample::dropped_old},
    {"dropped_conflated", &Sample::dropped_conflated},
    {"dropped_disconnect", &Sample::dropped_disconnect},
    {"waiting", &Sample::waiting},
    {"errors", &Sample::errors},
    {"call_p50_ms", &Sample::call_p50_ms},
    {"call_p99_ms", &Sample::call_p99_ms},
    {"delivery_p99_ms", &Sample::delivery_p99_ms},
};
static_assert(sizeof(Sample) == std::size(kColumns) * sizeof(double));

}  // namespace

std::string csv_of(std::span<const Sample> samples) {
  std::string csv;
  for (const Column& column : kColumns) {
    csv += (csv.empty() ? "" : ",") + std::string(column.name);
  }
  csv += '\n';
  for (const Sample& sample : samples) {
    for (const Column& column : kColumns) {
      std::array<char, 40> digits{};
      std::snprintf(digits.data(), digits.size(), "%s%.10g", &column == kColumns ? "" : ",",
                    sample.*column.value);
      csv += digits.data();
    }
    csv += '\n';
  }
  return csv;
}

std::vector<Point> series_of(std::span<const Sample> samples, double Sample::*value) {
  constexpr double kMinute = 60;
  std::vector<Point> points;
  for (const Sample& sample : samples) {
    points.push_back({sample.seconds / kMinute, sample.*value});
  }
  return points;
}

}  // namespace wssoak
