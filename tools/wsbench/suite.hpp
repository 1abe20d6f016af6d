/// A file of cases and servers, for comparing all of them with one command.
///
///     runs = 5
///     slices = 20                      # of each run, taken in turn; default: 1
///     server_cpu = 0
///     client_cpu = 1
///
///     [[server]]
///     name = "ours"
///     command = "build/release/bin/conformance_server --port {port} --shards 1"
///     options = "--preset json"        # what is added to `run` of each case for this one
///
///     [[case]]
///     name = "64 B, 16 in flight"
///     run = "fanout --subscribers 1000 --size 64 --in-flight 16"
///     servers = ["ours", "theirs"]     # default: all, in their order
///     at_most = { theirs = 0.92 }      # server CPU of the first one to that one
///     figures_at_most = { ratio_of_latency_p99 = 1.2 }  # of the first one itself
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "comparison.hpp"

namespace wsbench {

struct Suite {
  std::size_t runs = 5;
  std::optional<int> client_cpu;
  std::vector<Comparison> comparisons;
};

/// Throws `UsageFailure` that says where the file is wrong.
Suite read_suite(const std::string& file);

}  // namespace wsbench
