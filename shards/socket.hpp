/// A connected socket and who is at its other end.
#pragma once

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <span>
#include <utility>

#include "protocol/address.hpp"

namespace webshocket::shards {

using protocol::Address;

Address address_of(const sockaddr_storage& address) noexcept;

/// Owns a descriptor that does not block. Results are counts of bytes, or errno negated.
class Socket {
 public:
  Socket() noexcept = default;
  explicit Socket(int fd) noexcept : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Socket() { close(); }

  int fd() const noexcept { return fd_; }
  bool is_open() const noexcept { return fd_ >= 0; }

  /// 0 at the end of input. With `MSG_PEEK`, what is received stays there.
  ssize_t receive(std::span<std::byte> into, int flags = 0) const noexcept {
    for (;;) {
      const ssize_t count = call(SYS_recvfrom, into.data(), into.size(), flags, nullptr, nullptr);
      if (count >= 0) return count;
      if (errno != EINTR) return -errno;
    }
  }

  ssize_t send(std::span<iovec> parts) const noexcept {
    if (parts.size() == 1) {
      return send({static_cast<const std::byte*>(parts.front().iov_base), parts.front().iov_len});
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    for (;;) {
      const ssize_t count = call(SYS_sendmsg, &message, kSendFlags);
      if (count >= 0) return count;
      if (errno != EINTR) return -errno;
    }
  }

  /// Of one part: the kernel has less to look at.
  ssize_t send(std::span<const std::byte> part) const noexcept {
    for (;;) {
      const ssize_t count = call(SYS_sendto, part.data(), part.size(), kSendFlags, nullptr, 0);
      if (count >= 0) return count;
      if (errno != EINTR) return -errno;
    }
  }

  /// What it has taken to send, and the peer has not.
  std::size_t unsent() const noexcept {
    int count = 0;
    return ::ioctl(fd_, TIOCOUTQ, &count) == 0 && count > 0 ? static_cast<std::size_t>(count) : 0;
  }

  void shut_down_output() const noexcept { ::shutdown(fd_, SHUT_WR); }
  void set_nodelay() const noexcept;

  void close() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  static constexpr int kSendFlags = MSG_NOSIGNAL | MSG_DONTWAIT;

  // The C library's are points of cancellation: where there are threads, it exchanges twice under a
  // lock for each, and no thread here is ever cancelled.
  template <class... Arguments>
  ssize_t call(long number, Arguments... arguments) const noexcept {
    return ::syscall(number, fd_, arguments...);
  }

  int fd_ = -1;
};

}  // namespace webshocket::shards
