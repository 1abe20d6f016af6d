/// Everything that a soak has found out, and whether all of it held.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "drift.hpp"
#include "numbers.hpp"
#include "options.hpp"
#include "samples.hpp"
#include "tally.hpp"

namespace wssoak {

struct Findings {
  std::vector<Sample> samples;
  Tally tally;                      ///< of all clients, to the end
  Numbers numbers;                  ///< of the server, when all had left
  std::vector<std::string> faults;  ///< what did not hold, for people
  bool interrupted = false;

  // In MiB over minutes; nothing: too few samples.
  std::optional<Drift> server_resident;
  std::optional<Drift> server_heap;
  std::optional<Drift> clients_resident;
  std::optional<Drift> clients_heap;
  double load = 0;  ///< mean share of all processors, after the warm-up
};

/// From then on memory is judged, the load must have been reached, and everything must have
/// happened: what is shorter warms up only.
inline constexpr double kLongEnough = 5;  ///< minutes

/// Evaluates samples and tallies: fills in what they say, and adds to the faults.
void judge(Findings& findings, const SoakOptions& options);

}  // namespace wssoak
