#include "tests/support/certificates.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <cstdint>
#include <fstream>

#include "tests/support/raw_peer.hpp"

namespace webshocket::test {
namespace {

void expect(bool is_true, const char* what) {
  if (!is_true) throw PeerError(std::string("OpenSSL would not ") + what);
}

void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  expect(extension != nullptr, "make an extension");
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

Identity make(const IdentityOptions& options, const Identity* authority) {
  Identity made{{X509_new(), X509_free}, {EVP_EC_gen("P-256"), EVP_PKEY_free}};
  X509* certificate = made.certificate.get();
  std::uint64_t serial = 0;
  expect(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1, "draw");
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1U);
  X509_gmtime_adj(X509_getm_notBefore(certificate), options.from.count());
  X509_gmtime_adj(X509_getm_notAfter(certificate), options.to.count());
  X509_set_pubkey(certificate, made.key.get());
  X509_NAME* subject = X509_get_subject_name(certificate);
  if (!options.name.empty()) {
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(options.name.data()),
                               static_cast<int>(options.name.size()), -1, 0);
  }
  X509* issuer = authority == nullptr ? certificate : authority->certificate.get();
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
  extend(certificate, issuer, NID_basic_constraints,
         options.is_authority ? "critical, CA:TRUE" : "critical, CA:FALSE");
  if (!options.other_names.empty()) {
    extend(certificate, issuer, NID_subject_alt_name, options.other_names);
  }
  EVP_PKEY* signing = authority == nullptr ? made.key.get() : authority->key.get();
  expect(X509_sign(certificate, signing, EVP_sha256()) != 0, "sign");
  return made;
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return text;
}

}  // namespace

// --- TemporaryFolder --------------------------------------------------------------------------

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "webshocket_XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw PeerError("no folder for temporary files");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(path_); }

std::string TemporaryFolder::write(std::string_view name, std::string_view text) const {
  const std::filesystem::path path = path_ / name;
  std::ofstream(path, std::ios::binary) << text;
  return path.string();
}

// --- Identity ---------------------------------------------------------------------------------

std::string Identity::certificate_pem() const {
  BIO* bio = BIO_new(BIO_s_mem());
  expect(PEM_write_bio_X509(bio, certificate.get()) == 1, "write a certificate");
  return text_of(bio);
}

std::string Identity::key_pem(const std::string& password) const {
  BIO* bio = BIO_new(BIO_s_mem());
  expect(PEM_write_bio_PKCS8PrivateKey(
             bio, key.get(), password.empty() ? nullptr : EVP_aes_128_cbc(), password.data(),
             static_cast<int>(password.size()), nullptr, nullptr) == 1,
         "write a key");
  return text_of(bio);
}

Identity make_identity(const IdentityOptions& options) { return make(options, nullptr); }

Identity make_identity(const IdentityOptions& options, const Identity& authority) {
  return make(options, &authority);
}

Identity make_authority(const std::string& name) {
  return make_identity({.name = name, .other_names = {}, .is_authority = true});
}

std::shared_ptr<SSL_CTX> make_tls_server(const Identity& identity, const Identity* client_authority,
                                         const std::vector<Identity>& chain) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  expect(SSL_CTX_use_certificate(context.get(), identity.certificate.get()) == 1 &&
             SSL_CTX_use_PrivateKey(context.get(), identity.key.get()) == 1,
         "serve with this certificate");
  for (const Identity& link : chain) {
    expect(SSL_CTX_add1_chain_cert(context.get(), link.certificate.get()) == 1, "add to a chain");
  }
  if (client_authority != nullptr) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), client_authority->certificate.get());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  constexpr auto kChoose = [](SSL*, const unsigned char** chosen, unsigned char* size,
                              const unsigned char* offered, unsigned int offered_size, void*) {
    *chosen = offered + 1;
    *size = offered[0];
    return offered_size == 0 ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
  };
  SSL_CTX_set_alpn_select_cb(context.get(), kChoose, nullptr);
  return context;
}

}  // namespace webshocket::test
