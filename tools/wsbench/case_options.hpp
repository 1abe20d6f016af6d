/// The subcommands that measure, and their options.
#pragma once

#include <CLI/CLI.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cases.hpp"

namespace wsbench {

/// Adds the subcommands to an app; once that has parsed, tells which one was asked for.
class CaseOptions {
 public:
  explicit CaseOptions(CLI::App& app);
  CaseOptions(const CaseOptions&) = delete;
  CaseOptions& operator=(const CaseOptions&) = delete;

  /// For options that all of them have.
  const std::vector<CLI::App*>& commands() const noexcept { return commands_; }
  /// Nothing if the app was asked for something else.
  std::optional<Case> chosen() const;

 private:
  CLI::App& add(CLI::App& app, const char* name, const char* help);
  void add_fanout(CLI::App& app);

  std::vector<CLI::App*> commands_;
  FanoutOptions fanout_;
};

/// The options as they are told in results.
std::vector<std::pair<std::string, std::string>> settings_of(const CLI::App& command);

}  // namespace wsbench
