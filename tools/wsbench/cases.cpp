#include "cases.hpp"

namespace wsbench {
namespace {

Result run(const FanoutOptions& options, ServerProcess& server, Progress& progress) {
  Fanout fanout(options, server, progress);
  fanout.prepare();
  return fanout.measure();
}

}  // namespace

Result run_case(const Case& what, ServerProcess& server, Progress& progress) {
  return std::visit([&](const auto& options) { return run(options, server, progress); }, what);
}

Result run_with_server(const Case& what, const ServerSpec& spec, Progress& progress) {
  ServerProcess server(spec);
  Result result = run_case(what, server, progress);
  server.stop();
  return result;
}

}  // namespace wsbench
