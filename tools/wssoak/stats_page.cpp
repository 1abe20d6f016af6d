#include "stats_page.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "tools/wsbench/failure.hpp"

namespace wssoak {
namespace {

constexpr timeval kPatience{.tv_sec = 10, .tv_usec = 0};
constexpr std::string_view kRequest =
    "GET /stats HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";

class Socket {
 public:
  explicit Socket(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      const std::string why = std::strerror(errno);
      ::close(fd_);
      throw wsbench::Failure("the server does not take a request for its numbers: " + why);
    }
  }
  ~Socket() { ::close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

}  // namespace

Numbers read_numbers(std::uint16_t port) {
  const Socket socket(port);
  if (::send(socket.fd(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(kRequest.size())) {
    throw wsbench::Failure("the server does not read a request for its numbers");
  }
  std::string reply;
  std::string buffer(16UL * 1024, '\0');
  ssize_t count = 0;
  while ((count = ::recv(socket.fd(), buffer.data(), buffer.size(), 0)) > 0) {
    reply.append(buffer, 0, static_cast<std::size_t>(count));
  }
  const std::size_t end = reply.find("\r\n\r\n");
  if (count < 0 || end == std::string::npos || !reply.starts_with("HTTP/1.1 200 ")) {
    throw wsbench::Failure("the server does not tell its numbers: " +
                           reply.substr(0, reply.find('\r')));
  }
  return parse_numbers(std::string_view(reply).substr(end + 4));
}

}  // namespace wssoak
