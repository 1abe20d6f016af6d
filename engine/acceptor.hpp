/// Accepts at a listening socket, and mints a uid that belongs to the shard where the connection
/// will be. It has a home, a shard that keeps what it accepts; or none, and then the uid decides.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <webshocket/config.hpp>

#include "engine/listening.hpp"
#include "shards/loop.hpp"
#include "shards/site.hpp"
#include "shards/socket.hpp"
#include "shards/tcp_connection.hpp"

namespace webshocket::engine {

struct AcceptCounters {
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> paused{0};  ///< by `Config::accept_rate`
  std::atomic<std::uint64_t> errors{0};
};

class Acceptor {
 public:
  /// Listens, as `Listening` says; accepts nothing yet. Throws `WebSocketError` that names the
  /// address. `first` is the same listener's.
  Acceptor(shards::Site& site, std::size_t listener, AcceptCounters& counters,
           std::optional<std::size_t> home = std::nullopt, const Acceptor* first = nullptr);
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  /// The shard on whose thread it starts and stops; none: the control thread.
  std::optional<std::size_t> home() const noexcept { return home_; }

  // On that thread, of which `loop` is.
  void start(shards::Loop& loop) noexcept;
  /// Who waits at the socket is still accepted, unless he waits for a successor, too.
  void stop() noexcept;

  std::uint16_t port() const noexcept { return listening_.port(); }
  const std::string& address() const noexcept { return listening_.address(); }

 private:
  void on_incoming(std::uint32_t events) noexcept;
  void on_pause_over() noexcept;
  bool accept_one() noexcept;
  void admit(shards::Socket socket, const shards::Address& remote);
  void hand_over();
  void out_of_descriptors() noexcept;
  /// Looks away for that long.
  void pause(std::chrono::nanoseconds delay) noexcept;

  shards::Site& site_;
  std::size_t index_;
  AcceptCounters& counters_;
  const std::optional<std::size_t> home_;
  std::vector<std::vector<shards::Adoption>> accepted_;  ///< without a home: in this turn, by shard
  Listening listening_;
  shards::Socket reserve_;  ///< given up to be able to refuse when no descriptor is left
  shards::Poll poll_;
  shards::Timer pause_;
  bool started_ = false;
};

}  // namespace webshocket::engine
