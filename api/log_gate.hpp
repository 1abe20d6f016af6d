/// Keeps what strangers can cause from filling the log.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <utility>

#include <webshocket/detail/hub.hpp>

#include "api/token_bucket.hpp"

namespace webshocket::detail {

/// `make` returns the line. There is none if there is no memory for it.
template <class Make>
void log_if_possible(const Hub& hub, LogLevel level, Make&& make) noexcept {
  try {
    hub.log(level, std::forward<Make>(make)());
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): the counters tell of it
  }
}

/// What is said of the same kind counts together.
enum class LogTopic : std::uint8_t { predicate, turned_away, tls, proxy };

/// Of one hub: twenty lines of a topic at once, then one a second, which tells how many were left
/// out before it.
class LogGate {
 public:
  /// `make` returns the line; it is not called for one that is left out.
  template <class Make>
  void say(const Hub& hub, LogTopic topic, LogLevel level, Make&& make) noexcept {
    constexpr TokenRate kRate{1, 20};
    Gate& gate = gates_[static_cast<std::size_t>(topic)];
    if (!gate.bucket.take(kRate, hub.now())) {
      ++gate.left_out;
      return;
    }
    const std::uint64_t more = std::exchange(gate.left_out, 0);
    log_if_possible(hub, level, [&] {
      std::string line = std::forward<Make>(make)();
      if (more != 0) line += " (and " + std::to_string(more) + " more before)";
      return line;
    });
  }

 private:
  struct Gate {
    TokenBucket bucket;
    std::uint64_t left_out = 0;
  };

  std::array<Gate, 4> gates_;
};

}  // namespace webshocket::detail
