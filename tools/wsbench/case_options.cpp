#include "case_options.hpp"

#include <algorithm>
#include <utility>

#include "failure.hpp"

namespace wsbench {
namespace {

constexpr double kMost = 1e9;
const CLI::Range kPositive(1.0, kMost, "NUMBER");
const CLI::Range kSeconds(0.0, kMost, "SECONDS");
const CLI::Range kRate(0.001, kMost, "NUMBER");

void add_loop(CLI::App& app, LoopOptions& options) {
  app.add_option("--duration", options.duration_s, "How long to measure")
      ->check(kSeconds)
      ->capture_default_str();
  app.add_option("--warm-up", options.warm_up_s, "The same before that, without counting")
      ->check(kSeconds)
      ->capture_default_str();
  app.add_option("--patience", options.patience_s,
                 "Without any answer, before what lacks counts as missing")
      ->check(kSeconds)
      ->capture_default_str();
}

template <class Number>
CLI::Option* add_number(CLI::App& app, const char* name, Number& number, const char* help) {
  return app.add_option(name, number, help)->check(kPositive)->capture_default_str();
}

void add_dialect(CLI::App& app, DialectOptions& options, bool publishes) {
  auto* preset =
      app.add_option("--preset", options.preset,
                     "raw: /raw/sub and /raw/pub; raw-channels: /raw/sub/NAME and /raw/pub/NAME; "
                     "json, msgpack: the protocol of webshocket, methods join and publish")
          ->check(CLI::IsMember({"raw", "raw-channels", "json", "msgpack"}))
          ->capture_default_str();
  app.add_option("--subscriber-path", options.subscriber_path, "{channel} is replaced");
  app.add_option("--subprotocol", options.subprotocol, "Offered by all");
  app.add_option("--subscribe", options.subscribe,
                 "What a subscriber says once; {channel} and {id} are replaced");
  app.add_flag("--text", options.text, "Text messages, and payloads that are text");
  if (!publishes) return;
  app.add_option("--mixed", options.mixed,
                 "Formats of the subscribers in turn; published by msgpack")
      ->check(CLI::IsMember({"raw", "json", "msgpack"}))
      ->delimiter(',')
      ->allow_extra_args(false)
      ->excludes(preset);
  app.add_option("--publisher-path", options.publisher_path,
                 "{channel} is replaced; then each channel has a publisher of its own");
  app.add_option("--publish", options.publish,
                 "What is said to publish; {payload}, {channel} and {id} are replaced");
}

void add_subscribers(CLI::App& app, FanoutOptions& options) {
  add_number(app, "--subscribers", options.subscribers, "");
  add_number(app, "--channels", options.channels, "Subscribers and messages take turns");
  add_number(app, "--size", options.size, "Bytes of a payload");
}

void add_exchange(CLI::App& app, ExchangeOptions& options) {
  add_number(app, "--connections", options.connections, "");
  auto* depth = add_number(app, "--depth", options.depth,
                           "Of a connection, in flight at once; each answer brings the next");
  app.add_option("--rate", options.loop.rate,
                 "A second, by all connections in turn, whatever comes back")
      ->check(kRate)
      ->excludes(depth);
  add_loop(app, options.loop);
}

/// What was given, and what has a default.
std::vector<std::pair<std::string, std::string>> settings_of(const CLI::App& command) {
  std::vector<std::pair<std::string, std::string>> settings{{"case", command.get_name()}};
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_group() != "Options") continue;
    if (option->count() == 0 && option->get_default_str().empty()) continue;
    std::string value;
    for (const std::string& one : option->results()) value += (value.empty() ? "" : ",") + one;
    settings.emplace_back(option->get_lnames().at(0),
                          value.empty() ? option->get_default_str() : value);
  }
  return settings;
}

}  // namespace

CaseOptions::CaseOptions(CLI::App& app) {
  add_fanout(app);
  add_echo(app);
  add_rpc(app);
  add_idle(app);
  add_connect(app);
  add_stall(app);
}

CLI::App& CaseOptions::add(CLI::App& app, const char* name, const char* help) {
  CLI::App* command = app.add_subcommand(name, help);
  commands_.push_back(command);
  return *command;
}

void CaseOptions::add_fanout(CLI::App& app) {
  CLI::App& command = add(app, "fanout", "Publish to many subscribers, count what each gets");
  add_subscribers(command, fanout_);
  auto* in_flight = add_number(command, "--in-flight", fanout_.in_flight,
                               "Messages of a burst; the next one begins when all have got all");
  auto* bursts = command.add_option("--bursts", fanout_.bursts, "So many, instead of --duration")
                     ->check(kPositive);
  auto* rate = command
                   .add_option("--rate", fanout_.loop.rate,
                               "Messages a second whatever comes back, instead of bursts")
                   ->check(kRate)
                   ->excludes(in_flight)
                   ->excludes(bursts);
  add_number(command, "--batch", fanout_.batch, "Of these so many are due at once")->needs(rate);
  add_loop(command, fanout_.loop);
  add_dialect(command, fanout_.dialect, true);
}

void CaseOptions::add_echo(CLI::App& app) {
  CLI::App& command = add(app, "echo", "Messages that come back, each compared byte by byte");
  add_exchange(command, echo_.exchange);
  add_number(command, "--size", echo_.size, "Bytes of a message");
  command.add_option("--path", echo_.path, "Default: where the URI leads, or /raw/echo");
  command.add_option("--subprotocol", echo_.subprotocol, "To offer");
  command.add_flag("--text", echo_.text, "Text messages");
}

void CaseOptions::add_rpc(CLI::App& app) {
  CLI::App& command = add(app, "rpc", "Calls of a method that adds two integers");
  add_exchange(command, rpc_.exchange);
  command.add_option("--format", rpc_.format)
      ->check(CLI::IsMember({"msgpack", "json"}))
      ->capture_default_str();
  command.add_option("--method", rpc_.method)->capture_default_str();
  command.add_option("--path", rpc_.path, "Default: where the URI leads");
}

void CaseOptions::add_idle(CLI::App& app) {
  CLI::App& command = add(app, "idle", "Memory of connections with a subscription that do nothing");
  add_number(command, "--connections", idle_.connections, "");
  add_number(command, "--steps", idle_.steps, "Memory is measured after each");
  command
      .add_option("--hold", idle_.hold_s,
                  "How long they stay, for the CPU meanwhile, and how long memory has to go back")
      ->check(kSeconds)
      ->capture_default_str();
  command.add_option("--patience", idle_.patience_s, "Without any progress, before it fails")
      ->check(kSeconds)
      ->capture_default_str();
  add_dialect(command, idle_.dialect, false);
}

void CaseOptions::add_connect(CLI::App& app) {
  CLI::App& command = add(app, "connect", "Connections that open and close, one after the other");
  auto* parallel = add_number(command, "--parallel", churn_.parallel,
                              "That open or close at once; each that ends brings the next");
  command.add_option("--rate", churn_.loop.rate, "Connections a second, whatever the others do")
      ->check(kRate)
      ->excludes(parallel);
  command.add_option("--path", churn_.path, "Default: where the URI leads, or /raw/echo");
  command.add_option("--subprotocol", churn_.subprotocol, "To offer");
  add_loop(command, churn_.loop);
}

void CaseOptions::add_stall(CLI::App& app) {
  // Each subscriber gets more in a second than the kernel keeps for one that does not read.
  stall_.fanout.subscribers = 100;
  stall_.fanout.size = 16 * 1024;
  stall_.fanout.loop.rate = 200;
  stall_.fanout.stalled_share = 0.1;
  CLI::App& command = add(app, "stall", "What subscribers that stop reading do to the others");
  add_subscribers(command, stall_.fanout);
  command.add_option("--rate", stall_.fanout.loop.rate, "Messages a second")
      ->check(kRate)
      ->default_str("200");
  command.add_option("--share", stall_.fanout.stalled_share, "Of the subscribers, that stop")
      ->check(CLI::Range(0.0, 0.99, "SHARE"))
      ->capture_default_str();
  add_number(command, "--pairs", stall_.pairs, "Of runs with and without");
  add_loop(command, stall_.fanout.loop);
  add_dialect(command, stall_.fanout.dialect, true);
}

std::optional<CaseSpec> CaseOptions::chosen() const {
  const std::vector<Case> cases{fanout_, echo_, rpc_, idle_, churn_, stall_};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    if (commands_[i]->parsed()) return CaseSpec{"", cases[i], settings_of(*commands_[i])};
  }
  return std::nullopt;
}

CaseSpec parse_case(std::vector<std::string> words) {
  CLI::App app;
  app.require_subcommand(1);
  const CaseOptions cases(app);
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
  const bool is_known =
      !words.empty() && std::ranges::any_of(cases.commands(), [&](const CLI::App* command) {
        return command->get_name() == words.front();
      });
  if (!is_known) {
    throw UsageFailure("'" + line + "': there are fanout, echo, rpc, idle, connect and stall");
  }
  std::ranges::reverse(words);
  try {
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    throw UsageFailure("'" + line + "': " + error.what());
  }
  return *cases.chosen();
}

std::vector<std::string> split_words(const std::string& line) {
  std::vector<std::string> words = CLI::detail::split_up(line);
  for (std::string& word : words) CLI::detail::remove_quotes(word);
  return words;
}

ServerSpec server_of(const std::string& text) {
  ServerSpec server;
  (text.starts_with("ws://") || text.starts_with("wss://") ? server.uri : server.command) = text;
  return server;
}

std::string cost_figure(const Case& what) {
  struct Names {
    std::string operator()(const FanoutOptions&) const { return "server_cpu_ns_per_delivery"; }
    std::string operator()(const EchoOptions&) const { return "server_cpu_ns_per_echo"; }
    std::string operator()(const RpcOptions&) const { return "server_cpu_ns_per_call"; }
    std::string operator()(const IdleOptions&) const {
      return "private_dirty_bytes_per_connection";
    }
    std::string operator()(const ChurnOptions&) const { return "server_cpu_ns_per_connection"; }
    std::string operator()(const StallOptions&) const {
      return "stalled_server_cpu_ns_per_delivery";
    }
  };
  return std::visit(Names{}, what);
}

}  // namespace wsbench
