/// A listening socket: accepts, and mints a uid that belongs to the shard where the connection will
/// be. It has a home, a shard that keeps what it accepts; or none, and then the uid decides.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <webshocket/config.hpp>

#include "shards/loop.hpp"
#include "shards/site.hpp"
#include "shards/socket.hpp"
#include "shards/tcp_connection.hpp"

namespace webshocket::engine {

struct AcceptCounters {
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> errors{0};
};

class Acceptor {
 public:
  /// Binds and listens; accepts nothing yet. Throws `WebSocketError` that names the address. With
  /// `first`, which is the same listener's, it listens at the same address: the kernel spreads
  /// connections over them. With anybody else's sockets it shares no address.
  Acceptor(shards::Site& site, std::size_t listener, AcceptCounters& counters,
           std::optional<std::size_t> home = std::nullopt, const Acceptor* first = nullptr);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  /// The shard on whose thread it starts and stops; none: the control thread.
  std::optional<std::size_t> home() const noexcept { return home_; }

  // On that thread, of which `loop` is.
  void start(shards::Loop& loop) noexcept;
  void stop() noexcept;

  std::uint16_t port() const noexcept { return port_; }
  const std::string& address() const noexcept { return address_; }
  bool is_tcp() const noexcept { return listener_.unix_path.empty(); }

 private:
  void open_tcp(const Acceptor* first);
  void open_unix();
  void close() noexcept;
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
  const Listener& listener_;
  AcceptCounters& counters_;
  const std::optional<std::size_t> home_;
  std::vector<std::vector<shards::Adoption>> accepted_;  ///< without a home: in this turn, by shard
  shards::Socket socket_;
  shards::Socket reserve_;  ///< given up to be able to refuse when no descriptor is left
  shards::Poll poll_;
  shards::Timer pause_;
  bool started_ = false;
  std::uint16_t port_ = 0;
  std::string address_;
};

}  // namespace webshocket::engine
