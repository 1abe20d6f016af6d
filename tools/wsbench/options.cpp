#include "options.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <string_view>

#include "case_options.hpp"
#include "failure.hpp"

namespace wsbench {
namespace {

constexpr std::string_view kFooter = R"(
The server is one that runs, ws://HOST:PORT/PATH (wss:// is not supported), or one that is started
for the run with --server. CPU and memory are known of a started server, and with --pid.

Exit status:
  0  measured, and every count is exact
  1  not measured, or something was missing, came twice, or in a wrong order
  2  wrong usage

Examples:
  wsbench fanout --server 'conformance_server --port {port} --shards 1' --subscribers 1000
  wsbench fanout ws://localhost:9001/ --pid 4711 --preset json --rate 400 --json run.json
)";

const CLI::Range kCpu(0, 1023, "CPU");

void add_common(CLI::App& command, Options& options, ServerSpec& server) {
  auto* uri = command.add_option("URI", server.uri, "ws://HOST:PORT/PATH of a server that runs");
  auto* start = command
                    .add_option("--server", server.command,
                                "Command that starts one; {port} is replaced by a free port")
                    ->excludes(uri);
  command.add_option("--pid", server.pid, "The process of the server that runs")->excludes(start);
  command.add_option("--server-cpu", server.server_cpu, "Pin the started server there")
      ->check(kCpu)
      ->needs(start);
  command.add_option("--client-cpu", options.client_cpu, "Pin wsbench there")->check(kCpu);
}

void add_output(CLI::App& command, Options& options) {
  command.add_option("--json", options.json_file, "Write JSON there, - is standard output")
      ->type_name("FILE");
  command.add_flag("--quiet", options.quiet, "Tell nothing while it runs");
}

}  // namespace

std::variant<Options, int> parse_options(int argc, const char* const* argv) {
  Options options;
  options.command_line.assign(argv, argv + argc);
  CLI::App app("Measures WebSocket servers, and counts exactly what they deliver.", "wsbench");
  app.footer(std::string(kFooter));
  app.set_version_flag("--version", "wsbench " WEBSHOCKET_VERSION);
  app.require_subcommand(1);
  try {
    CaseOptions cases(app);
    ServerSpec server;
    std::vector<CLI::App*> own = cases.commands();
    for (CLI::App* command : cases.commands()) {
      add_common(*command, options, server);
      add_output(*command, options);
    }
    app.parse(argc, argv);
    if (auto what = cases.chosen()) {
      if (server.command.empty() && server.uri.empty()) {
        throw UsageFailure("which server? Neither a URI nor --server is given");
      }
      const Settings settings = settings_of(*app.get_subcommands().front());
      options.command = CaseCommand{*std::move(what), settings, server};
    }
    return options;
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const std::exception& error) {
    std::cerr << "wsbench: " << error.what() << "\nTry wsbench --help.\n";
    return static_cast<int>(Status::usage);
  }
}

}  // namespace wsbench
