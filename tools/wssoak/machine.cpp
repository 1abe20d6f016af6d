#include "machine.hpp"

#include <malloc.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <sstream>
#include <string>

namespace wssoak {

CpuTimes parse_cpu_times(std::string_view line) {
  std::istringstream in{std::string(line)};
  std::string name;
  in >> name;
  CpuTimes times;
  // user nice system idle iowait irq softirq steal; what guests took is within user and nice.
  constexpr std::size_t kFields = 8;
  constexpr std::size_t kIdle = 3;
  constexpr std::size_t kIoWait = 4;
  std::uint64_t ticks = 0;
  for (std::size_t i = 0; i < kFields && in >> ticks; ++i) {
    times.all += ticks;
    if (i != kIdle && i != kIoWait) times.busy += ticks;
  }
  return times;
}

CpuTimes cpu_times() {
  std::ifstream file("/proc/stat");
  std::string line;
  std::getline(file, line);
  return parse_cpu_times(line);
}

double busy_share(const CpuTimes& from, const CpuTimes& to) noexcept {
  if (to.all <= from.all || to.busy < from.busy) return 0;
  return static_cast<double>(to.busy - from.busy) / static_cast<double>(to.all - from.all);
}

std::uint64_t own_resident_bytes() {
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t own_heap_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

}  // namespace wssoak
