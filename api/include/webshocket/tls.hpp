/// TLS at the server: who it is, whom it lets in, and who a client has proved to be.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace webshocket {

/// Who a server is, for clients that ask for one of the names in the certificate.
struct TlsCertificate {
  std::string certificate_file = {};  ///< PEM, with its chain
  std::string key_file = {};          ///< PEM, without a password; empty: in certificate_file
};

enum class TlsVersion : std::uint8_t { tls_1_2, tls_1_3 };

/// The TLS of a listener. Files are read when the server is made, and by `Server::reload_tls()`.
struct ServerTls {
  /// Empty: no TLS. The client's server name (SNI) chooses among them, by their DNS names, `*.`
  /// included; the first one is for all other names, and for clients that send none.
  std::vector<TlsCertificate> certificates = {};

  /// PEM. Set: a client must show a certificate that one of these authorities has signed.
  std::string client_ca_file = {};
  bool client_certificate_optional = false;  ///< it may also show none, but no wrong one

  TlsVersion min_version = TlsVersion::tls_1_2;
  /// A client that comes back in that time skips half of the handshake, with the identity that it
  /// proved then; 0: never.
  std::chrono::seconds ticket_lifetime{3'600};
};

/// What a client has shown, and an authority of `ServerTls::client_ca_file` vouches for.
struct ClientCertificate {
  std::string subject = {};             ///< as RFC 2253 writes it: "CN=ann,O=Example"
  std::string common_name = {};         ///< of the subject; empty: it has none
  std::string issuer = {};              ///< as the subject
  std::string serial = {};              ///< hexadecimal: "03A1F0"
  std::vector<std::string> names = {};  ///< its other names: "DNS:a.example", "email:ann@a.example"
  std::string fingerprint = {};         ///< SHA-256 of the certificate, 64 hexadecimal digits

  friend bool operator==(const ClientCertificate&, const ClientCertificate&) = default;
};

}  // namespace webshocket
