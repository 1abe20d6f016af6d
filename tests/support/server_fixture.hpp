/// A server in the test's own process, on a free port.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"

namespace webshocket::test {

/// Started; closes when destroyed. `prepare` sees the server before the start, for routes.
class ServerFixture {
 public:
  explicit ServerFixture(Config config, HandlerFactory factory,
                         const std::function<void(Server&)>& prepare = {})
      : server_(std::move(config), std::move(factory)) {
    if (prepare) prepare(server_);
    server_.start();
  }

  Server& operator*() noexcept { return server_; }
  Server* operator->() noexcept { return &server_; }
  std::uint16_t port() const noexcept { return server_.port(); }
  /// "ws://127.0.0.1:PORT".
  std::string uri() const { return "ws://127.0.0.1:" + std::to_string(port()); }

 private:
  Server server_;
};

/// For what another thread brings about and nobody announces, such as a counter: looks again and
/// again. Throws `PeerError` when it has not become true within the guard.
template <class Condition>
void eventually(Condition condition, const std::string& what) {
  const auto until = std::chrono::steady_clock::now() + kGuard;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) throw PeerError("waited in vain for " + what);
    std::this_thread::yield();
  }
}

}  // namespace webshocket::test
