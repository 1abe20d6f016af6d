#include "shards/socket.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cstring>

namespace webshocket::shards {

Address Address::of(const sockaddr_storage& address) noexcept {
  Address result;
  if (address.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &address, sizeof in);
    std::memcpy(result.bytes.data(), &in.sin_addr, sizeof in.sin_addr);
    result.port = ntohs(in.sin_port);
    result.family = 4;
  } else if (address.ss_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &address, sizeof in);
    std::memcpy(result.bytes.data(), &in.sin6_addr, sizeof in.sin6_addr);
    result.port = ntohs(in.sin6_port);
    result.family = 6;
  }
  return result;
}

std::string Address::to_string() const {
  if (family == 0) return "unix";
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(family == 4 ? AF_INET : AF_INET6, bytes.data(), text.data(), text.size());
  const std::string host(text.data());
  return (family == 4 ? host : "[" + host + "]") + ":" + std::to_string(port);
}

void Socket::set_nodelay() const noexcept {
  const int on = 1;
  // Fails on unix sockets, where there is nothing to switch off.
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace webshocket::shards
