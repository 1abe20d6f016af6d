/// What every run begins and ends with: the opening of all connections, and waiting for silence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "clock.hpp"
#include "failure.hpp"
#include "swarm.hpp"

namespace wsbench {

/// Servers take so many at once; a longer queue would only wait for the kernel's next try.
inline constexpr std::size_t kOpenAtOnce = 128;

/// The longest wait without a look at the clock.
inline constexpr std::uint64_t kTick = 50 * kMillisecond;

/// Until `request_of(i)` has opened a connection for all i below `count`; a fresh swarm numbers
/// them from 0. Throws `Failure` if nothing opens for `patience_ns`.
template <class Sink, class RequestOf>
void open_all(Swarm& swarm, Sink& sink, std::size_t count, std::uint64_t patience_ns,
              RequestOf request_of) {
  std::uint64_t deadline = now_ns() + patience_ns;
  for (std::size_t i = 0; i < count || swarm.opening() != 0;) {
    const std::size_t before = swarm.opening();
    while (i < count && swarm.opening() < kOpenAtOnce) swarm.connect(request_of(i++));
    swarm.poll(kTick, sink);
    if (swarm.opening() != before) deadline = now_ns() + patience_ns;
    if (now_ns() > deadline) {
      throw Failure(std::to_string(swarm.opening()) + " connections do not open");
    }
  }
}

/// Tells what still comes, until nothing has come for `quiet_ns`; but not for ever. At the end of a
/// run that is what should not have come.
template <class Sink>
void settle(Swarm& swarm, Sink& sink, std::uint64_t quiet_ns = kTick) {
  const std::uint64_t deadline = now_ns() + 20 * quiet_ns;
  while (swarm.poll(quiet_ns, sink) && now_ns() < deadline) {
  }
}

}  // namespace wsbench
