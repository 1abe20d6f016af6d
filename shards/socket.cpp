#include "shards/socket.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cstring>

namespace webshocket::shards {

Address address_of(const sockaddr_storage& address) noexcept {
  if (address.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &address, sizeof in);
    return Address::v4(std::as_bytes(std::span<in_addr, 1>(&in.sin_addr, 1)), ntohs(in.sin_port));
  }
  if (address.ss_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &address, sizeof in);
    return Address::v6(std::as_bytes(std::span<in6_addr, 1>(&in.sin6_addr, 1)),
                       ntohs(in.sin6_port));
  }
  return {};
}

void Socket::set_nodelay() const noexcept {
  const int on = 1;
  // Fails on unix sockets, where there is nothing to switch off.
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace webshocket::shards
