#include "options.hpp"

#include <CLI/CLI.hpp>

#include <exception>
#include <iostream>
#include <string_view>
#include <utility>

namespace wssoak {
namespace {

constexpr std::string_view kFooter = R"(
Starts a server of its own and its clients, and loads them until the machine is as busy as --load
says. DIR gets report.md, report.json, samples.csv, memory.svg and load.svg. SIGINT ends the soak
early, with the same report.

Exit status:
  0  nothing went wrong, every count adds up, memory was flat (judged from 5 minutes on)
  1  something did not hold: the report says what
  2  wrong usage

Examples:
  wssoak --minutes 30 --load 0.7 --out soak
  wssoak --minutes 0.2 --factor 1 --clients 40 --gentle --out /tmp/soak
)";

void add_soak(CLI::App& app, SoakOptions& options) {
  app.add_option("--minutes", options.minutes, "How long the load lasts")
      ->check(CLI::Range(0.01, 100'000.0, "MINUTES"))
      ->capture_default_str();
  auto* load =
      app.add_option("--load", options.load, "Share of the machine's CPU time that is to be used")
          ->check(CLI::Range(0.01, 0.99, "SHARE"))
          ->capture_default_str();
  app.add_option("--factor", options.factor, "Fixed rates instead, so many times the least ones")
      ->check(CLI::Range(0.01, 10'000.0, "FACTOR"))
      ->excludes(load);
  app.add_option("--clients", options.clients, "That stay from the beginning to the end")
      ->check(CLI::Range(20, 20'000, "NUMBER"))
      ->capture_default_str();
  app.add_option("--shards", options.shards, "Of the server; 0: one per core")
      ->check(CLI::Range(0, 256, "NUMBER"));
  app.add_option("--loops", options.loops, "Threads that load it; 0: one per core")
      ->check(CLI::Range(0, 64, "NUMBER"));
  app.add_option("--interval", options.interval_s, "Seconds between two samples")
      ->check(CLI::Range(0.2, 3'600.0, "SECONDS"))
      ->capture_default_str();
  app.add_option("--max-growth", options.max_growth, "Of memory after the warm-up, as a share")
      ->check(CLI::Range(0.0, 1.0, "SHARE"))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Of what is random")->capture_default_str();
  app.add_flag("--gentle", options.gentle, "Cut nobody off: then every count is exact");
  app.add_flag("--quiet", options.quiet, "Tell nothing while it runs");
  app.add_option("--out", options.folder, "Folder for the report")->type_name("DIR");
}

}  // namespace

std::variant<Options, int> parse_options(int argc, const char* const* argv) {
  SoakOptions soak;
  ServeOptions serve;
  CLI::App app("Loads a server for a long time, and checks that nothing is lost, wrong or leaked.",
               "wssoak");
  app.footer(std::string(kFooter));
  app.set_version_flag("--version", "wssoak " WEBSHOCKET_VERSION);
  add_soak(app, soak);
  CLI::App* const server = app.add_subcommand("serve", "The server alone, as the soak starts it");
  server->add_option("--port", serve.port, "For ws://; wss:// gets another one")->required();
  server->add_option("--cert", serve.certificate, "PEM, with its key")->required();
  server->add_option("--shards", serve.shards, "0: one per core");
  try {
    app.parse(argc, argv);
    Options options;
    options.command_line.assign(argv, argv + argc);
    if (server->parsed()) {
      options.command = std::move(serve);
    } else {
      if (soak.folder.empty()) throw CLI::RequiredError("--out");
      options.command = std::move(soak);
    }
    return options;
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const std::exception& error) {
    std::cerr << "wssoak: " << error.what() << "\nTry wssoak --help.\n";
    return static_cast<int>(Status::usage);
  }
}

}  // namespace wssoak
