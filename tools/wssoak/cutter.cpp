#include "cutter.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "tools/wsbench/clock.hpp"
#include "tools/wsbench/failure.hpp"

namespace wssoak {
namespace {

constexpr std::size_t kBufferSize = 64UL * 1024;

sockaddr_in loopback(std::uint16_t port) noexcept {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// The other end gets an RST.
void reset(int fd) noexcept {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(fd);
}

}  // namespace

Cutter::Cutter(std::uint16_t to, std::uint64_t seed)
    : to_(to),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
      waker_(::eventfd(0, EFD_CLOEXEC)),
      random_(seed),
      buffer_(kBufferSize) {
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  const bool listens = listener_ >= 0 && waker_ >= 0 &&
                       ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) == 0 &&
                       ::listen(listener_, SOMAXCONN) == 0 &&
                       ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (!listens) throw wsbench::Failure("cannot listen for connections that are to be cut off");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

Cutter::~Cutter() {
  const std::uint64_t one = 1;
  if (::write(waker_, &one, sizeof one) == sizeof one) thread_.join();
  for (const Pair& pair : pairs_) cut(pair);
  ::close(listener_);
  ::close(waker_);
}

void Cutter::run() {
  std::vector<pollfd> events;
  for (;;) {
    events.assign({{waker_, POLLIN, 0}, {listener_, POLLIN, 0}});
    for (const Pair& pair : pairs_) {
      const bool waits = !pair.waiting.empty();
      events.push_back({pair.client, static_cast<short>(waits ? POLLIN | POLLOUT : POLLIN), 0});
      events.push_back({pair.server, static_cast<short>(waits ? 0 : POLLIN), 0});
    }
    constexpr int kTick = 20;  // ms; deadlines need not be exact
    ::poll(events.data(), events.size(), pairs_.empty() ? -1 : kTick);
    if (events[0].revents != 0) return;
    const std::uint64_t now = wsbench::now_ns();
    std::vector<Pair> alive;
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      Pair& pair = pairs_[i];
      const auto at_client = static_cast<unsigned>(events[2 + 2 * i].revents);
      const auto at_server = static_cast<unsigned>(events[3 + 2 * i].revents);
      constexpr unsigned kIn = POLLIN | POLLHUP | POLLERR;
      const bool goes_on = now < pair.deadline_ns &&
                           ((at_client & POLLOUT) == 0 || send_waiting(pair)) &&
                           ((at_client & kIn) == 0 || relay_to_server(pair)) &&
                           ((at_server & POLLIN) == 0 || relay_to_client(pair)) &&
                           (at_server & (POLLHUP | POLLERR)) == 0;
      if (goes_on) {
        alive.push_back(std::move(pair));
      } else {
        cut(pair);
      }
    }
    pairs_.swap(alive);
    if (events[1].revents != 0) accept_one();
  }
}

void Cutter::accept_one() {
  Pair pair;
  pair.client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (pair.client < 0) return;
  pair.server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  // What a slow client does not read is to wait at the server soon, not in the kernel.
  constexpr int kSmall = 32 * 1024;
  ::setsockopt(pair.server, SOL_SOCKET, SO_RCVBUF, &kSmall, sizeof kSmall);
  ::setsockopt(pair.client, SOL_SOCKET, SO_SNDBUF, &kSmall, sizeof kSmall);
  const sockaddr_in address = loopback(to_);
  if (::connect(pair.server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return cut(pair);
  }
  // A third within the handshakes, which take some hundred bytes; the others later.
  const bool early = random_() % 3 == 0;
  pair.bytes_left = early ? random_() % 900 : 1U << 30U;
  pair.deadline_ns = wsbench::now_ns() + random_() % kLongest * wsbench::kMillisecond;
  pairs_.push_back(pair);
}

bool Cutter::relay_to_server(Pair& pair) {
  const ssize_t count = ::recv(pair.client, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  const std::size_t size = std::min(static_cast<std::size_t>(count), pair.bytes_left);
  pair.bytes_left -= size;
  // Clients of whom the server takes nothing for so long are cut off.
  const ssize_t sent = ::send(pair.server, buffer_.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
  return count > 0 && sent == static_cast<ssize_t>(size) && pair.bytes_left > 0;
}

bool Cutter::relay_to_client(Pair& pair) {
  const ssize_t count = ::recv(pair.server, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  pair.waiting.assign(buffer_.data(), static_cast<std::size_t>(count));
  return count > 0 && send_waiting(pair);
}

bool Cutter::send_waiting(Pair& pair) const {
  const ssize_t sent =
      ::send(pair.client, pair.waiting.data(), pair.waiting.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN || errno == EINTR;
  pair.waiting.erase(0, static_cast<std::size_t>(sent));
  return true;
}

void Cutter::cut(const Pair& pair) noexcept {
  for (const int fd : {pair.client, pair.server}) {
    if (fd >= 0) reset(fd);
  }
  cuts_.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace wssoak
