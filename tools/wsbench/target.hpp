/// The server that is measured: its address, and what an upgrade request to it looks like.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace wsbench {

class Target {
 public:
  /// `ws://HOST:PORT/PATH`; the host is resolved here. Throws `UsageFailure`.
  explicit Target(std::string_view uri);

  const sockaddr* address() const noexcept { return reinterpret_cast<const sockaddr*>(&address_); }
  socklen_t address_size() const noexcept { return address_size_; }
  int family() const noexcept { return address_.ss_family; }
  /// What the URI names, or "/".
  const std::string& path() const noexcept { return path_; }

  /// All connections of a run send one key: drawing and checking one for each would cost the
  /// generator more than it tells of the server.
  std::string request(std::string_view path, std::string_view subprotocol) const;
  /// Why the head of a reply opens no connection; empty: it does.
  std::string fault_of(std::string_view reply) const;

 private:
  sockaddr_storage address_{};
  socklen_t address_size_ = 0;
  std::string host_;
  std::string path_;
  std::string key_;
  std::string accept_;
};

}  // namespace wsbench
