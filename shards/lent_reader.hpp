/// What a connection is lent while it is inside a message.
#pragma once

#include <cstddef>

#include <webshocket/detail/executor.hpp>

#include "protocol/frame_reader.hpp"

namespace webshocket::shards {

class Endpoint;

/// A reader, and the time that its message has.
struct LentReader final : webshocket::detail::TimerNode {
  explicit LentReader(protocol::Role role) noexcept : frames(role) {}

  void fire() noexcept override;

  protocol::FrameReader frames;
  std::size_t counted = 0;  ///< of its bytes, as the reactor counts them
  Endpoint* owner = nullptr;
};

}  // namespace webshocket::shards
