/// What can be measured, and the measuring of it.
#pragma once

#include <variant>

#include "churn.hpp"
#include "echo.hpp"
#include "fanout.hpp"
#include "idle.hpp"
#include "progress.hpp"
#include "result.hpp"
#include "rpc.hpp"
#include "server_process.hpp"
#include "stall.hpp"

namespace wsbench {

using Case =
    std::variant<FanoutOptions, EchoOptions, RpcOptions, IdleOptions, ChurnOptions, StallOptions>;

/// Against a server of its own, or one that runs already. Throws `Failure` or `UsageFailure`.
Result run_case(const Case& what, const ServerSpec& spec, Progress& progress);

}  // namespace wsbench
