/// What wsbench is told by its command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cases.hpp"
#include "server_process.hpp"

namespace wsbench {

/// Of the process; `--help` tells them.
enum class Status : std::uint8_t { fine = 0, wrong = 1, usage = 2 };

using Settings = std::vector<std::pair<std::string, std::string>>;

struct CaseCommand {
  Case what;
  Settings settings;
  ServerSpec server;
};

struct Options {
  std::variant<CaseCommand> command;
  std::vector<std::string> command_line;
  std::optional<int> client_cpu;
  std::string json_file;  ///< "-": standard output; empty: none
  bool quiet = false;
};

/// The options; or the exit status, once help or a complaint has been printed.
std::variant<Options, int> parse_options(int argc, const char* const* argv);

}  // namespace wsbench
