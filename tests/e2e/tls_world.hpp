/// What tests of a server's TLS have in common: an authority, files that it has signed, clients
/// that trust it.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

#include <webshocket/client_config.hpp>
#include <webshocket/config.hpp>

#include "tests/support/certificates.hpp"

namespace webshocket::test {

struct TlsWorld {
  explicit TlsWorld(const IdentityOptions& options = {}) { renew(options); }

  /// New files at the same place.
  void renew(const IdentityOptions& options) {
    const Identity identity = make_identity(options, authority);
    certificate = {folder.write("server.pem", identity.certificate_pem()),
                   folder.write("server.key", identity.key_pem())};
  }

  ServerTls server() const { return {.certificates = {certificate}}; }
  /// One that asks clients who they are.
  ServerTls asking() const { return {.certificates = {certificate}, .client_ca_file = ca_file}; }
  Config config(ServerTls tls) const {
    return {.tls = std::move(tls),
            .shards = 2,
            .max_message = 32 * 1024 * 1024,
            .outbox_limit = 64 * 1024 * 1024};
  }
  Config config() const { return config(server()); }

  /// Trusts the authority, and is patient.
  ClientConfig client() const {
    using namespace std::chrono_literals;
    ClientConfig result;
    result.tls.ca_file = ca_file;
    result.connect_timeout = 1h;
    result.call_timeout = 1h;
    result.ping_interval = 0ms;
    result.max_message = 32 * 1024 * 1024;
    result.outbox_limit = 32 * 1024 * 1024;
    return result;
  }
  /// One that proves who it is.
  ClientConfig client(const Identity& identity) const {
    ClientConfig result = client();
    result.tls.certificate_file = folder.write("client.pem", identity.certificate_pem());
    result.tls.key_file = folder.write("client.key", identity.key_pem());
    return result;
  }

  TemporaryFolder folder;
  Identity authority = make_authority();
  std::string ca_file = folder.write("ca.pem", authority.certificate_pem());
  TlsCertificate certificate;
};

inline std::string wss(std::uint16_t port, const std::string& rest = {}) {
  return "wss://127.0.0.1:" + std::to_string(port) + rest;
}

}  // namespace webshocket::test
