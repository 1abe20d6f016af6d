/// A way to the server on which connections are cut off.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace wssoak {

/// Relays each connection to a port of 127.0.0.1, and resets both ends: after some bytes of the
/// client, so in the midst of a TLS handshake, an upgrade or a frame; or after some time. On a
/// thread of its own.
class Cutter {
 public:
  /// Throws `wsbench::Failure`.
  Cutter(std::uint16_t to, std::uint64_t seed);
  /// Cuts off what is left.
  ~Cutter();
  Cutter(const Cutter&) = delete;
  Cutter& operator=(const Cutter&) = delete;

  /// Where to connect to.
  std::uint16_t port() const noexcept { return port_; }
  /// Any thread.
  std::uint64_t cuts() const noexcept { return cuts_.load(std::memory_order_relaxed); }

  /// No connection lives longer, in milliseconds.
  static constexpr int kLongest = 3'000;

 private:
  struct Pair {
    int client = -1;
    int server = -1;
    std::size_t bytes_left = 0;  ///< of the client, until the cut
    std::uint64_t deadline_ns = 0;
    std::string waiting = {};  ///< for a client that reads slowly; the server waits meanwhile
  };

  void run();
  void accept_one();
  // False: it is over.
  bool relay_to_server(Pair& pair);
  bool relay_to_client(Pair& pair);
  bool send_waiting(Pair& pair) const;
  void cut(const Pair& pair) noexcept;

  std::uint16_t to_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  int waker_ = -1;  ///< an eventfd
  std::mt19937_64 random_;
  std::vector<Pair> pairs_;
  std::vector<char> buffer_;
  std::atomic<std::uint64_t> cuts_ = 0;
  std::thread thread_;
};

}  // namespace wssoak
