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

void judge_memory(Findings& findings, const std::optional<Drift>& drift, const std::string& whose,
                  double most) {
  if (!drift) {
    findings.faults.push_back("too few samples to judge the memory of " + whose);
  } else if (drift->has_grown(most)) {
    findings.faults.push_back("the memory of " + whose + " has grown by " +
                              percent(drift->growth()) + " after the warm-up");
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
  findings.server_memory = drift_of(series_of(samples, &Sample::server_rss_mib));
  findings.clients_memory = drift_of(series_of(samples, &Sample::clients_rss_mib));
  const auto warm = samples.subspan(samples.size() / 5);
  for (const Sample& sample : warm) {
    findings.load += sample.machine_cpu / static_cast<double>(warm.size());
  }
  for (const auto& [kind, count] : findings.tally.mistakes_by_kind) {
    findings.faults.push_back(kind + ": " + std::to_string(count) + " mistakes");
  }
  const double minutes = samples.empty() ? 0 : samples.back().seconds / 60;
  if (minutes < kLongEnough * 0.99) return;
  judge_memory(findings, findings.server_memory, "the server", options.max_growth);
  judge_memory(findings, findings.clients_memory, "the clients", options.max_growth);
  judge_coverage(findings, options.gentle);
  constexpr double kTolerance = 0.05;
  if (!options.factor && std::abs(findings.load - options.load) > kTolerance) {
    findings.faults.push_back("the machine was used to " + percent(findings.load) + ", not to " +
                              percent(options.load));
  }
}

}  // namespace wssoak
