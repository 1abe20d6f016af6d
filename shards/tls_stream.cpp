#include "shards/tls_stream.hpp"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

#include "shards/tls_certificate.hpp"
#include "shards/tls_context.hpp"

namespace webshocket::shards {
namespace {

constexpr std::size_t kRecord = SSL3_RT_MAX_PLAIN_LENGTH;
/// With its header, and whatever the cipher adds.
constexpr std::size_t kLargestRecord = SSL3_RT_MAX_ENCRYPTED_LENGTH + SSL3_RT_HEADER_LENGTH;
static_assert(TlsStream::kLeastRoom > kLargestRecord);

bool is_name_failure(int error) noexcept {
  return error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH;
}

/// Of the alerts, those that may be bad luck. The others say that two configurations do not fit.
bool may_pass(int alert) noexcept {
  constexpr std::array kPassing{SSL_AD_BAD_RECORD_MAC, SSL_AD_INTERNAL_ERROR,
                                SSL_AD_USER_CANCELLED};
  return std::ranges::find(kPassing, alert) != kPassing.end();
}

/// Without memory a failure is one without words.
template <class Explain>
void if_possible(Explain&& explain) noexcept {
  try {
    explain();
  } catch (const std::bad_alloc&) {
    ERR_clear_error();
  }
}

}  // namespace

// --- the wire ---------------------------------------------------------------------------------

/// OpenSSL's own way to a socket raises SIGPIPE, and takes whatever is there.
struct TlsStream::Wire {
  static const BIO_METHOD* method() {
    static const BIO_METHOD* const made = [] {
      BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "webshocket");
      if (method == nullptr) throw std::bad_alloc();
      BIO_meth_set_read_ex(method, read);
      BIO_meth_set_write_ex(method, write);
      BIO_meth_set_ctrl(method, control);
      return method;
    }();
    return made;
  }

  static TlsStream& of(BIO* bio) noexcept { return *static_cast<TlsStream*>(BIO_get_data(bio)); }

  template <class Call>
  static ssize_t call(TlsStream& stream, Call call) noexcept {
    ssize_t count = 0;
    do count = call();
    while (count < 0 && errno == EINTR);
    stream.error_ = count < 0 ? errno : 0;
    return count;
  }

  static int read(BIO* bio, char* into, std::size_t size, std::size_t* count) noexcept {
    BIO_clear_retry_flags(bio);
    TlsStream& stream = of(bio);
    size = std::min(size, stream.input_left_);
    ssize_t taken = -1;
    if (size == 0) {
      stream.error_ = EAGAIN;
    } else {
      taken = call(stream, [&] { return ::recv(stream.fd_, into, size, 0); });
    }
    if (taken > 0) {
      *count = static_cast<std::size_t>(taken);
      if (stream.input_left_ != kNoLimit) stream.input_left_ -= *count;
      return 1;
    }
    if (stream.error_ == EAGAIN) BIO_set_retry_read(bio);
    return 0;
  }

  static int write(BIO* bio, const char* from, std::size_t size, std::size_t* count) noexcept {
    BIO_clear_retry_flags(bio);
    TlsStream& stream = of(bio);
    const ssize_t taken =
        call(stream, [&] { return ::send(stream.fd_, from, size, MSG_NOSIGNAL | MSG_DONTWAIT); });
    if (taken > 0) {
      *count = static_cast<std::size_t>(taken);
      return 1;
    }
    if (stream.error_ == EAGAIN) BIO_set_retry_write(bio);
    return 0;
  }

  static long control(BIO*, int command, long, void*) noexcept {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }
};

// --- TlsStream --------------------------------------------------------------------------------

TlsStream::TlsStream(const TlsContext& context, int fd) : ssl_(SSL_new(context.get())), fd_(fd) {
  BIO* bio = ssl_ == nullptr ? nullptr : BIO_new(Wire::method());
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_app_data(ssl_.get(), this);
}

TlsStream::~TlsStream() = default;

void TlsStream::Free::operator()(SSL* ssl) const noexcept { SSL_free(ssl); }

std::unique_ptr<TlsStream> TlsStream::connect(const TlsContext& context, int fd,
                                              std::string_view name) {
  std::unique_ptr<TlsStream> stream(new TlsStream(context, fd));
  SSL_set_connect_state(stream->ssl_.get());
  stream->expect_name(name);
  return stream;
}

std::unique_ptr<TlsStream> TlsStream::accept(std::shared_ptr<const TlsContext> context, int fd) {
  std::unique_ptr<TlsStream> stream(new TlsStream(*context, fd));
  SSL_set_accept_state(stream->ssl_.get());
  stream->context_ = std::move(context);
  return stream;
}

void TlsStream::expect_name(std::string_view name) {
  name_ = name;
  if (name_.ends_with('.')) name_.pop_back();  // that is for resolvers
  // An IPv6 address's zone means something on this machine only.
  if (name_.find(':') != std::string::npos) name_.resize(std::min(name_.find('%'), name_.size()));
  X509_VERIFY_PARAM* expected = SSL_get0_param(ssl_.get());
  X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  std::array<unsigned char, 16> address{};
  bool is_set = false;
  if (::inet_pton(AF_INET, name_.c_str(), address.data()) == 1) {
    is_set = X509_VERIFY_PARAM_set1_ip(expected, address.data(), 4) == 1;
  } else if (::inet_pton(AF_INET6, name_.c_str(), address.data()) == 1) {
    is_set = X509_VERIFY_PARAM_set1_ip(expected, address.data(), 16) == 1;
  } else {
    is_set = !name_.empty() && SSL_set_tlsext_host_name(ssl_.get(), name_.c_str()) == 1 &&
             X509_VERIFY_PARAM_set1_host(expected, name_.data(), name_.size()) == 1;
  }
  ERR_clear_error();
  if (!is_set) failure_ = {"no certificate can be for the name \"" + name_ + '"', true};
}

std::string_view TlsStream::peer() const noexcept {
  return SSL_is_server(ssl_.get()) == 1 ? "the client" : "the server";
}

ssize_t TlsStream::handshake() noexcept {
  if (!failure_.complaint.empty()) return -EPROTO;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  awaits_ = Awaits::usual;
  if (result == 1) {
    is_secure_ = true;
    context_.reset();
    return 0;
  }
  const ssize_t ended = outcome(result, Awaits::usual);
  if (ended != 0) return ended;
  if_possible(
      [this] { failure_.complaint = std::string(peer()) + " hung up during the TLS handshake"; });
  return -EPROTO;
}

bool TlsStream::is_resumed() const noexcept { return SSL_session_reused(ssl_.get()) == 1; }

std::optional<ClientCertificate> TlsStream::client_certificate() const {
  X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr || !is_secure_) return std::nullopt;
  return describe(certificate);
}

bool TlsStream::holds_input() const noexcept { return SSL_has_pending(ssl_.get()) == 1; }

ssize_t TlsStream::receive(std::span<std::byte> into) noexcept {
  if (end_) return *end_;
  // The rest of a record may be in here already, and come out with what is taken now.
  input_left_ = into.size() - kLargestRecord;
  awaits_ = Awaits::usual;
  std::size_t total = 0;
  do {
    std::size_t count = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_.get(), into.data() + total, into.size() - total, &count);
    if (result == 1) {
      total += count;
      continue;
    }
    const ssize_t ended = outcome(result, Awaits::input);
    if (ended != -EAGAIN) end_ = ended;
    break;
  } while (total < into.size() && holds_input());
  input_left_ = kNoLimit;
  if (total > 0) return static_cast<ssize_t>(total);
  return end_.value_or(-EAGAIN);
}

ssize_t TlsStream::send(std::span<iovec> parts) noexcept {
  std::array<std::byte, kRecord> joined;
  ssize_t total = 0;
  awaits_ = Awaits::usual;
  while (!parts.empty()) {
    if (parts.front().iov_len == 0) {
      parts = parts.subspan(1);
      continue;
    }
    const std::size_t most = committed_ != 0 ? committed_ : kRecord;
    std::span<const std::byte> record(static_cast<const std::byte*>(parts[0].iov_base),
                                      std::min(parts[0].iov_len, most));
    if (record.size() < most && parts.size() > 1) {
      std::size_t size = 0;
      for (const iovec& part : parts) {
        const std::size_t taken = std::min(part.iov_len, most - size);
        std::memcpy(joined.data() + size, part.iov_base, taken);
        size += taken;
        if (size == most) break;
      }
      record = std::span(joined).first(size);
    }
    const ssize_t sent = send_record(record);
    if (sent < 0) return total > 0 && sent == -EAGAIN ? total : sent;
    total += sent;
    for (auto left = static_cast<std::size_t>(sent); left > 0;) {
      iovec& part = parts.front();
      const std::size_t taken = std::min(left, part.iov_len);
      part.iov_base = static_cast<std::byte*>(part.iov_base) + taken;
      part.iov_len -= taken;
      left -= taken;
      if (left > 0) parts = parts.subspan(1);
    }
  }
  return total;
}

ssize_t TlsStream::send_record(std::span<const std::byte> record) noexcept {
  if (is_broken_) return -EPIPE;
  std::size_t count = 0;
  ERR_clear_error();
  const int result = SSL_write_ex(ssl_.get(), record.data(), record.size(), &count);
  if (result == 1) {
    committed_ = 0;
    return static_cast<ssize_t>(count);
  }
  const ssize_t why = outcome(result, Awaits::output);
  if (why == -EAGAIN) committed_ = record.size();
  return why == 0 ? -EPIPE : why;
}

void TlsStream::end_output() noexcept {
  if (is_broken_ || !is_secure_ || committed_ != 0) return;
  is_broken_ = true;
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

// --- failures ---------------------------------------------------------------------------------

ssize_t TlsStream::outcome(int result, Awaits usual) noexcept {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      awaits_ = usual == Awaits::input ? Awaits::usual : Awaits::input;
      return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
      awaits_ = usual == Awaits::output ? Awaits::usual : Awaits::output;
      return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    case SSL_ERROR_SYSCALL:
      if (error_ != 0) is_broken_ = true;
      return -error_;
    default:
      is_broken_ = true;
      if_possible([this] { explain(); });
      return -EPROTO;
  }
}

void TlsStream::explain() {
  const unsigned long code = ERR_peek_error();
  const char* text = ERR_reason_error_string(code);
  const std::string_view reason = text == nullptr ? "unknown error" : text;
  const int number = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
  ERR_clear_error();
  if (!failure_.complaint.empty()) return;  // the certificate was refused
  if (number > SSL_AD_REASON_OFFSET) {
    // "tlsv13 alert certificate required"
    constexpr std::string_view kMark = " alert ";
    const std::size_t at = reason.find(kMark);
    failure_.complaint = std::string(peer()) + " refuses, by a TLS alert: ";
    failure_.complaint += at == std::string_view::npos ? reason : reason.substr(at + kMark.size());
    failure_.is_final = !may_pass(number - SSL_AD_REASON_OFFSET);
  } else if (number == SSL_R_WRONG_VERSION_NUMBER) {
    failure_ = {std::string(peer()) + " does not speak TLS", true};
  } else if (number == SSL_R_HTTP_REQUEST) {
    failure_ = {std::string(peer()) + " speaks HTTP without TLS", true};
  } else {
    failure_ = {"TLS has failed: " + std::string(reason), !is_secure_};
  }
}

int TlsStream::judge(int is_fine, X509_STORE_CTX* store) noexcept {
  if (is_fine == 1) return 1;
  const auto* ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  if_possible([&] {
    static_cast<TlsStream*>(SSL_get_app_data(ssl))
        ->refuse(X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_current_cert(store));
  });
  return 0;
}

void TlsStream::refuse(int error, X509* certificate) {
  failure_.is_final = true;
  failure_.complaint = std::string(peer()) + "'s certificate is ";
  if (is_name_failure(error) && certificate != nullptr) {
    failure_.complaint += "for another name: " + names_in_words(certificate) + ", but not " + name_;
  } else {
    failure_.complaint += "not trusted: " + std::string(X509_verify_cert_error_string(error));
  }
}

}  // namespace webshocket::shards
