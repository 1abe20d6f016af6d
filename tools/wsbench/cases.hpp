/// What can be measured, and the measuring of it.
#pragma once

#include <memory>
#include <variant>

#include "churn.hpp"
#include "echo.hpp"
#include "fanout.hpp"
#include "idle.hpp"
#include "measurement.hpp"
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

/// Whether it can be measured in parts.
bool is_divisible(const Case& what) noexcept;
/// One that is divisible; `what` is borrowed.
std::unique_ptr<Measurement> make_measurement(const Case& what, ServerProcess& server,
                                              Progress& progress);

}  // namespace wsbench
