/// What the test's own process holds.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace webshocket::test {

namespace own_process {

inline std::size_t entries(const char* folder) {
  const std::filesystem::directory_iterator list(folder);
  return static_cast<std::size_t>(std::distance(begin(list), end(list)));
}

}  // namespace own_process

/// Under a sanitizer they are its own threads too: compare, do not count.
inline std::size_t thread_count() { return own_process::entries("/proc/self/task"); }

/// One of them is the listing itself.
inline std::size_t descriptor_count() { return own_process::entries("/proc/self/fd"); }

inline std::size_t resident_bytes() {
  std::size_t total = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace webshocket::test
