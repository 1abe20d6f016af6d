#include "stall.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "message_template.hpp"
#include "statistics.hpp"

namespace wsbench {
namespace {

constexpr std::array kCompared{"latency_p50_ns", "latency_p99_ns", "latency_max_ns",
                               "server_cpu_ns_per_delivery", "server_resident_bytes"};

}  // namespace

Result measure_stall(const StallOptions& options, ServerProcess& server, Progress& progress) {
  Result result;
  std::array<std::vector<Result>, 2> runs;  // without, with
  FanoutOptions calm = options.fanout;
  calm.stalled_share = 0;
  for (std::size_t pair = 0; pair < options.pairs; ++pair) {
    for (const bool stalls : {pair % 2 == 1, pair % 2 == 0}) {
      Fanout fanout(stalls ? options.fanout : calm, server, progress);
      fanout.prepare();
      fanout.run(1);
      Result run = fanout.finish();
      for (const std::string& fault : run.faults) {
        result.faults.push_back((stalls ? "with the stall: " : "without a stall: ") + fault);
      }
      if (stalls) result.latency_ns.merge(run.latency_ns);
      runs[stalls ? 1 : 0].push_back(std::move(run));
    }
  }
  for (const char* name : kCompared) {
    const std::string figure = name;
    const auto calm_spread = spread_of(figures_of(runs[0], figure));
    const auto stall_spread = spread_of(figures_of(runs[1], figure));
    if (!calm_spread || !stall_spread) continue;
    result.add("calm_" + figure, calm_spread->median);
    result.add("stalled_" + figure, stall_spread->median);
    if (const auto ratio = spread_of(ratios_of(runs[1], runs[0], figure))) {
      result.add("ratio_of_" + replaced(replaced(figure, "_ns", ""), "_bytes", ""), ratio->median);
    }
  }
  return result;
}

}  // namespace wsbench
