#include "report.hpp"

#include <webshocket/packet.hpp>
#include <webshocket/payload.hpp>

#include <array>
#include <cstdio>
#include <fstream>
#include <map>

#include "plot.hpp"
#include "tools/wsbench/failure.hpp"
#include "tools/wsbench/result.hpp"

namespace wssoak {
namespace {

using wsbench::text_of;

std::string signed_text(double value, const char* unit) {
  std::array<char, 48> digits{};
  std::snprintf(digits.data(), digits.size(), "%+.2f%s", value, unit);
  return digits.data();
}

void write_file(const std::string& folder, const std::string& name, const std::string& text) {
  std::ofstream out(folder + "/" + name, std::ios::binary);
  if (!(out << text).flush()) throw wsbench::Failure("cannot write " + folder + "/" + name);
}

std::map<std::string, double> figures_of(const std::optional<Drift>& drift) {
  if (!drift) return {};
  constexpr double kKib = 1024;
  return {{"slope_kib_per_minute", drift->line.slope * kKib},
          {"slope_error_kib_per_minute", drift->line.slope_error * kKib},
          {"early_median_mib", drift->early},
          {"late_median_mib", drift->late},
          {"growth", drift->growth()},
          {"lowest_mib", drift->lowest},
          {"highest_mib", drift->highest}};
}

/// Everything, as JSON.
struct Document {
  const Findings& findings;
  const SoakOptions& options;
  const wsbench::Circumstances& circumstances;

  friend void webshocket_write(webshocket::Sink& sink, const Document& document) {
    const auto& [findings, options, circumstances] = document;
    const auto member = [&sink](const char* name, webshocket::Payload value) {
      sink.string(name);
      value.write(sink);
    };
    sink.begin_map(wsbench::Circumstances::kMembers + 14);
    circumstances.write_members(sink);
    member("held", findings.faults.empty());
    member("interrupted", findings.interrupted);
    member("faults", findings.faults);
    member("examples", findings.tally.examples);
    member("seconds", findings.samples.empty() ? 0 : findings.samples.back().seconds);
    member("load_wanted", options.load);
    member("load", findings.load);
    member("server_resident", figures_of(findings.server_resident));
    member("server_heap", figures_of(findings.server_heap));
    member("clients_resident", figures_of(findings.clients_resident));
    member("clients_heap", figures_of(findings.clients_heap));
    member("clients", findings.tally.counts());
    member("mistakes", findings.tally.mistakes_by_kind);
    member("server", findings.numbers);
    sink.end_map();
  }
};

void add_memory(std::string& text, const std::string& what, const std::optional<Drift>& drift) {
  text += "| " + what + " | ";
  if (!drift) {
    text += "too few samples |\n";
    return;
  }
  text += text_of(drift->early) + " MiB in the second fifth, " + text_of(drift->late) +
          " MiB in the last one (" + signed_text(drift->growth() * 100, " %") + "), between " +
          text_of(drift->lowest) + " and " + text_of(drift->highest) + " MiB; slope " +
          signed_text(drift->line.slope * 1024, " KiB/min") + " ± " +
          text_of(drift->line.slope_error * 1024) + " |\n";
}

Plot plot_of(const Findings& findings, std::string title, std::string unit,
             std::initializer_list<std::pair<const char*, double Sample::*>> curves) {
  Plot plot{std::move(title), "minutes", std::move(unit), {}};
  for (const auto& [name, value] : curves) {
    plot.curves.push_back({name, series_of(findings.samples, value)});
  }
  return plot;
}

}  // namespace

std::string markdown_of(const Findings& findings, const SoakOptions& options) {
  const double seconds = findings.samples.empty() ? 0 : findings.samples.back().seconds;
  std::string text = "# A soak of " + text_of(seconds / 60) + " minutes\n\n";
  if (findings.faults.empty()) {
    text += "All held: no error, every count adds up";
    text += seconds / 60 < kLongEnough * 0.99 ? " (too short to judge the memory).\n\n"
                                              : ", memory is flat.\n\n";
  } else {
    text += "Not all held:\n\n";
    for (const std::string& fault : findings.faults) text += "* " + fault + "\n";
    text += "\n";
  }
  for (const std::string& example : findings.tally.examples) text += "    " + example + "\n";
  if (!findings.tally.examples.empty()) text += "\n";
  text += "| What | How much |\n|---|---|\n";
  text += "| machine used | " + text_of(findings.load * 100) + " %";
  text += options.factor ? std::string() : " of " + text_of(options.load * 100) + " % wanted";
  text += " |\n";
  add_memory(text, "server: resident", findings.server_resident);
  add_memory(text, "server: heap", findings.server_heap);
  add_memory(text, "clients: resident", findings.clients_resident);
  add_memory(text, "clients: heap", findings.clients_heap);
  for (const auto& [name, count] : findings.tally.counts()) {
    text += "| clients: " + name + " | " + text_of(static_cast<double>(count)) + " |\n";
  }
  for (const char* const name :
       {"accepted", "connections_total", "tls_handshakes", "messages_received", "messages_sent",
        "messages_inflated", "messages_deflated", "shared_deflated", "rpc_calls", "calls_cancelled",
        "deliveries", "deliveries_written", "dropped_new", "dropped_old", "dropped_conflated",
        "dropped_disconnect", "deliveries_discarded", "deliveries_waiting", "slow_consumers"}) {
    const auto found = findings.numbers.find(name);
    if (found == findings.numbers.end()) continue;
    text +=
        "| server: " + found->first + " | " + text_of(static_cast<double>(found->second)) + " |\n";
  }
  return text;
}

void write_report(const Findings& findings, const SoakOptions& options,
                  const std::vector<std::string>& command_line) {
  const wsbench::Circumstances circumstances(command_line);
  const Document document{findings, options, circumstances};
  write_file(options.folder, "report.md", markdown_of(findings, options));
  write_file(options.folder, "report.json", webshocket::to_json(document) + "\n");
  write_file(options.folder, "samples.csv", csv_of(findings.samples));
  write_file(options.folder, "memory.svg",
             svg_of(plot_of(findings, "Memory", "MiB",
                            {{"server, resident", &Sample::server_rss_mib},
                             {"server, private", &Sample::server_private_mib},
                             {"server, heap", &Sample::server_heap_mib},
                             {"clients, resident", &Sample::clients_rss_mib},
                             {"clients, heap", &Sample::clients_heap_mib}})));
  write_file(options.folder, "load.svg",
             svg_of(plot_of(findings, "CPU", "CPUs",
                            {{"machine (share of all)", &Sample::machine_cpu},
                             {"server", &Sample::server_cpu},
                             {"clients", &Sample::clients_cpu}})));
}

}  // namespace wssoak
