/// How busy this machine is, and how large a process.
#pragma once

#include <cstdint>
#include <string_view>

namespace wssoak {

/// Clock ticks since the machine was started, over all processors.
struct CpuTimes {
  std::uint64_t busy = 0;
  std::uint64_t all = 0;
};

/// From the first line of /proc/stat. Waiting for a disk is idle, what a hypervisor took is busy.
CpuTimes parse_cpu_times(std::string_view line);
CpuTimes cpu_times();

/// Of all processors, between two moments; 0 if no time has passed.
double busy_share(const CpuTimes& from, const CpuTimes& to) noexcept;

/// Of this process, in bytes.
std::uint64_t own_resident_bytes();
/// What this process has allocated and not freed: unlike what is resident, it does not keep what a
/// burst has taken. Without glibc's allocator 0.
std::uint64_t own_heap_bytes();

}  // namespace wssoak
