#include "findings.hpp"

#include <array>
#include <cmath>
#include <cstdio>
#include <span>
#include <string_view>

namespace wssoak {
namespace {

std::string percent(double share) {
  std::array<char, 32> digits{};
  std::snprintf(digits.data(), digits.size(), "%.2f %%", share * 100);
  return digits.data();
}

void judge_memory(Findings& findings, const std::optional<Drift>& drift, const std::string& what,
                  double most, double least) {
  if (!drift) {
    findings.faults.push_back("too few samples to judge " + what);
  } else if (drift->has_grown(most, least)) {
    findings.faults.push_back(what + " has grown by " + percent(drift->growth()) +
                              " after the warm-up");
  }
}

/// What a long soak must have made happen, or it proves nothing about it.
void judge_coverage(Findings& findings, bool gentle) {
  std::vector<std::string_view> names = {
      "deliveries_written", "dropped_new",     "dropped_old",       "dropped_conflated",
      "dropped_disconnect", "rpc_calls",       "calls_cancelled",   "tls_handshakes",
      "messages_inflated",  "shared_deflated", "messages_deflated", "slow_consumers"};
  if (!gentle) names.emplace_back("deliveries_discarded");
  for (const std::string_view name : names) {
    const auto found = findings.numbers.find(std::string(name));
    if (found != findings.numbers.end() && found->second != 0) continue;
    findings.faults.push_back(std::string(name) + " is 0: that was not put to the test");
  }
}

}  // namespace

void judge(Findings& findings, const SoakOptions& options) {
  const std::span<const Sample> samples(findings.samples);
  findings.server_resident = drift_of(series_of(samples, &Sample::server_rss_mib));
  findings.server_heap = drift_of(series_of(samples, &Sample::server_heap_mib));
  findings.clients_resident = drift_of(series_of(samples, &Sample::clients_rss_mib));
  findings.clients_heap = drift_of(series_of(samples, &Sample::clients_heap_mib));
  const auto warm = samples.subspan(samples.size() / 5);
  for (const Sample& sample : warm) {
    findings.load += sample.machine_cpu / static_cast<double>(warm.size());
  }
  for (const auto& [kind, count] : findings.tally.mistakes_by_kind) {
    findings.faults.push_back(kind + ": " + std::to_string(count) + " mistakes");
  }
  const double minutes = samples.empty() ? 0 : samples.back().seconds / 60;
  if (minutes < kLongEnough * 0.99) return;
  // What is allocated swings with what waits for slow readers. What is resident keeps what the
  // largest burst has left in holes; a leak that is hidden there shows in what is allocated.
  constexpr double kHeapSwing = 0.25;  // MiB
  constexpr double kHoles = 4;
  const double most = options.max_growth;
  judge_memory(findings, findings.server_resident, "the server's memory", most, kHoles);
  judge_memory(findings, findings.server_heap, "the server's heap", most, kHeapSwing);
  judge_memory(findings, findings.clients_heap, "the clients' heap", most, kHeapSwing);
  judge_coverage(findings, options.gentle);
  constexpr double kTolerance = 0.05;
  if (!options.factor && std::abs(findings.load - options.load) > kTolerance) {
    findings.faults.push_back("the machine was used to " + percent(findings.load) + ", not to " +
                              percent(options.load));
  }
}

}  // namespace wssoak
