#include "options.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <string_view>
#include <utility>

#include "case_options.hpp"
#include "failure.hpp"
#include "suite.hpp"

namespace wsbench {
namespace {

constexpr std::string_view kFooter = R"(
The server is one that runs, ws://HOST:PORT/PATH, or one that is started for the run by --server.
CPU and memory are known of a started server, and with --pid. wss:// is not supported.

Exit status:
  0  measured, and every count is exact
  1  not measured; or something was missing, came twice, in a wrong order, or exceeds its bound
  2  wrong usage

Examples:
  wsbench fanout --server 'conformance_server --port {port} --shards 1' --subscribers 1000
  wsbench fanout ws://localhost:9001/ --pid 4711 --preset json --rate 400 --json run.json
  wsbench fanout ws://localhost:8000/ws --text --subscribe '{"subscribe":"{channel}"}' \
                 --publish '{"channel":"{channel}","data":"{payload}"}'
  wsbench compare 'ours {port}' 'theirs {port}' --json result.json -- echo --connections 100
  wsbench suite cases.toml --json result.json
  wsbench report result.json --out report.html
)";

const CLI::Range kCpu(0, 1023, "CPU");
const CLI::Range kRuns(1, 1000, "NUMBER");
constexpr const char* kServerGroup = "Server";
constexpr const char* kOutputGroup = "Output";

/// Of the server that a case is measured with.
struct Place {
  ServerSpec server;
  std::size_t runs = 1;
};

void add_output(CLI::App& command, MeasureCommand& options) {
  command.add_option("--json", options.json_file, "Write JSON there, - is standard output")
      ->type_name("FILE")
      ->group(kOutputGroup);
  command.add_flag("--quiet", options.quiet, "Tell nothing while it runs")->group(kOutputGroup);
}

void add_cpus(CLI::App& command, std::optional<int>& server, std::optional<int>& client) {
  command.add_option("--server-cpu", server, "Pin started servers there")
      ->check(kCpu)
      ->group(kServerGroup);
  command.add_option("--client-cpu", client, "Pin wsbench there")->check(kCpu)->group(kServerGroup);
}

void add_place(CLI::App& command, MeasureCommand& options, Place& place) {
  auto* uri =
      command.add_option("URI", place.server.uri, "ws://HOST:PORT/PATH of a server that runs")
          ->group(kServerGroup);
  auto* start = command
                    .add_option("--server", place.server.command,
                                "Command that starts one; {port} is replaced by a free port")
                    ->type_name("COMMAND")
                    ->excludes(uri)
                    ->group(kServerGroup);
  command.add_option("--pid", place.server.pid, "The process of the server that runs")
      ->excludes(start)
      ->group(kServerGroup);
  command.add_option("--runs", place.runs, "Each with a fresh server; the median is told")
      ->check(kRuns)
      ->capture_default_str()
      ->group(kServerGroup);
  add_cpus(command, place.server.server_cpu, options.client_cpu);
}

struct CompareOptions {
  std::vector<std::string> servers;
  std::string floor;
  std::vector<std::string> names;
  std::size_t runs = 5;
  std::size_t slices = 1;
  std::optional<int> server_cpu;
};

CLI::App* add_compare(CLI::App& app, MeasureCommand& measure, CompareOptions& options) {
  CLI::App* command =
      app.add_subcommand("compare", "Measure servers in turn: compare 'A' 'B' -- CASE [OPTION]...");
  command
      ->add_option("SERVER", options.servers,
                   "Commands (or URIs); the first one is compared to the others")
      ->required();
  command->add_option("--floor", options.floor, "Command of a server that does the least there is")
      ->type_name("COMMAND");
  command->add_option("--names", options.names, "What to call them, the floor last")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--runs", options.runs, "Of each server")
      ->check(kRuns)
      ->capture_default_str();
  command
      ->add_option("--slices", options.slices,
                   "Start all servers at once, and divide each run into so many parts in turn")
      ->check(kRuns)
      ->capture_default_str();
  add_cpus(*command, options.server_cpu, measure.client_cpu);
  add_output(*command, measure);
  return command;
}

Comparison comparison_of(const CompareOptions& options, const std::vector<std::string>& words) {
  if (words.empty()) throw UsageFailure("compare what? A case is missing: -- fanout, -- echo, …");
  Comparison comparison;
  comparison.spec = parse_case(words);
  std::vector<std::string> servers = options.servers;
  std::vector<std::string> names = options.names;
  if (names.empty()) {
    for (std::size_t i = 0; i < servers.size(); ++i) {
      names.emplace_back(1, static_cast<char>('A' + i % 26));
    }
    if (!options.floor.empty()) names.emplace_back("floor");
  }
  if (!options.floor.empty()) servers.push_back(options.floor);
  if (servers.size() < 2) throw UsageFailure("compare needs two servers");
  if (names.size() != servers.size()) {
    throw UsageFailure("--names: there are " + std::to_string(servers.size()) + " servers");
  }
  for (std::size_t i = 0; i < servers.size(); ++i) {
    Contender contender{names[i], server_of(servers[i]), {}};
    contender.server.server_cpu = options.server_cpu;
    comparison.contenders.push_back(std::move(contender));
  }
  comparison.slices = options.slices;
  if (options.slices > 1 && !is_divisible(comparison.spec.what)) {
    throw UsageFailure("--slices: such a run cannot be divided");
  }
  return comparison;
}

/// The program's, or the URI.
std::string short_name(const ServerSpec& server) {
  if (server.command.empty()) return server.uri;
  const std::string program = server.command.substr(0, server.command.find(' '));
  return program.substr(program.rfind('/') + 1);
}

Comparison comparison_of(CaseSpec spec, const Place& place) {
  const ServerSpec& server = place.server;
  if (server.command.empty() && server.uri.empty()) {
    throw UsageFailure("which server? Neither a URI nor --server is given");
  }
  if (server.server_cpu && server.command.empty()) {
    throw UsageFailure("--server-cpu pins a server that --server starts");
  }
  return {std::move(spec), {Contender{short_name(server), server, {}}}, {}, 1};
}

}  // namespace

std::variant<Options, int> parse_options(int argc, const char* const* argv) {
  Options options;
  options.command_line.assign(argv, argv + argc);
  // What follows the dashes is a command line of its own.
  const auto dashes = std::ranges::find(options.command_line, "--");
  const auto own = static_cast<int>(dashes - options.command_line.begin());
  const std::vector<std::string> words(dashes == options.command_line.end() ? dashes : dashes + 1,
                                       options.command_line.end());

  MeasureCommand measure;
  ReportCommand report{.files = {}, .page = "", .title = "wsbench"};
  Place place;
  CompareOptions compare_options;
  std::string suite_file;

  CLI::App app("Measures WebSocket servers, and counts exactly what they deliver.", "wsbench");
  app.footer(std::string(kFooter));
  app.set_version_flag("--version", "wsbench " WEBSHOCKET_VERSION);
  app.require_subcommand(1);
  const CaseOptions cases(app);
  for (CLI::App* command : cases.commands()) {
    add_place(*command, measure, place);
    add_output(*command, measure);
  }
  const CLI::App* compare = add_compare(app, measure, compare_options);
  CLI::App* suite = app.add_subcommand("suite", "Compare by a file of servers and cases");
  suite->add_option("FILE", suite_file, "TOML: see docs/wsbench.md")->required();
  add_output(*suite, measure);
  CLI::App* page = app.add_subcommand("report", "A page with plots, of files that --json wrote");
  page->add_option("FILE", report.files)->required();
  page->add_option("--out", report.page, "The page")->type_name("FILE")->required();
  page->add_option("--title", report.title)->capture_default_str();

  try {
    app.parse(own, argv);
    if (!words.empty() && !compare->parsed()) throw UsageFailure("-- belongs to compare");
    if (page->parsed()) {
      options.command = report;
      return options;
    }
    if (compare->parsed()) {
      measure.runs = compare_options.runs;
      measure.comparisons = {comparison_of(compare_options, words)};
    } else if (suite->parsed()) {
      Suite read = read_suite(suite_file);
      measure.runs = read.runs;
      measure.client_cpu = read.client_cpu;
      measure.comparisons = std::move(read.comparisons);
    } else {
      measure.runs = place.runs;
      measure.comparisons = {comparison_of(cases.chosen().value(), place)};
    }
    options.command = std::move(measure);
    return options;
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const std::exception& error) {
    std::cerr << "wsbench: " << error.what() << "\nTry wsbench --help.\n";
    return static_cast<int>(Status::usage);
  }
}

}  // namespace wsbench
