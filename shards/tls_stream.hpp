/// TLS between a socket and who reads and writes it: OpenSSL, which is never let wait.
#pragma once

#include <openssl/types.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <webshocket/tls.hpp>

namespace webshocket::shards {

class TlsContext;

/// One connection's TLS, over a descriptor that somebody else owns. It may move to another thread
/// between two calls.
///
/// Results are those of a `Socket`. -EPROTO stands for what `failure()` tells.
class TlsStream {
 public:
  struct Failure {
    std::string complaint;  ///< for people
    bool is_final = false;  ///< another try would end the same
  };

  /// What the socket must be ready for before anything goes on.
  enum class Awaits : std::uint8_t {
    usual,   ///< input to receive, room to send
    input,   ///< input, whatever was asked for
    output,  ///< room, whatever was asked for
  };

  /// The least that `receive` needs room for.
  static constexpr std::size_t kLeastRoom = 32 * 1024;

  /// A client's end. The server's certificate must be for `name`, a host name or a numeric address,
  /// if the context verifies it at all.
  static std::unique_ptr<TlsStream> connect(const TlsContext& context, int fd,
                                            std::string_view name);
  /// A server's end.
  static std::unique_ptr<TlsStream> accept(std::shared_ptr<const TlsContext> context, int fd);
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;
  ~TlsStream();

  /// One step of it: 0 once it has succeeded, -EAGAIN while it goes on.
  ssize_t handshake() noexcept;

  /// REQUIRES: room for `kLeastRoom`. Takes no more from the socket than it can hand over, so that
  /// nothing stays in here that the socket would not tell of; but for the end of input.
  /// An end without a farewell is one too: who cares has a last word of his own, WebSocket's CLOSE.
  ssize_t receive(std::span<std::byte> into) noexcept;
  /// `receive` has nothing more to give but the end or an error, and would tell so at once.
  bool has_ended() const noexcept { return end_.has_value(); }
  /// Input lies in here of which the socket does not tell: so it may be after the handshake.
  bool holds_input() const noexcept;

  /// Writes over `parts`. What lies in many small parts leaves in few records.
  ssize_t send(std::span<iovec> parts) noexcept;
  /// How many of the bytes that `send` has not taken are on their way nonetheless. They must come
  /// first when it is called again, wherever they lie then.
  std::size_t committed() const noexcept { return committed_; }
  /// Says farewell, if it can be said at once. Nothing is to be sent after that.
  void end_output() noexcept;

  // Of a server's end, after the handshake.

  /// It took up an older session.
  bool is_resumed() const noexcept;
  /// Who the client has proved to be.
  std::optional<ClientCertificate> client_certificate() const;

  Awaits awaits() const noexcept { return awaits_; }
  const Failure& failure() const noexcept { return failure_; }

 private:
  struct Wire;
  struct Free {
    void operator()(SSL* ssl) const noexcept;
  };
  static constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

  TlsStream(const TlsContext& context, int fd);

  void expect_name(std::string_view name);
  static int judge(int is_fine, X509_STORE_CTX* store) noexcept;
  void refuse(int error, X509* certificate);
  /// What has become of a call, and what must be awaited before it is made again.
  ssize_t outcome(int result, Awaits usual) noexcept;
  ssize_t send_record(std::span<const std::byte> record) noexcept;
  void explain();
  std::string_view peer() const noexcept;

  friend class TlsContext;

  std::unique_ptr<SSL, Free> ssl_;
  std::shared_ptr<const TlsContext> context_;  ///< a server's, as long as the handshake goes on
  int fd_;
  int error_ = 0;           ///< the socket's
  bool is_secure_ = false;  ///< the handshake has succeeded
  bool is_broken_ = false;  ///< nothing more can be said
  Awaits awaits_ = Awaits::usual;
  std::size_t input_left_ = kNoLimit;  ///< what may still be taken from the socket
  std::size_t committed_ = 0;
  std::optional<ssize_t> end_;  ///< of input: 0, or why
  std::string name_;            ///< that the certificate must be for
  Failure failure_;
};

}  // namespace webshocket::shards
