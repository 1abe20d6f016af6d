/// How often a connection may call a method: fixed windows that open with a call.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include <webshocket/rpc.hpp>

namespace webshocket::detail {

/// The windows of one connection. Belongs to its shard, which also tells the time.
class RateWindows {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Counts a call of `method` (its address is its name). False if the window is full: then the
  /// call does not count.
  bool take(const void* method, const RateLimit& limit, TimePoint now);

 private:
  struct Window {
    const void* method;
    TimePoint end;
    std::uint32_t used;
  };

  // A list, for a client calls few of the limited methods; a window that has passed gives its place
  // to the next one, so that replaced methods leave nothing behind.
  std::vector<Window> windows_;
};

}  // namespace webshocket::detail
