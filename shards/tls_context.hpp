/// What the TLS connections of one configuration share.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <webshocket/client_config.hpp>
#include <webshocket/tls.hpp>

#include "shards/tls_tickets.hpp"

namespace webshocket::shards {

/// Who is trusted, who we are, what is agreed to: TLS 1.2 or later with forward secrecy, HTTP/1.1,
/// no renegotiation, no compression. It never changes: any thread.
class TlsContext {
 public:
  /// A client's. Throws `UsageError` that names the field whose file cannot be read, or does not go
  /// with the others.
  explicit TlsContext(const ClientTls& settings);
  /// A server's. The same; `field` is how the configuration calls `settings`: "Config::tls".
  /// REQUIRES: there is a certificate.
  TlsContext(const ServerTls& settings, const std::string& field,
             std::shared_ptr<TlsTickets> tickets);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

  /// What a connection begins with. A server's may go on with another one, once it knows by which
  /// name it is asked for.
  SSL_CTX* get() const noexcept { return contexts_.front().get(); }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const noexcept;
  };
  using Owned = std::unique_ptr<SSL_CTX, Free>;

  void add_server(const ServerTls& settings, std::size_t index, const std::string& field);
  void add_names(SSL_CTX* context);
  SSL_CTX* find(std::string name) const;
  static int choose_certificate(SSL* ssl, int* alert, void* self) noexcept;

  std::shared_ptr<TlsTickets> tickets_;
  std::vector<Owned> contexts_;                        ///< a server has one per certificate
  std::unordered_map<std::string, SSL_CTX*> by_name_;  ///< "a.example", "*.example"
};

}  // namespace webshocket::shards
