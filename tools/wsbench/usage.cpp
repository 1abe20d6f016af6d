#include "usage.hpp"

#include <ctime>

#include <algorithm>
#include <string>

#include "clock.hpp"

namespace wsbench {
namespace {

std::uint64_t own_cpu_ns() noexcept {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return nanoseconds_of(time);
}

}  // namespace

Usage::Usage(const ServerProcess& server)
    : server_(server),
      begin_ns_(now_ns()),
      client_cpu_ns_(own_cpu_ns()),
      server_cpu_ns_(server.cpu_ns()) {}

void Usage::add_to(Result& result, const std::string& one, const std::string& many,
                   std::uint64_t count) const {
  const auto server_now = server_.cpu_ns();
  const auto client = static_cast<double>(own_cpu_ns() - client_cpu_ns_);
  const auto elapsed = static_cast<double>(std::max<std::uint64_t>(1, now_ns() - begin_ns_));
  const auto number = static_cast<double>(std::max<std::uint64_t>(1, count));
  result.add("elapsed_s", elapsed / static_cast<double>(kSecond));
  result.add(many + "_per_s", static_cast<double>(count) * static_cast<double>(kSecond) / elapsed);
  if (server_now && server_cpu_ns_) {
    const auto server = static_cast<double>(*server_now - *server_cpu_ns_);
    result.add("server_cpu_ns_per_" + one, server / number);
    result.add("server_cpu_share", server / elapsed);
  }
  result.add("client_cpu_ns_per_" + one, client / number);
  result.add("client_cpu_share", client / elapsed);
}

void add_memory(Result& result, const ServerProcess& server) {
  const auto memory = server.memory();
  if (!memory) return;
  result.add("server_resident_bytes", static_cast<double>(memory->resident));
  result.add("server_private_dirty_bytes", static_cast<double>(memory->private_dirty));
}

}  // namespace wsbench
