/// What becomes of messages for a connection that reads too slowly.
#pragma once

#include <cstddef>
#include <cstdint>

namespace webshocket {

/// Replies are never dropped: while they exceed the limit, the next calls of that connection wait.
enum class OutboxPolicy : std::uint8_t {
  disconnect,  ///< all that waits is dropped, and the connection closed with 1013
  drop_new,    ///< the message that finds no room is dropped
  drop_old,    ///< those that have waited longest are dropped, until the new one has room
  /// Of those with one key (`PublishOptions::key`) on a channel only the newest waits; beyond the
  /// limit as `drop_old`.
  conflate,
};

/// How much may wait for one connection, and what happens beyond. An empty outbox takes any one
/// message.
struct OutboxRule {
  OutboxPolicy policy = OutboxPolicy::disconnect;
  std::size_t limit = 0;  ///< bytes; 0: unlimited, of a channel: the connection's own
};

/// What an outbox has dropped, messages and their bytes on the wire.
struct Dropped {
  std::uint64_t by_drop_new = 0;
  std::uint64_t by_drop_old = 0;
  std::uint64_t by_conflate = 0;
  std::uint64_t bytes = 0;

  std::uint64_t messages() const noexcept { return by_drop_new + by_drop_old + by_conflate; }
};

/// Of one connection, at this moment.
struct OutboxState {
  std::size_t bytes = 0;  ///< wait
  OutboxRule rule = {};
  Dropped dropped = {};  ///< since it came
};

}  // namespace webshocket
