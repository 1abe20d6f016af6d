/// Names to addresses, off the loop.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shards/loop.hpp"

namespace webshocket::shards {

/// Where a socket can connect to, or from.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const noexcept { return storage.ss_family; }
  /// "127.0.0.1:80", "[::1]:80", "unix".
  std::string to_string() const;

  /// Nothing if the text is no numeric address. An IPv6 one may have a zone.
  static std::optional<SocketAddress> parse(std::string_view host, std::uint16_t port);
  /// Nothing if the path is empty or too long for a socket.
  static std::optional<SocketAddress> unix_path(std::string_view path) noexcept;
};

/// One question, asked on libuv's thread pool. One loop.
class Resolver {
 public:
  /// Called on the loop: the addresses in the system's order of preference, or the reason why there
  /// is none.
  using Answer =
      std::function<void(std::vector<SocketAddress> addresses, std::string_view complaint)>;

  Resolver() noexcept = default;
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  /// Cancels.
  ~Resolver() { cancel(); }

  /// Answers later, never from in here.
  void ask(Loop& loop, const std::string& host, std::uint16_t port, Answer answer);
  /// There will be no answer. The loop still waits for the thread that is at work on it.
  void cancel() noexcept;

 private:
  struct Question;
  Question* question_ = nullptr;  ///< owned by the loop until it calls back
};

}  // namespace webshocket::shards
