/// What connections cost a server that do nothing.
#pragma once

#include <cstddef>

#include "dialect.hpp"
#include "progress.hpp"
#include "result.hpp"
#include "server_process.hpp"

namespace wsbench {

struct IdleOptions {
  DialectOptions dialect;  ///< the first format of it
  std::size_t connections = 9000;
  std::size_t steps = 1;  ///< memory is measured after each
  double hold_s = 2;      ///< for the CPU meanwhile; and again after closing, for memory to go back
  double patience_s = 10;
};

/// Throws `Failure` if the server's process is not known.
Result measure_idle(const IdleOptions& options, ServerProcess& server, Progress& progress);

}  // namespace wsbench
