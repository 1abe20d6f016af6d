/// What a stretch of a run cost: time, and CPU of both ends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "result.hpp"
#include "server_process.hpp"

namespace wsbench {

class Usage {
 public:
  /// From now on.
  explicit Usage(const ServerProcess& server);
  /// Until now, for `count` things that are called `one` and `many`.
  void add_to(Result& result, const std::string& one, const std::string& many,
              std::uint64_t count) const;

 private:
  const ServerProcess& server_;
  std::uint64_t begin_ns_;
  std::uint64_t client_cpu_ns_;
  std::optional<std::uint64_t> server_cpu_ns_;
};

/// Resident and private memory of the server, if its process is known.
void add_memory(Result& result, const ServerProcess& server);

}  // namespace wsbench
