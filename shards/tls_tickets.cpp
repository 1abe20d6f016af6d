#include "shards/tls_tickets.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <utility>

#include <webshocket/error.hpp>

namespace webshocket::shards {
namespace {

constexpr int kNoTicket = 0;
constexpr int kFine = 1;
constexpr int kFineRenew = 2;

TlsTickets::Key draw() {
  TlsTickets::Key key;
  if (RAND_bytes(key.name.data(), static_cast<int>(key.name.size())) != 1 ||
      RAND_priv_bytes(key.cipher.data(), static_cast<int>(key.cipher.size())) != 1 ||
      RAND_priv_bytes(key.mac.data(), static_cast<int>(key.mac.size())) != 1) {
    throw WebSocketError("OpenSSL has no random bytes");
  }
  return key;
}

void wipe(TlsTickets::Key& key) noexcept { OPENSSL_cleanse(&key, sizeof key); }

/// Fetched once, as a search among OpenSSL's providers takes its time.
const EVP_CIPHER* cipher_method() noexcept {
  static const EVP_CIPHER* const fetched = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  return fetched;
}

bool set_up(const TlsTickets::Key& key, const unsigned char* iv, EVP_CIPHER_CTX* cipher,
            EVP_MAC_CTX* mac, bool encrypts) noexcept {
  auto secret = key.mac;
  std::array<char, 7> digest{"SHA256"};
  const std::array params{
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret.data(), secret.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_end()};
  const bool is_set = EVP_MAC_CTX_set_params(mac, params.data()) == 1 &&
                      EVP_CipherInit_ex2(cipher, cipher_method(), key.cipher.data(), iv,
                                         encrypts ? 1 : 0, nullptr) == 1;
  OPENSSL_cleanse(secret.data(), secret.size());
  return is_set;
}

}  // namespace

TlsTickets::~TlsTickets() {
  if (current_) wipe(current_->key);
  if (previous_) wipe(previous_->key);
}

void TlsTickets::rotate(Clock::time_point now) {
  if (period_.count() == 0) return;
  const auto forget = [](std::optional<Aged>& key) {
    if (key) wipe(key->key);
    key.reset();
  };
  if (current_ && now - current_->made >= period_) {
    forget(previous_);
    previous_ = std::exchange(current_, std::nullopt);
  }
  // In a long silence the current one may have got too old to be even the previous one.
  if (previous_ && now - previous_->made >= 2 * period_) forget(previous_);
}

TlsTickets::Key TlsTickets::current(Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  rotate(now);
  if (!current_) current_ = {draw(), now};
  return current_->key;
}

std::optional<TlsTickets::Key> TlsTickets::find(std::span<const unsigned char, 16> name,
                                                Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  rotate(now);
  for (const auto& known : {&current_, &previous_}) {
    if (*known && std::ranges::equal((*known)->key.name, name)) return (*known)->key;
  }
  return std::nullopt;
}

void TlsTickets::use(SSL_CTX* context, TlsTickets& self) noexcept {
  SSL_CTX_set_app_data(context, &self);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &TlsTickets::crypt);
}

int TlsTickets::crypt(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                      EVP_MAC_CTX* mac, int encrypts) noexcept {
  auto& self = *static_cast<TlsTickets*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  const auto now = Clock::now();
  if (encrypts == 1) {
    Key key;
    try {
      key = self.current(now);
    } catch (const WebSocketError&) {
      return kNoTicket;
    }
    std::ranges::copy(key.name, name);
    const bool is_set = RAND_bytes(iv, EVP_CIPHER_get_iv_length(cipher_method())) == 1 &&
                        set_up(key, iv, cipher, mac, true);
    wipe(key);
    return is_set ? kFine : kNoTicket;
  }
  std::optional<Key> key = self.find(std::span<const unsigned char, 16>(name, 16), now);
  if (!key) return kNoTicket;
  const bool is_set = set_up(*key, iv, cipher, mac, false);
  wipe(*key);
  if (!is_set) return kNoTicket;
  // An identity that was proved once must not live on from ticket to ticket.
  const bool renews = (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) == 0;
  return renews ? kFineRenew : kFine;
}

}  // namespace webshocket::shards
