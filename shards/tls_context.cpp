#include "shards/tls_context.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>
#include <utility>

#include <webshocket/error.hpp>

#include "protocol/http_fields.hpp"
#include "shards/tls_certificate.hpp"
#include "shards/tls_stream.hpp"

namespace webshocket::shards {
namespace {

/// Of what OpenSSL has to say, the beginning: what follows is who else was touched by it.
std::string first_reason() {
  const unsigned long code = ERR_peek_error();
  ERR_clear_error();
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  const char* reason = ERR_reason_error_string(code);
  return reason == nullptr ? "unknown error" : reason;
}

[[noreturn]] void refuse_file(const std::string& field, const std::string& file,
                              const std::string& reason) {
  throw UsageError(field + " = \"" + file + "\": " + reason);
}

/// Otherwise OpenSSL would ask at the terminal.
int have_no_password(char*, int, int, void*) noexcept { return -1; }

void set_up_both(SSL_CTX* context) {
  if (context == nullptr) throw WebSocketError("OpenSSL refuses to work: " + first_reason());
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // Without release of buffers an idle connection takes three times the memory.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Else it costs two system calls per record: one for the header, one for the rest.
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_default_passwd_cb(context, have_no_password);
}

void load_identity(SSL_CTX* context, const std::string& field, const std::string& certificate,
                   const std::string& key) {
  if (certificate.empty()) refuse_file(field + "key_file", key, "needs a certificate_file");
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) {
    refuse_file(field + "certificate_file", certificate, first_reason());
  }
  const bool has_own_file = !key.empty();
  const std::string& file = has_own_file ? key : certificate;
  if (SSL_CTX_use_PrivateKey_file(context, file.c_str(), SSL_FILETYPE_PEM) != 1) {
    refuse_file(field + (has_own_file ? "key_file" : "certificate_file"), file,
                (has_own_file ? "" : "there is no key_file, and none in here: ") + first_reason());
  }
}

// --- a server's -------------------------------------------------------------------------------

/// Ephemeral keys, authenticated encryption. That of TLS 1.3 is always so.
constexpr const char* kCiphers12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
constexpr const char* kCiphers13 =
    "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
constexpr const char* kGroups = "X25519:P-256:P-384";

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned int offered_size, void*) noexcept {
  std::span left(offered, offered_size);
  while (!left.empty()) {
    const auto name = left.subspan(1, left.front());
    if (std::string_view(reinterpret_cast<const char*>(name.data()), name.size()) == "http/1.1") {
      *chosen = name.data();
      *size = left.front();
      return SSL_TLSEXT_ERR_OK;
    }
    left = left.subspan(1 + name.size());
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

void set_up_sessions(SSL_CTX* context, const ServerTls& settings, TlsTickets& tickets) {
  const auto lifetime = settings.ticket_lifetime.count();
  if (lifetime == 0) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
    return;
  }
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_timeout(context, static_cast<long>(lifetime));
  TlsTickets::use(context, tickets);
}

/// Where other authorities decide, or somebody else must prove himself, a ticket is worth nothing.
void set_session_domain(SSL_CTX* context, const ServerTls& settings) {
  std::ifstream file(settings.client_ca_file, std::ios::binary);
  std::string domain(std::istreambuf_iterator<char>(file), {});
  domain += settings.client_certificate_optional ? '?' : '!';
  // It travels inside the ticket: one that lives long elsewhere must not do so here.
  domain += std::to_string(settings.ticket_lifetime.count());
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(domain.data(), domain.size(), digest.data(), &size, EVP_sha256(), nullptr);
  SSL_CTX_set_session_id_context(context, digest.data(), size);
}

}  // namespace

TlsContext::TlsContext(const ClientTls& settings) {
  contexts_.emplace_back(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = get();
  set_up_both(context);
  constexpr std::array<unsigned char, 9> kProtocols{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  SSL_CTX_set_alpn_protos(context, kProtocols.data(), kProtocols.size());

  if (settings.verify) SSL_CTX_set_verify(context, SSL_VERIFY_PEER, &TlsStream::judge);
  const std::string field = "ClientConfig::tls.";
  if (settings.ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context);
  } else if (SSL_CTX_load_verify_file(context, settings.ca_file.c_str()) != 1) {
    refuse_file(field + "ca_file", settings.ca_file, first_reason());
  }
  if (!settings.certificate_file.empty() || !settings.key_file.empty()) {
    load_identity(context, field, settings.certificate_file, settings.key_file);
  }
  ERR_clear_error();
}

TlsContext::TlsContext(const ServerTls& settings, const std::string& field,
                       std::shared_ptr<TlsTickets> tickets)
    : tickets_(std::move(tickets)) {
  for (std::size_t i = 0; i < settings.certificates.size(); ++i) add_server(settings, i, field);
  SSL_CTX_set_tlsext_servername_callback(get(), &TlsContext::choose_certificate);
  SSL_CTX_set_tlsext_servername_arg(get(), this);
  ERR_clear_error();
}

TlsContext::~TlsContext() = default;

void TlsContext::Free::operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }

// What a handshake has agreed on before it knows the name is taken from the first one: they must
// not differ but in the certificate.
void TlsContext::add_server(const ServerTls& settings, std::size_t index,
                            const std::string& field) {
  SSL_CTX* context = contexts_.emplace_back(SSL_CTX_new(TLS_server_method())).get();
  set_up_both(context);
  if (settings.min_version == TlsVersion::tls_1_3) {
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  }
  // The quicker one of what is safe; that is another one where AES has no hardware.
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_cipher_list(context, kCiphers12);
  SSL_CTX_set_ciphersuites(context, kCiphers13);
  SSL_CTX_set1_groups_list(context, kGroups);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  set_up_sessions(context, settings, *tickets_);
  set_session_domain(context, settings);

  const TlsCertificate& identity = settings.certificates[index];
  load_identity(context, field + ".certificates[" + std::to_string(index) + "].",
                identity.certificate_file, identity.key_file);
  add_names(context);

  if (settings.client_ca_file.empty()) return;
  if (index == 0) {
    STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(settings.client_ca_file.c_str());
    if (names == nullptr || SSL_CTX_load_verify_file(context, settings.client_ca_file.c_str()) != 1)
      refuse_file(field + ".client_ca_file", settings.client_ca_file, first_reason());
    SSL_CTX_set_client_CA_list(context, names);
  } else {
    SSL_CTX_set1_cert_store(context, SSL_CTX_get_cert_store(get()));
    SSL_CTX_set_client_CA_list(context, SSL_dup_CA_list(SSL_CTX_get_client_CA_list(get())));
  }
  const int is_needed = settings.client_certificate_optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | is_needed, &TlsStream::judge);
}

void TlsContext::add_names(SSL_CTX* context) {
  for (std::string& name : host_names(SSL_CTX_get0_certificate(context))) {
    by_name_.emplace(std::move(name), context);  // the first one keeps it
  }
}

SSL_CTX* TlsContext::find(std::string name) const {
  std::ranges::transform(name, name.begin(), protocol::lower);
  if (name.ends_with('.')) name.pop_back();
  auto found = by_name_.find(name);
  if (found == by_name_.end() && name.find('.') != std::string::npos) {
    found = by_name_.find(name.replace(0, name.find('.'), "*"));
  }
  return found == by_name_.end() ? get() : found->second;
}

int TlsContext::choose_certificate(SSL* ssl, int*, void* self) noexcept {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_CTX* context = static_cast<const TlsContext*>(self)->find(name);
  if (context != SSL_get_SSL_CTX(ssl)) SSL_set_SSL_CTX(ssl, context);
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace webshocket::shards
