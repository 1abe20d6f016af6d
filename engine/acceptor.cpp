#include "engine/acceptor.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <exception>
#include <new>
#include <utility>

#include <webshocket/error.hpp>

#include "shards/shard.hpp"
#include "shards/uid.hpp"

namespace webshocket::engine {
namespace {

using shards::Socket;
using Clock = std::chrono::steady_clock;

constexpr int kAcceptsPerTurn = 64;
constexpr int kAcceptsAtTheEnd = 8192;  ///< more than wait there, and an end to those who come
constexpr std::chrono::milliseconds kPause{100};

shards::Shard& here() noexcept { return static_cast<shards::Shard&>(*detail::Hub::current()); }

Socket open_reserve() noexcept { return Socket(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

Acceptor::Acceptor(shards::Site& site, std::size_t listener, AcceptCounters& counters,
                   std::optional<std::size_t> home, const Acceptor* first)
    : site_(site),
      index_(listener),
      counters_(counters),
      home_(home),
      listening_(site.listeners[listener],
                 {.tcp_nodelay = site.config.tcp_nodelay, .is_shared = site.config.shards > 1},
                 first == nullptr ? nullptr : &first->listening_),
      reserve_(open_reserve()) {}

void Acceptor::start(shards::Loop& loop) noexcept {
  if (!home_) accepted_.resize(site_.bus->shards());
  pause_.open(loop);
  poll_.open(loop, listening_.fd());
  started_ = true;
  on_pause_over();
}

void Acceptor::stop() noexcept {
  if (!std::exchange(started_, false)) return;
  listening_.withdraw();
  if (!listening_.is_passed()) {
    for (int i = 0; i < kAcceptsAtTheEnd && accept_one(); ++i) {
    }
    hand_over();
  }
  pause_.close();
  poll_.stop();
  listening_.close();
}

void Acceptor::on_incoming(std::uint32_t) noexcept {
  for (int i = 0; i < kAcceptsPerTurn && accept_one(); ++i) {
  }
  hand_over();
}

bool Acceptor::accept_one() noexcept {
  if (const auto wait = site_.accept_rate.wait(Clock::now()); wait.count() != 0) {
    counters_.paused.fetch_add(1, std::memory_order_relaxed);
    pause(wait);
    return false;
  }
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  Socket socket(::accept4(listening_.fd(), reinterpret_cast<sockaddr*>(&address), &size,
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
  if (!site_.listeners[index_].proxy_protocol &&
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
    try {
      const auto accepted = std::make_shared<std::vector<shards::Adoption>>();
      accepted->swap(accepted_[shard]);
      site_.bus->post_control(shard, [accepted] {
        for (shards::Adoption& adoption : *accepted) here().adopt(std::move(adoption));
      });
    } catch (const std::bad_alloc&) {
      counters_.errors.fetch_add(1, std::memory_order_relaxed);
      accepted_[shard].clear();  // hangs up
    }
  }
}

// Without a descriptor the waiting connection cannot even be refused, and the socket stays
// readable: use the reserve to hang up on it, then look away for a moment.
void Acceptor::out_of_descriptors() noexcept {
  counters_.errors.fetch_add(1, std::memory_order_relaxed);
  reserve_.close();
  Socket(::accept4(listening_.fd(), nullptr, nullptr, SOCK_CLOEXEC)).close();
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
