/// What wsbench is told by its command line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "comparison.hpp"

namespace wsbench {

/// Of the process; `--help` tells them.
enum class Status : std::uint8_t { fine = 0, wrong = 1, usage = 2 };

/// Comparisons to be made: of one run, of several servers, of a whole suite.
struct MeasureCommand {
  std::size_t runs = 1;
  std::vector<Comparison> comparisons;
  std::optional<int> client_cpu;
  std::string json_file;  ///< "-": standard output; empty: none
  bool quiet = false;
};

/// A page of what others have measured.
struct ReportCommand {
  std::vector<std::string> files;
  std::string page;
  std::string title;
};

struct Options {
  std::vector<std::string> command_line;
  std::variant<MeasureCommand, ReportCommand> command;
};

/// The options; or the exit status, once help or a complaint has been printed.
std::variant<Options, int> parse_options(int argc, const char* const* argv);

}  // namespace wsbench
