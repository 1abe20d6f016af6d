#include "cases.hpp"

namespace wsbench {
namespace {

Result run(const FanoutOptions& options, ServerProcess& server, Progress& progress) {
  Fanout fanout(options, server, progress);
  fanout.prepare();
  return fanout.measure();
}

Result run(const EchoOptions& options, ServerProcess& server, Progress& progress) {
  return measure_echo(options, server, progress);
}

Result run(const RpcOptions& options, ServerProcess& server, Progress& progress) {
  return measure_rpc(options, server, progress);
}

Result run(const IdleOptions& options, ServerProcess& server, Progress& progress) {
  return measure_idle(options, server, progress);
}

Result run(const ChurnOptions& options, ServerProcess& server, Progress& progress) {
  return Churn(options, server, progress).measure();
}

Result run(const StallOptions& options, ServerProcess& server, Progress& progress) {
  return measure_stall(options, server, progress);
}

}  // namespace

Result run_case(const Case& what, const ServerSpec& spec, Progress& progress) {
  ServerProcess server(spec);
  Result result =
      std::visit([&](const auto& options) { return run(options, server, progress); }, what);
  server.stop();
  return result;
}

}  // namespace wsbench
