/// What subscribers that stop reading do to the others.
#pragma once

#include <cstddef>

#include "fanout.hpp"

namespace wsbench {

struct StallOptions {
  FanoutOptions fanout;  ///< with a rate, and the share that stalls
  std::size_t pairs = 2;
};

/// Runs of the fan-out in pairs, with and without the stall, against one server. The figures are
/// those of the subscribers that go on reading.
Result measure_stall(const StallOptions& options, ServerProcess& server, Progress& progress);

}  // namespace wsbench
