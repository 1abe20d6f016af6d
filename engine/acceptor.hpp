/// A listening socket: accepts, mints the uid, and so decides the shard.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
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
  /// Binds and listens; accepts nothing yet. Throws `WebSocketError` that names the address.
  Acceptor(shards::Site& site, std::size_t listener, AcceptCounters& counters);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // On the control thread, or on the thread of the only shard: its loop is `loop`.
  void start(shards::Loop& loop) noexcept;
  void stop() noexcept;

  std::uint16_t port() const noexcept { return port_; }
  const std::string& address() const noexcept { return address_; }
  bool is_tcp() const noexcept { return listener_.unix_path.empty(); }

 private:
  void open_tcp();
  void open_unix();
  void close() noexcept;
  void on_incoming(std::uint32_t events) noexcept;
  void on_pause_over() noexcept;
  bool accept_one() noexcept;
  void admit(shards::Socket socket, const shards::Address& remote);
  void hand_over();
  void out_of_descriptors() noexcept;

  shards::Site& site_;
  std::size_t index_;
  const Listener& listener_;
  AcceptCounters& counters_;
  std::vector<std::vector<shards::Adoption>> accepted_;  ///< in this turn, by shard
  shards::Socket socket_;
  shards::Socket reserve_;  ///< given up to be able to refuse when no descriptor is left
  shards::Poll poll_;
  shards::Timer pause_;
  bool started_ = false;
  std::uint16_t port_ = 0;
  std::string address_;
};

}  // namespace webshocket::engine
