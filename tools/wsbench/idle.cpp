#include "idle.hpp"

#include <algorithm>
#include <string>

#include "clock.hpp"
#include "crowd.hpp"
#include "failure.hpp"

namespace wsbench {
namespace {

/// May be negative.
double difference(std::uint64_t later, std::uint64_t earlier) noexcept {
  return static_cast<double>(later) - static_cast<double>(earlier);
}

Memory memory_of(const ServerProcess& server) {
  const auto memory = server.memory();
  if (!memory) throw Failure("idle needs the server's process: --server, or --pid");
  return *memory;
}

void add_each(Result& result, const Memory& now, const Memory& before, std::size_t count,
              const std::string& suffix) {
  const auto number = static_cast<double>(count);
  result.add("resident_bytes_per_connection" + suffix,
             difference(now.resident, before.resident) / number);
  result.add("private_dirty_bytes_per_connection" + suffix,
             difference(now.private_dirty, before.private_dirty) / number);
}

}  // namespace

Result measure_idle(const IdleOptions& options, ServerProcess& server, Progress& progress) {
  Result result;
  {
    // What the first connection ever makes a server allocate is not the price of each.
    Crowd first(options.dialect, server, progress, span_ns(options.patience_s));
    first.open(1);
    first.settle();
    first.close();
    first.settle();
  }
  const Memory before = memory_of(server);
  Crowd crowd(options.dialect, server, progress, span_ns(options.patience_s));
  const std::size_t steps = std::min(options.steps, options.connections);
  std::uint64_t opening_ns = 0;
  Memory full;
  for (std::size_t step = 1, open = 0; step <= steps; ++step) {
    const std::size_t goal = options.connections * step / steps;
    const std::uint64_t begin = now_ns();
    crowd.open(goal - open);
    opening_ns += now_ns() - begin;
    open = goal;
    crowd.settle();
    full = memory_of(server);
    if (step < steps) add_each(result, full, before, open, "_at_" + std::to_string(open));
  }
  result.add("connections", static_cast<double>(options.connections));
  result.add("connections_per_s", static_cast<double>(options.connections) /
                                      seconds_of(std::max<std::uint64_t>(1, opening_ns)));
  add_each(result, full, before, options.connections, "");

  const std::uint64_t cpu = *server.cpu_ns();
  const std::uint64_t held_from = now_ns();
  crowd.hold(span_ns(options.hold_s));
  result.add("server_cpu_share_when_idle",
             difference(*server.cpu_ns(), cpu) / difference(now_ns(), held_from));
  crowd.close();
  crowd.hold(span_ns(options.hold_s));
  const Memory after = memory_of(server);
  add_each(result, after, before, options.connections, "_kept_after_close");
  result.add("server_resident_bytes", static_cast<double>(full.resident));
  result.add("server_private_dirty_bytes", static_cast<double>(full.private_dirty));
  return result;
}

}  // namespace wsbench
