#include "cases.hpp"

namespace wsbench {
namespace {

/// nullptr: it cannot be divided.
struct Maker {
  std::unique_ptr<Measurement> operator()(const FanoutOptions& options) const {
    return std::make_unique<Fanout>(options, server, progress);
  }
  std::unique_ptr<Measurement> operator()(const EchoOptions& options) const {
    return make_echo(options, server, progress);
  }
  std::unique_ptr<Measurement> operator()(const RpcOptions& options) const {
    return make_rpc(options, server, progress);
  }
  std::unique_ptr<Measurement> operator()(const ChurnOptions& options) const {
    return std::make_unique<Churn>(options, server, progress);
  }
  std::unique_ptr<Measurement> operator()(const IdleOptions&) const { return nullptr; }
  std::unique_ptr<Measurement> operator()(const StallOptions&) const { return nullptr; }

  ServerProcess& server;
  Progress& progress;
};

}  // namespace

std::unique_ptr<Measurement> make_measurement(const Case& what, ServerProcess& server,
                                              Progress& progress) {
  return std::visit(Maker{server, progress}, what);
}

bool is_divisible(const Case& what) noexcept {
  return !std::holds_alternative<IdleOptions>(what) && !std::holds_alternative<StallOptions>(what);
}

Result run_case(const Case& what, const ServerSpec& spec, Progress& progress) {
  ServerProcess server(spec);
  Result result;
  if (const auto measurement = make_measurement(what, server, progress)) {
    measurement->prepare();
    measurement->run(1);
    result = measurement->finish();
  } else if (const auto* idle = std::get_if<IdleOptions>(&what)) {
    result = measure_idle(*idle, server, progress);
  } else {
    result = measure_stall(std::get<StallOptions>(what), server, progress);
  }
  server.stop();
  return result;
}

}  // namespace wsbench
