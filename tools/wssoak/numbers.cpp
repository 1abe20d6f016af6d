#include "numbers.hpp"

#include <webshocket/error.hpp>
#include <webshocket/packet.hpp>

#include <iterator>
#include <tuple>

#include "tools/wsbench/failure.hpp"

namespace wssoak {
namespace {

using webshocket::Stats;

template <class Of>
struct Field {
  const char* name;
  std::uint64_t Of::*value;
};

constexpr Field<Stats::Shard> kTotals[] = {
    {"connections", &Stats::Shard::connections},
    {"handshakes_pending", &Stats::Shard::handshakes_pending},
    {"connections_total", &Stats::Shard::connections_total},
    {"http_requests", &Stats::Shard::http_requests},
    {"upgrades_rejected", &Stats::Shard::upgrades_rejected},
    {"handshakes_timed_out", &Stats::Shard::handshakes_timed_out},
    {"proxy_headers_rejected", &Stats::Shard::proxy_headers_rejected},
    {"tls_handshakes", &Stats::Shard::tls_handshakes},
    {"tls_resumptions", &Stats::Shard::tls_resumptions},
    {"tls_handshake_failures", &Stats::Shard::tls_handshake_failures},
    {"tls_handshakes_waiting", &Stats::Shard::tls_handshakes_waiting},
    {"messages_received", &Stats::Shard::messages_received},
    {"bytes_received", &Stats::Shard::bytes_received},
    {"messages_inflated", &Stats::Shard::messages_inflated},
    {"inflate_bytes_in", &Stats::Shard::inflate_bytes_in},
    {"inflate_bytes_out", &Stats::Shard::inflate_bytes_out},
    {"messages_sent", &Stats::Shard::messages_sent},
    {"bytes_sent", &Stats::Shard::bytes_sent},
    {"messages_deflated", &Stats::Shard::messages_deflated},
    {"deflate_bytes_in", &Stats::Shard::deflate_bytes_in},
    {"deflate_bytes_out", &Stats::Shard::deflate_bytes_out},
    {"packets_unknown", &Stats::Shard::packets_unknown},
    {"packets_too_deep", &Stats::Shard::packets_too_deep},
    {"packets_too_large", &Stats::Shard::packets_too_large},
    {"messages_limited", &Stats::Shard::messages_limited},
    {"messages_timed_out", &Stats::Shard::messages_timed_out},
    {"receives_paused", &Stats::Shard::receives_paused},
    {"subscriptions_refused", &Stats::Shard::subscriptions_refused},
    {"rpc_calls", &Stats::Shard::rpc_calls},
    {"rpc_errors", &Stats::Shard::rpc_errors},
    {"calls_parked", &Stats::Shard::calls_parked},
    {"calls_in_flight", &Stats::Shard::calls_in_flight},
    {"deliveries", &Stats::Shard::deliveries},
    {"deliveries_dropped", &Stats::Shard::deliveries_dropped},
    {"deliveries_written", &Stats::Shard::deliveries_written},
    {"deliveries_discarded", &Stats::Shard::deliveries_discarded},
    {"deliveries_waiting", &Stats::Shard::deliveries_waiting},
    {"dropped_new", &Stats::Shard::dropped_new},
    {"dropped_old", &Stats::Shard::dropped_old},
    {"dropped_conflated", &Stats::Shard::dropped_conflated},
    {"dropped_disconnect", &Stats::Shard::dropped_disconnect},
    {"sends_dropped", &Stats::Shard::sends_dropped},
    {"conflated", &Stats::Shard::conflated},
    {"ticks_early", &Stats::Shard::ticks_early},
    {"slow_consumers", &Stats::Shard::slow_consumers},
    {"writes_timed_out", &Stats::Shard::writes_timed_out},
    {"protocol_errors", &Stats::Shard::protocol_errors},
    {"handler_errors", &Stats::Shard::handler_errors},
    {"predicate_errors", &Stats::Shard::predicate_errors},
    {"allocation_failures", &Stats::Shard::allocation_failures},
    {"slow_callbacks", &Stats::Shard::slow_callbacks},
    {"pings_unanswered", &Stats::Shard::pings_unanswered},
    {"keep_alives_refused", &Stats::Shard::keep_alives_refused},
    {"keep_alives_timed_out", &Stats::Shard::keep_alives_timed_out},
    {"closes_timed_out", &Stats::Shard::closes_timed_out},
    {"drains_cut_off", &Stats::Shard::drains_cut_off},
    {"accepts_refused", &Stats::Shard::accepts_refused},
    {"inbox_refused", &Stats::Shard::inbox_refused},
    {"outbox_bytes", &Stats::Shard::outbox_bytes},
    {"inbound_bytes", &Stats::Shard::inbound_bytes},
    {"parked_bytes", &Stats::Shard::parked_bytes},
    {"tick_bytes", &Stats::Shard::tick_bytes},
};
// All but the turns.
static_assert(sizeof(Stats::Shard) ==
              (std::size(kTotals) +
               std::tuple_size_v<decltype(Stats::Shard::turns)>)*sizeof(std::uint64_t));

constexpr Field<Stats> kServer[] = {
    {"accepted", &Stats::accepted},
    {"refused", &Stats::refused},
    {"refused_per_ip", &Stats::refused_per_ip},
    {"refused_rate", &Stats::refused_rate},
    {"accepts_paused", &Stats::accepts_paused},
    {"accept_errors", &Stats::accept_errors},
    {"shared_deflated", &Stats::shared_deflated},
    {"shared_deflate_bytes_in", &Stats::shared_deflate_bytes_in},
    {"shared_deflate_bytes_out", &Stats::shared_deflate_bytes_out},
};

}  // namespace

Numbers numbers_of(const Stats& stats) {
  Numbers numbers;
  for (const auto& field : kTotals) numbers[field.name] = stats.total.*field.value;
  for (const auto& field : kServer) numbers[field.name] = stats.*field.value;
  return numbers;
}

std::string json_of(const Numbers& numbers) { return webshocket::to_json(numbers); }

Numbers parse_numbers(std::string_view json) {
  try {
    return webshocket::from_json(json)->as<Numbers>();
  } catch (const webshocket::PacketError& error) {
    throw wsbench::Failure(std::string("the server's numbers: ") + error.what());
  }
}

std::uint64_t number(const Numbers& numbers, std::string_view name) {
  const auto found = numbers.find(std::string(name));
  if (found == numbers.end()) {
    throw wsbench::Failure("the server tells no number '" + std::string(name) + "'");
  }
  return found->second;
}

}  // namespace wssoak
