/// A network that a test can cut.
#pragma once

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <string>
#include <thread>

#include "tests/support/raw_peer.hpp"

namespace webshocket::test {

/// The loopback of a network namespace: sockets that are made on the thread that made the
/// namespace, and on threads that this one starts, have no other.
class OwnNetwork {
 public:
  /// On the namespace's thread.
  void connect() const { set_flags(IFF_UP | IFF_RUNNING); }
  /// What is sent from here on is lost, and nobody is told.
  void cut() const { set_flags(0); }

  /// Runs `body(const OwnNetwork&)` in a namespace of its own. False if the system lets nobody have
  /// one: it takes CAP_SYS_ADMIN.
  template <class Body>
  static bool run(Body&& body) {
    bool is_allowed = true;
    std::exception_ptr error;
    std::thread([&] {
      try {
        if (::unshare(CLONE_NEWNET) != 0) {
          is_allowed = false;
          return;
        }
        const OwnNetwork network;
        network.connect();
        body(network);
      } catch (...) {
        error = std::current_exception();
      }
    }).join();
    if (error) std::rethrow_exception(error);
    return is_allowed;
  }

 private:
  OwnNetwork() = default;

  static void set_flags(int flags) {
    const int any = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::strncpy(request.ifr_name, "lo", sizeof request.ifr_name - 1);
    request.ifr_flags = static_cast<short>(flags);
    const int result = ::ioctl(any, SIOCSIFFLAGS, &request);
    const int error = errno;
    ::close(any);
    if (result != 0) throw PeerError(std::string("the loopback: ") + std::strerror(error));
  }
};

}  // namespace webshocket::test
