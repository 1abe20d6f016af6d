#include "engine/acceptor.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <utility>

#include <webshocket/error.hpp>

#include "shards/shard.hpp"
#include "shards/uid.hpp"

namespace webshocket::engine {
namespace {

using shards::Socket;
using Clock = std::chrono::steady_clock;

constexpr int kBacklog = 4096;
constexpr int kAcceptsPerTurn = 64;
constexpr std::chrono::milliseconds kPause{100};

[[noreturn]] void refuse(const std::string& address, const std::string& why) {
  throw WebSocketError("cannot listen on " + address + ": " + why);
}

shards::Shard& here() noexcept { return static_cast<shards::Shard&>(*detail::Hub::current()); }

Socket open_reserve() noexcept { return Socket(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

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

}  // namespace

Acceptor::Acceptor(shards::Site& site, std::size_t listener, AcceptCounters& counters,
                   std::optional<std::size_t> home, const Acceptor* first)
    : site_(site),
      index_(listener),
      listener_(site.listeners[listener]),
      counters_(counters),
      home_(home),
      reserve_(open_reserve()) {
  if (is_tcp()) {
    open_tcp(first);
  } else {
    open_unix();
  }
}

Acceptor::~Acceptor() { close(); }

// The file goes while the socket still listens: once it does not, the file may be a successor's.
void Acceptor::close() noexcept {
  if (!socket_.is_open()) return;
  if (!is_tcp()) ::unlink(listener_.unix_path.c_str());
  socket_.close();
}

void Acceptor::open_tcp(const Acceptor* first) {
  const std::string service = std::to_string(first == nullptr ? listener_.port : first->port_);
  const std::string wanted = listener_.host + ":" + service;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(listener_.host.c_str(), service.c_str(), &hints, &found);
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
  const bool is_first = first == nullptr;
  if (!socket_.is_open() || !set(SO_REUSEADDR) || (!is_first && !set(SO_REUSEPORT)) ||
      ::bind(socket_.fd(), found->ai_addr, found->ai_addrlen) != 0 ||
      (is_first && site_.config.shards > 1 && !set(SO_REUSEPORT)) ||
      ::listen(socket_.fd(), kBacklog) != 0) {
    refuse(wanted, std::strerror(errno));
  }
  // Those that are accepted have it from here: a system call less for each.
  if (site_.config.tcp_nodelay) socket_.set_nodelay();
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(socket_.fd(), reinterpret_cast<sockaddr*>(&bound), &size);
  const auto address = shards::address_of(bound);
  port_ = address.port;
  address_ = address.to_string();
}

void Acceptor::open_unix() {
  address_ = "unix:" + listener_.unix_path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, listener_.unix_path.data(), listener_.unix_path.size());
  remove_stale(listener_.unix_path, address);
  socket_ = Socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_.is_open() ||
      ::bind(socket_.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket_.fd(), kBacklog) != 0) {
    refuse(address_, std::strerror(errno));
  }
}

void Acceptor::start(shards::Loop& loop) noexcept {
  pause_.open(loop);
  poll_.open(loop, socket_.fd());
  started_ = true;
  on_pause_over();
}

void Acceptor::stop() noexcept {
  if (!std::exchange(started_, false)) return;
  pause_.close();
  poll_.stop();
  close();
}

void Acceptor::on_incoming(std::uint32_t) noexcept {
  if (!home_) accepted_.resize(site_.bus->shards());
  for (int i = 0; i < kAcceptsPerTurn && accept_one(); ++i) {
  }
  hand_over();
}

bool Acceptor::accept_one() noexcept {
  if (const auto wait = site_.accept_rate.wait(Clock::now()); wait.count() != 0) {
    pause(wait);
    return false;
  }
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  Socket socket(::accept4(socket_.fd(), reinterpret_cast<sockaddr*>(&address), &size,
                          SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket.is_open()) {
    switch (errno) {
      case EAGAIN:
        return false;
      case ECONNABORTED:
      case EINTR:
        return true;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        out_of_descriptors();
        return false;
      default:
        // Whatever it is, the socket may stay readable.
        counters_.errors.fetch_add(1, std::memory_order_relaxed);
        pause(kPause);
        return false;
    }
  }
  counters_.accepted.fetch_add(1, std::memory_order_relaxed);
  site_.accept_rate.charge(Clock::now());
  try {
    admit(std::move(socket), shards::address_of(address));
  } catch (const std::exception&) {  // no memory, no random bytes
    counters_.errors.fetch_add(1, std::memory_order_relaxed);
    pause(kPause);
    return false;
  }
  return true;
}

void Acceptor::admit(Socket socket, const shards::Address& remote) {
  shards::IpSlot place;
  // Whoever connects there is a proxy, and the client that it names is who counts.
  if (!listener_.proxy_protocol &&
      site_.ips.accept(remote, Clock::now(), place) != shards::IpTable::Verdict::fits) {
    return;
  }
  shards::Slot slot = shards::Slot::take(site_.handshakes);
  if (!slot) {
    counters_.refused.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  Uid uid = shards::mint_uid();
  if (home_) {
    while (site_.bus->shard_of(uid) != *home_) uid = shards::mint_uid();
    return here().adopt(
        {std::move(socket), uid, remote, index_, std::move(slot), std::move(place)});
  }
  accepted_[site_.bus->shard_of(uid)].push_back(
      {std::move(socket), uid, remote, index_, std::move(slot), std::move(place)});
}

// A shard is told once of all that it gets.
void Acceptor::hand_over() {
  for (std::size_t shard = 0; shard < accepted_.size(); ++shard) {
    if (accepted_[shard].empty()) continue;
    const auto accepted = std::make_shared<std::vector<shards::Adoption>>();
    accepted->swap(accepted_[shard]);
    site_.bus->post_control(shard, [accepted] {
      for (shards::Adoption& adoption : *accepted) here().adopt(std::move(adoption));
    });
  }
}

// Without a descriptor the waiting connection cannot even be refused, and the socket stays
// readable: use the reserve to hang up on it, then look away for a moment.
void Acceptor::out_of_descriptors() noexcept {
  counters_.errors.fetch_add(1, std::memory_order_relaxed);
  reserve_.close();
  Socket(::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC)).close();
  reserve_ = open_reserve();
  pause(kPause);
}

void Acceptor::pause(std::chrono::nanoseconds delay) noexcept {
  poll_.stop();
  pause_.start<&Acceptor::on_pause_over>(*this, delay);
}

void Acceptor::on_pause_over() noexcept {
  if (poll_.watch<&Acceptor::on_incoming>(*this, shards::Poll::kReadable)) return;
  pause_.start<&Acceptor::on_pause_over>(*this, kPause);  // the system lacks something
}

}  // namespace webshocket::engine
