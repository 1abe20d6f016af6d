/// The other end of a connection, byte by byte: what a test sends is what goes out, right or wrong,
/// and everything that comes back can be looked at.
///
/// Every wait has a guard; what does not come in time, or is something else, throws `PeerError`,
/// which fails the test case.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace webshocket::test {

/// Only a server that hangs makes a test wait this long, on a busy machine too.
inline constexpr std::chrono::seconds kGuard{20};

class PeerError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Nobody listens there.
class RefusedError : public PeerError {
 public:
  using PeerError::PeerError;
};

/// "82 05 48" → the three bytes, and back without blanks.
std::string from_hex(std::string_view digits);
std::string to_hex(std::string_view bytes);

enum : unsigned {
  kContinuation = 0x0,
  kText = 0x1,
  kBinary = 0x2,
  kClose = 0x8,
  kPing = 0x9,
  kPong = 0xA,
};

/// A frame to send. The defaults are right; each field can be made wrong.
struct SentFrame {
  unsigned opcode = kBinary;
  std::string payload = {};
  bool fin = true;
  unsigned rsv = 0;                                     ///< RSV1 is 4
  std::optional<std::string> key = "\x37\xfa\x21\x3d";  ///< nullopt: not masked
  std::optional<unsigned> length_bytes = {};            ///< 0, 2 or 8; else the shortest
  std::optional<std::uint64_t> length = {};             ///< what is declared; else the payload's

  std::string bytes() const;
};

std::string text_frame(std::string_view payload);
std::string binary_frame(std::string_view payload);
/// `code` 0: an empty body.
std::string close_frame(unsigned code, std::string_view reason = {});
std::string close_body(unsigned code, std::string_view reason = {});

/// A frame as it came.
struct Frame {
  bool fin = false;
  unsigned rsv = 0;
  unsigned opcode = 0;
  bool masked = false;
  unsigned length_bytes = 0;  ///< 0, 2 or 8: the form that the length was written in
  std::string payload = {};   ///< without its mask
  std::string key = {};       ///< of the mask

  friend bool operator==(const Frame&, const Frame&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Frame& frame);
};

struct Close {
  unsigned code = 0;  ///< 0: the body was empty
  std::string reason = {};

  friend bool operator==(const Close&, const Close&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Close& close);
};

/// What a CLOSE frame says. Throws `PeerError` if the frame is none.
Close close_of(const Frame& frame);

struct HttpAnswer {
  int status = 0;
  std::string head = {};  ///< all of it, with the blank line
  std::string body = {};  ///< as long as Content-Length says

  /// The header's value, whatever its name's case; nothing if there is none.
  std::optional<std::string> header(std::string_view name) const;
};

/// The same of any head.
std::optional<std::string> header_of(std::string_view head, std::string_view name);

struct UpgradeOptions {
  std::string path = "/";
  std::string subprotocol = {};           ///< the header's value; empty: no header
  std::vector<std::string> headers = {};  ///< whole lines
};

/// The key of RFC 6455's example, and the answer to it.
inline constexpr std::string_view kUpgradeKey = "dGhlIHNhbXBsZSBub25jZQ==";
inline constexpr std::string_view kUpgradeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
std::string upgrade_request(const UpgradeOptions& options = {});

class RawPeer {
 public:
  enum class End : std::uint8_t { none, fin, reset };

  explicit RawPeer(std::uint16_t port, const char* host = "127.0.0.1");
  /// The other side of it: a socket that was accepted, and does not block.
  static RawPeer adopt(int fd) noexcept;
  ~RawPeer();
  RawPeer(RawPeer&& other) noexcept;
  RawPeer& operator=(RawPeer&& other) noexcept;

  int fd() const noexcept { return fd_; }

  // --- sending --------------------------------------------------------------------------------

  /// All of it. While the server does not take it, what it has to say is read and kept, so that two
  /// full buffers never wait for each other. Throws if the server has gone.
  void send(std::string_view bytes);
  /// As much as goes at once; returns how much.
  std::size_t send_some(std::string_view bytes);
  void send(const SentFrame& frame) { send(frame.bytes()); }
  /// Two segments; the first one is on its way before the second is written.
  void send_split(std::string_view bytes, std::size_t at);
  /// A FIN, while reading goes on.
  void half_close();
  /// An RST.
  void reset();
  /// Keeps the kernel's receive buffer small: a slow reader is felt early.
  void shrink_receive_buffer(int bytes);

  // --- receiving ------------------------------------------------------------------------------

  /// Exactly `count` bytes.
  std::string read(std::size_t count);
  /// Up to and with the delimiter.
  std::string read_until(std::string_view delimiter);
  HttpAnswer read_http();
  Frame read_frame();
  /// The next frame must be a CLOSE.
  Close read_close();
  /// The next CLOSE, whatever comes before it.
  Close read_until_close();
  /// The next thing must be the end of the connection.
  End read_end();
  /// `read_close`, then the end of the connection.
  Close read_close_and_end();
  /// The frames of one message, which must come one after the other.
  std::vector<Frame> read_message_frames();
  /// The payload of one message.
  std::string read_message();

  /// Until something is there, which stays in the socket.
  void wait_for_input();
  /// Takes what is there without waiting; false once the connection has ended.
  bool absorb();
  /// A frame out of what has been taken already.
  std::optional<Frame> take_frame();
  std::size_t unread() const noexcept { return buffer_.size() - consumed_; }
  End ended() const noexcept { return end_; }

  // --- the handshake --------------------------------------------------------------------------

  /// Sends the request and returns the answer, whatever it is.
  HttpAnswer request(const UpgradeOptions& options = {});
  /// Throws unless the answer is a proper 101.
  HttpAnswer upgrade(const UpgradeOptions& options = {});

 private:
  RawPeer() noexcept = default;
  std::string_view pending() const noexcept { return std::string_view(buffer_).substr(consumed_); }
  std::string take(std::size_t count);
  /// Waits for more bytes; throws at the end of the connection or of the guard.
  void need_more(std::string_view what);

  int fd_ = -1;
  End end_ = End::none;
  std::size_t consumed_ = 0;
  std::string buffer_;
};

/// A connection that has been upgraded.
RawPeer open_peer(std::uint16_t port, const UpgradeOptions& options = {});

}  // namespace webshocket::test
