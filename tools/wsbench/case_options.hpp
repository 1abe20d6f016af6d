/// The subcommands that measure, and their options.
#pragma once

#include <CLI/CLI.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cases.hpp"
#include "comparison.hpp"

namespace wsbench {

/// Adds the subcommands to an app; once that has parsed, tells which one was asked for.
class CaseOptions {
 public:
  explicit CaseOptions(CLI::App& app);
  CaseOptions(const CaseOptions&) = delete;
  CaseOptions& operator=(const CaseOptions&) = delete;

  /// For options that all of them have; they belong to another group than "Options".
  const std::vector<CLI::App*>& commands() const noexcept { return commands_; }
  /// Nothing if the app was asked for something else.
  std::optional<CaseSpec> chosen() const;

 private:
  CLI::App& add(CLI::App& app, const char* name, const char* help);
  void add_fanout(CLI::App& app);
  void add_echo(CLI::App& app);
  void add_rpc(CLI::App& app);
  void add_idle(CLI::App& app);
  void add_connect(CLI::App& app);
  void add_stall(CLI::App& app);

  std::vector<CLI::App*> commands_;
  FanoutOptions fanout_;
  EchoOptions echo_;
  RpcOptions rpc_;
  IdleOptions idle_;
  ChurnOptions churn_;
  StallOptions stall_;
};

/// `fanout --subscribers 10`, as words. Throws `UsageFailure`.
CaseSpec parse_case(std::vector<std::string> words);
/// At blanks; quotes hold together.
std::vector<std::string> split_words(const std::string& line);

/// A command that starts a server, or the URI of one that runs.
ServerSpec server_of(const std::string& text);

/// The figure that tells what one delivery, echo, call or connection costs the server.
std::string cost_figure(const Case& what);

}  // namespace wsbench
