/// Certificates, made when a test needs them.
#pragma once

#include <openssl/types.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace webshocket::test {

/// A folder of the test's own, and what is written into it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  /// The path of a file with this text.
  std::string write(std::string_view name, std::string_view text) const;
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// A certificate and its key. Copies are the same one.
struct Identity {
  std::shared_ptr<X509> certificate;
  std::shared_ptr<EVP_PKEY> key;

  /// In PEM.
  std::string certificate_pem() const;
  /// Encrypted, if there is a password.
  std::string key_pem(const std::string& password = {}) const;
};

struct IdentityOptions {
  std::string name = "localhost";  ///< its common name; empty: none
  /// Its other names, in OpenSSL's words; empty: none.
  std::string other_names = "DNS:localhost, IP:127.0.0.1, IP:::1";
  std::chrono::seconds from{-3600};  ///< it is valid, counted from now
  std::chrono::seconds to{3600};
  bool is_authority = false;
};

/// Signed by itself.
Identity make_identity(const IdentityOptions& options = {});
/// Signed by an authority.
Identity make_identity(const IdentityOptions& options, const Identity& authority);
Identity make_authority(const std::string& name = "Authority");

/// A server's end that is not ours. With `client_authority` it wants a certificate that this one
/// has signed. The certificates of `chain` are sent behind its own.
std::shared_ptr<SSL_CTX> make_tls_server(const Identity& identity,
                                         const Identity* client_authority = nullptr,
                                         const std::vector<Identity>& chain = {});

}  // namespace webshocket::test
