/// Tries to connect: how many there were, why they failed, when the next one is due.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <webshocket/client_config.hpp>
#include <webshocket/error.hpp>

namespace webshocket::engine {

class Tries {
 public:
  using Clock = std::chrono::steady_clock;

  Tries() = default;
  Tries(const Retry& retry, Clock::time_point now);

  /// What a try may still take; nothing: the time for all of them is over.
  std::optional<std::chrono::nanoseconds> allowance(std::chrono::nanoseconds timeout,
                                                    Clock::time_point now) const noexcept;

  void failed(std::string complaint, int http_status);
  /// How long to wait for the next one; nothing: that was the last. `random` is evenly spread over
  /// its type.
  std::optional<std::chrono::nanoseconds> pause(std::uint64_t random,
                                                Clock::time_point now) const noexcept;
  /// Before the first try to come back: what the CLOSE of a server that goes down has asked for,
  /// "reconnect in 1200 ms", at most `Retry::max_interval`; else a part of the jitter, at random.
  std::chrono::nanoseconds first_pause(std::uint64_t random,
                                       std::string_view close_reason = {}) const noexcept;

  /// "cannot connect to ws://…: refused", or all of several reasons.
  ConnectionFailedError error(std::string_view uri, Clock::time_point now) const;

 private:
  std::chrono::nanoseconds jitter(std::uint64_t random) const noexcept;

  std::size_t attempts_ = 0;
  std::chrono::nanoseconds interval_{0};
  std::chrono::nanoseconds max_interval_{0};
  std::chrono::nanoseconds jitter_{0};
  std::chrono::nanoseconds deadline_{0};
  Clock::time_point began_;
  std::vector<std::string> complaints_;  ///< the last ones
  std::size_t count_ = 0;
  int http_status_ = 0;
};

}  // namespace webshocket::engine
