/// A socket that listens: opened at an address, or passed in by who started the process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include <webshocket/config.hpp>

#include "shards/socket.hpp"

namespace webshocket::engine {

class Listening {
 public:
  struct Options {
    bool tcp_nodelay = true;  ///< for those that are accepted
    bool is_shared = false;   ///< others of ours will listen at the same address
  };

  /// Binds and listens, or adopts `listener.fd`. Throws `WebSocketError` that names the address.
  /// With `first`, which is the same listener's, it listens at the same address: the kernel spreads
  /// connections over them. With anybody else's sockets it shares no address, unless the listener's
  /// `reuse_port` allows it.
  Listening(const Listener& listener, const Options& options, const Listening* first = nullptr);
  ~Listening() { close(); }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;

  /// Does not block. Not after `close`.
  int fd() const noexcept { return socket_.fd(); }
  std::uint16_t port() const noexcept { return port_; }  ///< 0: a unix socket
  const std::string& address() const noexcept { return address_; }
  /// Others have it, too: what waits at it is not lost when this one is closed.
  bool is_passed() const noexcept { return is_passed_; }

  /// A unix socket's file goes, if it is still the one that was made here: nobody new comes.
  void withdraw() noexcept;
  /// Withdraws it, too. Who waits there is reset, unless others have the socket.
  void close() noexcept;

 private:
  void open_tcp(const Listener& listener, const Options& options, const Listening* first);
  void open_unix(const std::string& path);
  void adopt(int fd);
  void note_address();

  shards::Socket socket_;
  bool is_passed_ = false;
  std::uint16_t port_ = 0;
  std::string address_;
  std::string own_path_;  ///< empty: no file of ours
  dev_t device_ = 0;      ///< of that file
  ino_t inode_ = 0;
};

}  // namespace webshocket::engine
