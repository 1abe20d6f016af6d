/// A TLS client that is OpenSSL and nothing else, step by step: each flight of the handshake can be
/// looked at, held back or cut.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/certificates.hpp"
#include "tests/support/raw_peer.hpp"

namespace webshocket::test {

struct TlsPeerOptions {
  std::string name = "localhost";  ///< that it asks for (SNI); empty: for none
  int min_version = 0;             ///< as OpenSSL counts; 0: any
  int max_version = 0;
  std::string ciphers = {};  ///< of TLS 1.2 and below, in OpenSSL's words; empty: the usual ones
  std::vector<std::string> protocols = {"http/1.1"};  ///< that it offers (ALPN); empty: none
  std::optional<Identity> identity = {};
  std::shared_ptr<SSL_SESSION> session = {};  ///< to take up
};

/// It trusts everybody. What goes wrong throws `PeerError`, with OpenSSL's reason.
class TlsPeer {
 public:
  explicit TlsPeer(std::uint16_t port, const TlsPeerOptions& options = {});
  explicit TlsPeer(RawPeer peer, const TlsPeerOptions& options = {});

  /// What goes over the wire. Its reads are this object's.
  RawPeer& wire() noexcept { return wire_; }

  // --- the handshake --------------------------------------------------------------------------

  /// The first flight, which the caller has to send.
  std::string hello();
  /// The second one, when the server has answered. In TLS 1.3 this end is content then.
  std::string finish();
  /// All that is left of it; returns when this end is content.
  TlsPeer& shake_hands();

  bool is_resumed() const noexcept;
  std::string version() const;
  std::string cipher() const;
  std::string protocol() const;  ///< that was chosen; empty: none
  /// The common name of the server's certificate.
  std::string server() const;
  /// With the ticket, if one has come: read something before. The connection is over then.
  std::shared_ptr<SSL_SESSION> session() const;

  // --- afterwards -----------------------------------------------------------------------------

  void send(std::string_view text);
  /// What `send` would put on the wire.
  std::string sealed(std::string_view text);
  std::string read(std::size_t count);
  std::string read_until(std::string_view delimiter);
  /// Until the end of the connection. True if the server said farewell.
  bool read_end();
  /// Wants another handshake, as TLS 1.2 allows. False: the server refuses.
  bool renegotiates();
  /// Says farewell, and nothing more after it.
  void say_farewell();
  /// How many records have come since the handshake.
  std::size_t records() const noexcept { return records_; }

 private:
  std::string take_output();
  /// False at the end of the connection.
  bool take_input();
  void need_more(std::string_view what);

  RawPeer wire_;
  std::shared_ptr<SSL_CTX> context_;
  std::shared_ptr<SSL> ssl_;
  std::string buffer_;
  std::size_t records_ = 0;
};

}  // namespace webshocket::test
