/// The command line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace wssoak {

enum class Status : int { fine = 0, wrong = 1, usage = 2 };

/// The soak itself.
struct SoakOptions {
  double minutes = 30;
  double load = 0.7;             ///< share of all processors of the machine
  std::optional<double> factor;  ///< of the plan's rates; nothing: what `load` takes
  std::size_t clients = 200;     ///< that stay from the beginning to the end
  std::size_t shards = 0;        ///< of the server; 0: one per core
  std::size_t loops = 0;         ///< of the load generator; 0: one per core
  double interval_s = 5;         ///< between two samples
  double max_growth = 0.02;      ///< of memory, after the warm-up
  std::uint64_t seed = 1;
  bool gentle = false;  ///< nobody is cut off, so that every count is exact
  bool quiet = false;
  std::string folder;  ///< of the report
};

/// The server under test, started by the soak.
struct ServeOptions {
  std::uint16_t port = 0;
  std::size_t shards = 0;
  std::string certificate;  ///< PEM, with its key
};

struct Options {
  std::variant<SoakOptions, ServeOptions> command;
  std::vector<std::string> command_line;
};

/// What to do, or the exit status if that is all: `--help` and errors have been told.
std::variant<Options, int> parse_options(int argc, const char* const* argv);

}  // namespace wssoak
