#include "audit.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string_view>

namespace wssoak {
namespace {

/// Go up and down, and end at 0.
constexpr std::array<std::string_view, 10> kLevels = {
    "connections",        "handshakes_pending", "tls_handshakes_waiting", "calls_in_flight",
    "deliveries_waiting", "outbox_bytes",       "inbound_bytes",          "parked_bytes",
    "tick_bytes",         "calls_open"};

bool is_counter(std::string_view name) {
  return name != "heap_bytes" && name != "tls_port" &&
         std::ranges::find(kLevels, name) == kLevels.end();
}

class Faults {
 public:
  explicit Faults(const Numbers& numbers) noexcept : numbers_(numbers) {}

  void expect_zero(std::string_view name) {
    const std::uint64_t value = number(numbers_, name);
    if (value != 0) list_.push_back(std::string(name) + " is " + std::to_string(value) + ", not 0");
  }
  void expect_sum(std::string_view whole, std::initializer_list<std::string_view> parts) {
    std::uint64_t sum = 0;
    std::string text;
    for (const std::string_view part : parts) {
      const std::uint64_t value = number(numbers_, part);
      sum += value;
      text += (text.empty() ? "" : " + ") + std::string(part) + " " + std::to_string(value);
    }
    const std::uint64_t value = number(numbers_, whole);
    if (value == sum) return;
    list_.push_back(std::string(whole) + " is " + std::to_string(value) + ", but " + text + " is " +
                    std::to_string(sum));
  }

  std::vector<std::string> take() { return std::move(list_); }

 private:
  const Numbers& numbers_;
  std::vector<std::string> list_;
};

}  // namespace

std::vector<std::string> faults_at_rest(const Numbers& numbers) {
  Faults faults(numbers);
  faults.expect_sum("deliveries",
                    {"deliveries_written", "dropped_new", "dropped_old", "dropped_conflated",
                     "dropped_disconnect", "deliveries_discarded", "deliveries_waiting"});
  faults.expect_sum("deliveries_dropped",
                    {"dropped_new", "dropped_old", "dropped_conflated", "dropped_disconnect"});
  faults.expect_sum("connections_total", {"connects"});
  faults.expect_sum("connects", {"disconnects"});
  faults.expect_sum("rpc_calls", {"calls_begun"});
  faults.expect_sum("calls_begun", {"calls_answered", "calls_failed", "calls_cancelled"});
  for (const std::string_view level : kLevels) faults.expect_zero(level);
  return faults.take();
}

std::vector<std::string> faults_between(const Numbers& before, const Numbers& after) {
  std::vector<std::string> faults;
  for (const auto& [name, value] : before) {
    if (!is_counter(name)) continue;
    const std::uint64_t later = number(after, name);
    if (later >= value) continue;
    faults.push_back(name + " went back from " + std::to_string(value) + " to " +
                     std::to_string(later));
  }
  return faults;
}

std::vector<std::string> unexpected_errors(const Numbers& numbers) {
  Faults faults(numbers);
  for (const std::string_view name :
       {"handler_errors",   "predicate_errors",      "rpc_errors",          "packets_unknown",
        "protocol_errors",  "messages_limited",      "messages_timed_out",  "pings_unanswered",
        "writes_timed_out", "subscriptions_refused", "inbox_refused",       "publishes_refused",
        "refused",          "refused_per_ip",        "refused_rate",        "accepts_paused",
        "accepts_refused",  "accept_errors",         "allocation_failures", "upgrades_rejected",
        "log_errors"}) {
    faults.expect_zero(name);
  }
  return faults.take();
}

std::vector<std::string> faults_of_receipt(std::uint64_t written, const Received& received) {
  const std::uint64_t sum = received.whole + received.cut;
  if (sum == written || (sum < written && received.anybody_cut)) return {};
  return {"the server has written " + std::to_string(written) + " deliveries, clients got " +
          std::to_string(sum)};
}

}  // namespace wssoak
