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

Usage::Amount Usage::now() const { return {now_ns(), own_cpu_ns(), server_.cpu_ns()}; }

void Usage::begin() { begin_ = now(); }

void Usage::end() {
  const Amount end = now();
  total_.time_ns += end.time_ns - begin_.time_ns;
  total_.client_cpu_ns += end.client_cpu_ns - begin_.client_cpu_ns;
  if (total_.server_cpu_ns && end.server_cpu_ns && begin_.server_cpu_ns) {
    *total_.server_cpu_ns += *end.server_cpu_ns - *begin_.server_cpu_ns;
  } else {
    total_.server_cpu_ns.reset();
  }
}

void Usage::add_to(Result& result, const std::string& one, const std::string& many,
                   std::uint64_t count) const {
  const auto client = static_cast<double>(total_.client_cpu_ns);
  const auto elapsed = static_cast<double>(std::max<std::uint64_t>(1, total_.time_ns));
  const auto number = static_cast<double>(std::max<std::uint64_t>(1, count));
  result.add("elapsed_s", elapsed / static_cast<double>(kSecond));
  result.add(many + "_per_s", static_cast<double>(count) * static_cast<double>(kSecond) / elapsed);
  if (total_.server_cpu_ns) {
    const auto server = static_cast<double>(*total_.server_cpu_ns);
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
