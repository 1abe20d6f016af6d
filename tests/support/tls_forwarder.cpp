#include "tests/support/tls_forwarder.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tests/support/raw_peer.hpp"

namespace webshocket::test {
namespace {

constexpr std::size_t kMost = 256 * 1024;
constexpr std::size_t kPiece = 16 * 1024;

int connect_to(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    return -1;
  }
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

}  // namespace

/// One client's.
class TlsForwarder::Link {
 public:
  Link(SSL_CTX* context, int client, std::uint16_t target)
      : client_(client), target_(target), ssl_(SSL_new(context), SSL_free) {
    SSL_set_fd(ssl_.get(), client);
    SSL_set_accept_state(ssl_.get());
    SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  }
  ~Link() {
    ::close(client_);
    if (server_ >= 0) ::close(server_);
  }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  void watch(std::vector<pollfd>& list) const {
    const bool takes_up = up_.size() < kMost && !client_ended_;
    const bool takes_down = down_.size() < kMost && !server_ended_;
    list.push_back({client_,
                    static_cast<short>((takes_up || !is_secure_ ? POLLIN : 0) |
                                       (wants_write_ || !down_.empty() ? POLLOUT : 0)),
                    0});
    // Without events poll still tells of errors: a descriptor below zero it passes over.
    const auto events =
        static_cast<short>((takes_down ? POLLIN : 0) | (!up_.empty() ? POLLOUT : 0));
    list.push_back({events == 0 ? -1 : server_, events, 0});
  }

  /// False when there is nothing left to do. Calls `named(name)` once it is known.
  template <class Named>
  bool go_on(Named named) {
    ERR_clear_error();
    if (!is_secure_) {
      const int result = SSL_accept(ssl_.get());
      if (result != 1) return may_go_on(result);
      is_secure_ = true;
      wants_write_ = false;
      const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
      named(name == nullptr ? "" : name);
      server_ = connect_to(target_);
      if (server_ < 0) return false;
    }
    return from_client() && to_server() && from_server() && to_client() &&
           !(client_ended_ && server_ended_ && up_.empty() && down_.empty());
  }

  void end(Cut how) const {
    if (how == Cut::fin) {
      ::shutdown(client_, SHUT_WR);
      return;
    }
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(client_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }

 private:
  bool may_go_on(int result) {
    const int error = SSL_get_error(ssl_.get(), result);
    wants_write_ = error == SSL_ERROR_WANT_WRITE;
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
  }

  bool from_client() {
    std::array<char, kPiece> piece;
    while (up_.size() < kMost && !client_ended_) {
      std::size_t count = 0;
      const int result = SSL_read_ex(ssl_.get(), piece.data(), piece.size(), &count);
      if (result == 1) {
        up_.append(piece.data(), count);
        continue;
      }
      const int error = SSL_get_error(ssl_.get(), result);
      ERR_clear_error();
      if (error == SSL_ERROR_WANT_READ) break;
      if (error != SSL_ERROR_ZERO_RETURN) return false;
      client_ended_ = true;
    }
    return true;
  }
  bool to_server() {
    while (!up_.empty()) {
      const ssize_t count = ::send(server_, up_.data(), up_.size(), MSG_NOSIGNAL);
      if (count < 0) return errno == EAGAIN;
      up_.erase(0, static_cast<std::size_t>(count));
    }
    if (client_ended_ && !std::exchange(server_told_, true)) ::shutdown(server_, SHUT_WR);
    return true;
  }
  bool from_server() {
    std::array<char, kPiece> piece;
    while (down_.size() < kMost && !server_ended_) {
      const ssize_t count = ::recv(server_, piece.data(), piece.size(), 0);
      if (count < 0) return errno == EAGAIN;
      if (count == 0) server_ended_ = true;
      down_.append(piece.data(), static_cast<std::size_t>(count));
    }
    return true;
  }
  bool to_client() {
    while (!down_.empty()) {
      std::size_t count = 0;
      const int result =
          SSL_write_ex(ssl_.get(), down_.data(), std::min(down_.size(), kPiece), &count);
      if (result != 1) return may_go_on(result);
      down_.erase(0, count);
    }
    wants_write_ = false;
    if (server_ended_ && !std::exchange(client_told_, true)) {
      SSL_shutdown(ssl_.get());
      ERR_clear_error();
      ::shutdown(client_, SHUT_WR);
    }
    return true;
  }

  int client_;
  int server_ = -1;
  std::uint16_t target_;
  std::shared_ptr<SSL> ssl_;
  bool is_secure_ = false;
  bool wants_write_ = false;
  bool client_ended_ = false;
  bool server_ended_ = false;
  bool client_told_ = false;
  bool server_told_ = false;
  std::string up_;
  std::string down_;
};

TlsForwarder::TlsForwarder(std::shared_ptr<SSL_CTX> context, std::uint16_t target)
    : context_(std::move(context)), target_(target) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(listener_, 1024) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    ::close(listener_);
    throw PeerError("the TLS forwarder cannot listen");
  }
  port_ = ntohs(address.sin_port);
  wake_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  thread_ = std::thread([this] { run(); });
}

TlsForwarder::~TlsForwarder() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake();
  thread_.join();
  ::close(listener_);
  ::close(wake_);
}

void TlsForwarder::wake() const {
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_, &one, sizeof one));
}

void TlsForwarder::cut_all(Cut how) {
  {
    const std::lock_guard lock(mutex_);
    cuts_.push_back(how);
  }
  wake();
}

std::vector<std::string> TlsForwarder::names() const {
  const std::lock_guard lock(mutex_);
  return names_;
}

void TlsForwarder::run() {
  // OpenSSL writes to sockets as to files.
  sigset_t broken_pipe;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
  std::vector<std::unique_ptr<Link>> links;
  std::vector<pollfd> list;
  for (;;) {
    list = {{wake_, POLLIN, 0}, {listener_, POLLIN, 0}};
    for (const auto& link : links) link->watch(list);
    ::poll(list.data(), list.size(), -1);
    std::size_t at = 2;
    for (auto& link : links) {
      const bool is_ready = list[at].revents != 0 || list[at + 1].revents != 0;
      at += 2;
      if (is_ready && !go_on(*link)) link.reset();
    }
    std::erase(links, nullptr);
    for (int fd = 0;
         (fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      links.push_back(std::make_unique<Link>(context_.get(), fd, target_));
    }
    std::uint64_t woken = 0;
    static_cast<void>(::read(wake_, &woken, sizeof woken));
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    for (const Cut how : std::exchange(cuts_, {})) {
      for (const auto& link : links) link->end(how);
      links.clear();
    }
  }
}

bool TlsForwarder::go_on(Link& link) {
  return link.go_on([this](const char* name) {
    const std::lock_guard lock(mutex_);
    names_.emplace_back(name);
  });
}

}  // namespace webshocket::test
