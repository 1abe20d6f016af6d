#include "shards/loop.hpp"

#include <cassert>
#include <string>

#include <webshocket/error.hpp>

namespace webshocket::shards {

Loop::Loop() {
  if (const int error = uv_loop_init(&loop_); error != 0) {
    throw WebSocketError(std::string("cannot make an event loop: ") + uv_strerror(error));
  }
}

void Loop::finish() noexcept { uv_run(&loop_, UV_RUN_DEFAULT); }

Loop::~Loop() {
  [[maybe_unused]] const int error = uv_loop_close(&loop_);
  assert(error == 0 && "a handle was not closed");
}

}  // namespace webshocket::shards
