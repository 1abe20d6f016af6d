#include "swarm.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cstring>
#include <ctime>
#include <utility>

#include "failure.hpp"

namespace wsbench {

Swarm::Swarm(const Target& target)
    : target_(target),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      events_(kEvents),
      buffer_(std::make_unique<char[]>(kBufferSize)) {
  if (epoll_ < 0) throw Failure(std::string("epoll: ") + std::strerror(errno));
}

Swarm::~Swarm() {
  for (Id id = 0; id < connections_.size(); ++id) drop(id);
  ::close(epoll_);
}

void Swarm::only_listens(Id id) noexcept {
  const int on = 1;
  setsockopt(connections_[id].fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

Swarm::Id Swarm::connect(std::string request) {
  const int fd = ::socket(target_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw Failure(std::string("no socket: ") + std::strerror(errno));
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd, target_.address(), target_.address_size()) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    ::close(fd);
    throw Failure(std::string("cannot connect: ") + std::strerror(error));
  }
  Id id = 0;
  if (free_.empty()) {
    id = static_cast<Id>(connections_.size());
    connections_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
    connections_[id] = Connection{};
  }
  Connection& own = connections_[id];
  own.fd = fd;
  own.state = State::connecting;
  own.out = std::move(request);
  ++opening_;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u32 = id;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
    throw Failure(std::string("epoll: ") + std::strerror(errno));
  }
  return id;
}

std::string Swarm::begin_upgrade(Id id) {
  Connection& own = connections_[id];
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(own.fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return std::string("cannot connect: ") + std::strerror(error);
  own.state = State::upgrading;
  flush(id);
  return {};
}

void Swarm::flush(Id id) {
  Connection& own = connections_[id];
  while (own.sent < own.out.size()) {
    const ssize_t count =
        ::send(own.fd, own.out.data() + own.sent, own.out.size() - own.sent, MSG_NOSIGNAL);
    if (count < 0) {
      // A broken connection tells itself where it is read.
      if (errno == EINTR) continue;
      return;
    }
    own.sent += static_cast<std::size_t>(count);
  }
  own.out.clear();
  own.sent = 0;
}

void Swarm::say_goodbye(Id id) {
  if (std::exchange(connections_[id].said_goodbye, true)) return;
  add_message(id, kClose, std::string_view("\x03\xe8", 2));
  flush(id);
}

void Swarm::drop(Id id) noexcept {
  Connection& own = connections_[id];
  if (own.state == State::closed) return;
  if (own.state != State::open) --opening_;
  ::close(own.fd);
  own.state = State::closed;
  own.out = {};
  own.sent = 0;
  free_.push_back(id);
}

int Swarm::wait(std::uint64_t timeout_ns) noexcept {
  const timespec timeout{.tv_sec = static_cast<time_t>(timeout_ns / kSecond),
                         .tv_nsec = static_cast<long>(timeout_ns % kSecond)};
  return epoll_pwait2(epoll_, events_.data(), static_cast<int>(events_.size()), &timeout, nullptr);
}

void Swarm::answer(Id id, std::uint8_t opcode, std::string_view payload) {
  if (opcode == kPing) {
    add_message(id, kPong, payload);
    flush(id);
  } else if (opcode == kClose) {
    constexpr std::uint16_t kNoCode = 1005;
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(payload[i]); };
    const bool has_code = payload.size() >= 2;
    connections_[id].close_code =
        has_code ? static_cast<std::uint16_t>(byte(0) << 8 | byte(1)) : kNoCode;
    say_goodbye(id);
  }
}

std::string Swarm::end_reason(Id id, int error) const {
  const Connection& own = connections_[id];
  if (own.close_code != 0) return "closed by the server with " + std::to_string(own.close_code);
  if (own.state == State::upgrading) return "closed by the server instead of a reply";
  return error == 0 ? "closed by the server" : std::strerror(error);
}

}  // namespace wsbench
