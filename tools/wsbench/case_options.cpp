#include "case_options.hpp"

namespace wsbench {
namespace {

constexpr double kMost = 1e9;
const CLI::Range kPositive(1.0, kMost, "NUMBER >= 1");
const CLI::Range kSeconds(0.0, kMost, "SECONDS");
const CLI::Range kRate(0.001, kMost, "PER SECOND");

void add_times(CLI::App& app, double& duration, double& warm_up, double& patience) {
  app.add_option("--duration", duration, "How long to measure")
      ->check(kSeconds)
      ->capture_default_str();
  app.add_option("--warm-up", warm_up, "The same before that, without counting")
      ->check(kSeconds)
      ->capture_default_str();
  app.add_option("--patience", patience, "Without an answer, before it counts as missing")
      ->check(kSeconds)
      ->capture_default_str();
}

void add_dialect(CLI::App& app, DialectOptions& options) {
  auto* preset =
      app.add_option("--preset", options.preset,
                     "raw: /raw/sub and /raw/pub; raw-channels: /raw/sub/NAME and /raw/pub/NAME; "
                     "json, msgpack: the protocol of webshocket, methods join and publish")
          ->check(CLI::IsMember({"raw", "raw-channels", "json", "msgpack"}))
          ->capture_default_str();
  app.add_option("--mixed", options.mixed,
                 "Formats of the subscribers in turn; published by msgpack")
      ->check(CLI::IsMember({"raw", "json", "msgpack"}))
      ->delimiter(',')
      ->excludes(preset);
  app.add_option("--subscriber-path", options.subscriber_path, "{channel} is replaced");
  app.add_option("--publisher-path", options.publisher_path,
                 "The same; with {channel} in it, each channel has a publisher of its own");
  app.add_option("--subprotocol", options.subprotocol, "Offered by all");
  app.add_option("--subscribe", options.subscribe,
                 "What a subscriber says once; {channel} and {id} are replaced");
  app.add_option("--publish", options.publish,
                 "What is said to publish; {payload}, {channel} and {id} are replaced");
  app.add_flag("--text", options.text, "Text messages, and payloads that are text");
}

}  // namespace

CaseOptions::CaseOptions(CLI::App& app) { add_fanout(app); }

CLI::App& CaseOptions::add(CLI::App& app, const char* name, const char* help) {
  CLI::App* command = app.add_subcommand(name, help);
  commands_.push_back(command);
  return *command;
}

void CaseOptions::add_fanout(CLI::App& app) {
  CLI::App& command = add(app, "fanout", "Publish to many subscribers, count what each gets");
  FanoutOptions& options = fanout_;
  command.add_option("--subscribers", options.subscribers)->check(kPositive)->capture_default_str();
  command.add_option("--channels", options.channels, "Subscribers and messages take turns")
      ->check(kPositive)
      ->capture_default_str();
  command.add_option("--size", options.size, "Bytes of a payload")
      ->check(kPositive)
      ->capture_default_str();
  auto* in_flight =
      command
          .add_option("--in-flight", options.in_flight,
                      "Messages of a burst; the next one begins when all have got all")
          ->check(kPositive)
          ->capture_default_str();
  auto* rate = command
                   .add_option("--rate", options.rate,
                               "Messages a second whatever comes back, instead of bursts")
                   ->check(kRate)
                   ->excludes(in_flight);
  command.add_option("--bursts", options.bursts, "So many, instead of --duration")
      ->check(kPositive)
      ->excludes(rate);
  add_times(command, options.duration_s, options.warm_up_s, options.patience_s);
  add_dialect(command, options.dialect);
}

std::optional<Case> CaseOptions::chosen() const {
  if (commands_[0]->parsed()) return fanout_;
  return std::nullopt;
}

std::vector<std::pair<std::string, std::string>> settings_of(const CLI::App& command) {
  std::vector<std::pair<std::string, std::string>> settings;
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() == 0 && option->get_default_str().empty()) continue;
    std::string name = option->get_name(false, true);
    std::string value;
    for (const std::string& one : option->results()) value += (value.empty() ? "" : ",") + one;
    if (value.empty()) value = option->get_default_str();
    settings.emplace_back(name.substr(name.find_first_not_of('-')), value);
  }
  return settings;
}

}  // namespace wsbench
