#include "engine/listening.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include <webshocket/error.hpp>

namespace webshocket {
namespace {

/// Of the environment, which then has it no more.
std::string take_variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): see systemd_sockets()
  std::string taken = value == nullptr ? "" : value;
  ::unsetenv(name);  // NOLINT(concurrency-mt-unsafe)
  return taken;
}

int number_in(std::string_view text) noexcept {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : -1;
}

}  // namespace

std::vector<PassedSocket> systemd_sockets() {
  constexpr int kFirst = 3;
  const int count = number_in(take_variable("LISTEN_FDS"));
  const int process = number_in(take_variable("LISTEN_PID"));
  const std::string names = take_variable("LISTEN_FDNAMES");
  std::vector<PassedSocket> sockets;
  if (process != ::getpid()) return sockets;  // a parent's
  std::string_view rest = names;
  for (int fd = kFirst; fd < kFirst + count; ++fd) {
    const auto colon = rest.find(':');
    sockets.push_back({fd, std::string(rest.substr(0, colon))});
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  return sockets;
}

}  // namespace webshocket

namespace webshocket::engine {
namespace {

using shards::Socket;

constexpr int kBacklog = 4096;

[[noreturn]] void refuse(const std::string& address, const std::string& why) {
  throw WebSocketError("cannot listen on " + address + ": " + why);
}

/// A socket file that nobody listens on any more may be taken over.
void remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return;
  const Socket probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(probe.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno == ECONNREFUSED) {
    ::unlink(path.c_str());
  }
}

bool has_option(int fd, int option, int wanted) noexcept {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

}  // namespace

Listening::Listening(const Listener& listener, const Options& options, const Listening* first) {
  if (listener.fd >= 0) {
    adopt(listener.fd);
  } else if (listener.unix_path.empty()) {
    open_tcp(listener, options, first);
  } else {
    open_unix(listener.unix_path);
  }
  // Those that are accepted have it from here: a system call less for each.
  if (port_ != 0 && options.tcp_nodelay) socket_.set_nodelay();
}

// While the socket still listens: once it does not, the file may be a successor's.
void Listening::withdraw() noexcept {
  if (own_path_.empty()) return;
  struct stat info {};
  const bool is_ours =
      ::lstat(own_path_.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_;
  if (is_ours) ::unlink(own_path_.c_str());
  own_path_.clear();
}

void Listening::close() noexcept {
  withdraw();
  socket_.close();
}

void Listening::open_tcp(const Listener& listener, const Options& options, const Listening* first) {
  const std::string service = std::to_string(first == nullptr ? listener.port : first->port());
  const std::string wanted = listener.host + ":" + service;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(listener.host.c_str(), service.c_str(), &hints, &found);
      error != 0) {
    refuse(wanted, ::gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  socket_ = Socket(::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const auto set = [this](int option) {
    const int on = 1;
    return ::setsockopt(socket_.fd(), SOL_SOCKET, option, &on, sizeof on) == 0;
  };
  // The first one says only when it has the address that it will share it: so it can neither join
  // another server's sockets there, nor they it.
  const bool joins = first != nullptr || listener.reuse_port;
  if (!socket_.is_open() || !set(SO_REUSEADDR) || (joins && !set(SO_REUSEPORT)) ||
      ::bind(socket_.fd(), found->ai_addr, found->ai_addrlen) != 0 ||
      (!joins && options.is_shared && !set(SO_REUSEPORT)) ||
      ::listen(socket_.fd(), kBacklog) != 0) {
    refuse(wanted, std::strerror(errno));
  }
  note_address();
}

void Listening::open_unix(const std::string& path) {
  address_ = "unix:" + path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  remove_stale(path, address);
  socket_ = Socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  struct stat info {};
  if (!socket_.is_open() ||
      ::bind(socket_.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::lstat(path.c_str(), &info) != 0 || ::listen(socket_.fd(), kBacklog) != 0) {
    refuse(address_, std::strerror(errno));
  }
  own_path_ = path;
  device_ = info.st_dev;
  inode_ = info.st_ino;
}

void Listening::adopt(int fd) {
  is_passed_ = true;
  const std::string name = "descriptor " + std::to_string(fd);
  if (!has_option(fd, SO_TYPE, SOCK_STREAM) || !has_option(fd, SO_ACCEPTCONN, 1)) {
    refuse(name, "it is no socket that listens for streams");
  }
  // One of our own, as the other one stays who passed it.
  socket_ = Socket(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  const int flags = ::fcntl(socket_.fd(), F_GETFL);
  if (flags < 0 || ::fcntl(socket_.fd(), F_SETFL, flags | O_NONBLOCK) != 0) {
    refuse(name, std::strerror(errno));
  }
  note_address();
}

void Listening::note_address() {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(socket_.fd(), reinterpret_cast<sockaddr*>(&bound), &size);
  if (bound.ss_family == AF_UNIX) {
    const auto& local = reinterpret_cast<const sockaddr_un&>(bound);
    address_ = "unix:" + std::string(local.sun_path);
    return;
  }
  const auto address = shards::address_of(bound);
  port_ = address.port;
  address_ = address.to_string();
}

}  // namespace webshocket::engine
