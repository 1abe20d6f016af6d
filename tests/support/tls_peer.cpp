#include "tests/support/tls_peer.hpp"

#include <openssl/err.h>
#include <openssl/x509.h>

#include <array>
#include <utility>

namespace webshocket::test {
namespace {

std::string reason() {
  const char* text = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return text == nullptr ? "no reason" : text;
}

std::shared_ptr<SSL_CTX> make_context(const TlsPeerOptions& options) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  // What is to be refused must be asked for first.
  SSL_CTX_set_security_level(context.get(), 0);
  SSL_CTX_set_min_proto_version(context.get(), options.min_version);
  SSL_CTX_set_max_proto_version(context.get(), options.max_version);
  if (!options.ciphers.empty() &&
      SSL_CTX_set_cipher_list(context.get(), options.ciphers.c_str()) != 1) {
    throw PeerError("OpenSSL does not know " + options.ciphers);
  }
  std::string offer;
  for (const std::string& protocol : options.protocols) {
    offer += static_cast<char>(protocol.size());
    offer += protocol;
  }
  SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>(offer.data()),
                          static_cast<unsigned int>(offer.size()));
  if (options.identity) {
    SSL_CTX_use_certificate(context.get(), options.identity->certificate.get());
    SSL_CTX_use_PrivateKey(context.get(), options.identity->key.get());
  }
  return context;
}

}  // namespace

TlsPeer::TlsPeer(std::uint16_t port, const TlsPeerOptions& options)
    : TlsPeer(RawPeer(port), options) {}

TlsPeer::TlsPeer(RawPeer peer, const TlsPeerOptions& options)
    : wire_(std::move(peer)), context_(make_context(options)) {
  ssl_.reset(SSL_new(context_.get()), SSL_free);
  SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(ssl_.get());
  if (!options.name.empty()) SSL_set_tlsext_host_name(ssl_.get(), options.name.c_str());
  if (options.session != nullptr) SSL_set_session(ssl_.get(), options.session.get());
}

std::string TlsPeer::take_output() {
  char* data = nullptr;
  const long size = BIO_get_mem_data(SSL_get_wbio(ssl_.get()), &data);
  std::string output(data, static_cast<std::size_t>(size));
  BIO_reset(SSL_get_wbio(ssl_.get()));
  return output;
}

bool TlsPeer::take_input() {
  if (!wire_.absorb() && wire_.unread() == 0) return false;
  if (wire_.unread() == 0) {
    wire_.wait_for_input();
    if (!wire_.absorb() && wire_.unread() == 0) return false;
  }
  const std::string input = wire_.read(wire_.unread());
  BIO_write(SSL_get_rbio(ssl_.get()), input.data(), static_cast<int>(input.size()));
  return true;
}

// --- the handshake ----------------------------------------------------------------------------

std::string TlsPeer::hello() {
  SSL_do_handshake(ssl_.get());
  ERR_clear_error();
  return take_output();
}

std::string TlsPeer::finish() {
  for (;;) {
    SSL_do_handshake(ssl_.get());
    ERR_clear_error();
    if (std::string output = take_output(); !output.empty()) return output;
    if (!take_input()) throw PeerError("the server has hung up");
  }
}

TlsPeer& TlsPeer::shake_hands() {
  for (;;) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    const int error = SSL_get_error(ssl_.get(), result);
    const std::string why = error == SSL_ERROR_SSL ? reason() : "";
    if (const std::string output = take_output(); !output.empty()) wire_.send(output);
    if (result == 1) return *this;
    if (error != SSL_ERROR_WANT_READ) throw PeerError(why);
    if (!take_input()) throw PeerError("the server has hung up");
  }
}

bool TlsPeer::is_resumed() const noexcept { return SSL_session_reused(ssl_.get()) == 1; }
std::string TlsPeer::version() const { return SSL_get_version(ssl_.get()); }
std::string TlsPeer::cipher() const { return SSL_get_cipher_name(ssl_.get()); }

std::string TlsPeer::protocol() const {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string TlsPeer::server() const {
  std::array<char, 256> name{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(ssl_.get())),
                            NID_commonName, name.data(), static_cast<int>(name.size()));
  return name.data();
}

std::shared_ptr<SSL_SESSION> TlsPeer::session() const {
  // Else OpenSSL takes the session for lost.
  SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  return {SSL_get1_session(ssl_.get()), SSL_SESSION_free};
}

// --- afterwards -------------------------------------------------------------------------------

std::string TlsPeer::sealed(std::string_view text) {
  std::size_t count = 0;
  if (SSL_write_ex(ssl_.get(), text.data(), text.size(), &count) != 1) throw PeerError(reason());
  return take_output();
}

void TlsPeer::send(std::string_view text) { wire_.send(sealed(text)); }

void TlsPeer::say_farewell() {
  SSL_shutdown(ssl_.get());
  wire_.send(take_output());
}

bool TlsPeer::renegotiates() {
  if (SSL_renegotiate(ssl_.get()) != 1) throw PeerError(reason());
  try {
    shake_hands();
  } catch (const PeerError&) {
    return false;
  }
  return true;
}

void TlsPeer::need_more(std::string_view what) {
  std::array<char, SSL3_RT_MAX_PLAIN_LENGTH> record;
  for (;;) {
    std::size_t count = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_.get(), record.data(), record.size(), &count);
    if (result == 1) {
      buffer_.append(record.data(), count);
      ++records_;
      return;
    }
    if (SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_READ) {
      throw PeerError("no " + std::string(what) + ": " + reason());
    }
    if (!take_input()) throw PeerError("the server has hung up before " + std::string(what));
  }
}

std::string TlsPeer::read(std::size_t count) {
  while (buffer_.size() < count) need_more("enough bytes");
  std::string text = buffer_.substr(0, count);
  buffer_.erase(0, count);
  return text;
}

std::string TlsPeer::read_until(std::string_view delimiter) {
  std::size_t at = 0;
  while ((at = buffer_.find(delimiter)) == std::string::npos) need_more("delimiter");
  return read(at + delimiter.size());
}

bool TlsPeer::read_end() {
  try {
    for (;;) need_more("end");
  } catch (const PeerError&) {
    const bool has_farewell = (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
    if (!has_farewell && wire_.ended() == RawPeer::End::none) throw;
    return has_farewell;
  }
}

}  // namespace webshocket::test
