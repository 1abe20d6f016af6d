/// TLS in front of a server that has none: what comes in is decrypted and passed on, and back.
#pragma once

#include <openssl/types.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace webshocket::test {

/// On a thread of its own, on a free port of 127.0.0.1. A connection whose handshake fails is
/// closed.
class TlsForwarder {
 public:
  enum class Cut : std::uint8_t { fin, reset };

  /// `context` as `make_tls_server` makes it; `target` is a port on 127.0.0.1.
  TlsForwarder(std::shared_ptr<SSL_CTX> context, std::uint16_t target);
  ~TlsForwarder();
  TlsForwarder(const TlsForwarder&) = delete;
  TlsForwarder& operator=(const TlsForwarder&) = delete;

  std::uint16_t port() const noexcept { return port_; }
  std::string uri(const std::string& host = "127.0.0.1") const {
    return "wss://" + host + ":" + std::to_string(port_);
  }

  /// Ends all connections towards the clients, without a farewell. Any thread.
  void cut_all(Cut how);
  /// By which names clients have asked for it, in order; empty: by none. Any thread.
  std::vector<std::string> names() const;

 private:
  class Link;

  void run();
  bool go_on(Link& link);
  void wake() const;

  std::shared_ptr<SSL_CTX> context_;
  std::uint16_t target_;
  int listener_ = -1;
  int wake_ = -1;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  bool stopping_ = false;
  std::vector<Cut> cuts_;
  std::vector<std::string> names_;
  std::thread thread_;
};

}  // namespace webshocket::test
