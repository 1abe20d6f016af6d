/// What stretches of a run cost: time, and CPU of both ends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "result.hpp"
#include "server_process.hpp"

namespace wsbench {

class Usage {
 public:
  explicit Usage(const ServerProcess& server) noexcept : server_(server) {}
  void begin();
  void end();
  /// For `count` things that are called `one` and `many`.
  void add_to(Result& result, const std::string& one, const std::string& many,
              std::uint64_t count) const;

 private:
  struct Amount {
    std::uint64_t time_ns = 0;
    std::uint64_t client_cpu_ns = 0;
    std::optional<std::uint64_t> server_cpu_ns = 0;
  };
  Amount now() const;

  const ServerProcess& server_;
  Amount begin_;
  Amount total_;
};

/// Resident and private memory of the server, if its process is known.
void add_memory(Result& result, const ServerProcess& server);

}  // namespace wsbench
