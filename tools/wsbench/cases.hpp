/// What can be measured, and the measuring of it.
#pragma once

#include <variant>

#include "fanout.hpp"
#include "progress.hpp"
#include "result.hpp"
#include "server_process.hpp"

namespace wsbench {

using Case = std::variant<FanoutOptions>;

/// Against a server that runs. Throws `Failure` or `UsageFailure`.
Result run_case(const Case& what, ServerProcess& server, Progress& progress);

/// The same with a server of its own, which is ended afterwards.
Result run_with_server(const Case& what, const ServerSpec& spec, Progress& progress);

}  // namespace wsbench
