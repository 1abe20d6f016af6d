/// The keys of session tickets. A ticket is the session itself, encrypted for nobody but us, and
/// kept by the client: there is nothing to remember here.
#pragma once

#include <openssl/types.h>

#include <array>
#include <chrono>
#include <mutex>
#include <optional>
#include <span>

namespace webshocket::shards {

/// Any thread. A key encrypts for one period, and decrypts for one more; at the next handshake
/// after that it is forgotten, and whoever learns all our keys learns nothing of older sessions.
class TlsTickets {
 public:
  using Clock = std::chrono::steady_clock;
  using Name = std::array<unsigned char, 16>;

  struct Key {
    Name name{};
    std::array<unsigned char, 32> cipher{};
    std::array<unsigned char, 32> mac{};
  };

  /// 0: a key is for ever, as nobody uses it.
  explicit TlsTickets(std::chrono::seconds period) noexcept : period_(period) {}
  TlsTickets(const TlsTickets&) = delete;
  TlsTickets& operator=(const TlsTickets&) = delete;
  ~TlsTickets();

  /// For a new ticket. Throws `WebSocketError` if OpenSSL has no random bytes.
  Key current(Clock::time_point now);
  /// For a ticket that comes back; nothing: it is too old, or not ours.
  std::optional<Key> find(std::span<const unsigned char, 16> name, Clock::time_point now);

  /// Tickets of this context are made with these keys, which live until the last handshake with it
  /// has ended. Who takes one up gets another one, unless the context asks who clients are.
  static void use(SSL_CTX* context, TlsTickets& self) noexcept;

 private:
  struct Aged {
    Key key;
    Clock::time_point made;
  };

  void rotate(Clock::time_point now);
  static int crypt(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                   EVP_MAC_CTX* mac, int encrypts) noexcept;

  const std::chrono::seconds period_;
  std::mutex mutex_;
  std::optional<Aged> current_;
  std::optional<Aged> previous_;
};

}  // namespace webshocket::shards
