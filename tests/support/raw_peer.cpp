#include "tests/support/raw_peer.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace webshocket::test {
namespace {

[[noreturn]] void fail(const std::string& what) { throw PeerError(what); }

[[noreturn]] void fail_errno(const std::string& what) {
  throw PeerError(what + ": " + std::strerror(errno));
}

std::string shown(std::string_view bytes) {
  constexpr std::size_t kMost = 48;
  std::string text = to_hex(bytes.substr(0, kMost));
  if (bytes.size() > kMost) text += "…";
  return text + " (" + std::to_string(bytes.size()) + " bytes)";
}

void wait_for(int fd, short events, std::string_view what) {
  const auto until = std::chrono::steady_clock::now() + kGuard;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    if (left.count() <= 0) fail("waited in vain for " + std::string(what));
    pollfd entry{fd, events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(left.count()));
    if (ready > 0) return;
    if (ready < 0 && errno != EINTR) fail_errno("poll");
  }
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

std::string from_hex(std::string_view digits) {
  std::string bytes;
  std::optional<unsigned> high;
  for (const char c : digits) {
    if (c == ' ') continue;
    const auto digit = static_cast<unsigned>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    if (high) {
      bytes.push_back(static_cast<char>(*high << 4 | digit));
      high.reset();
    } else {
      high = digit;
    }
  }
  return bytes;
}

std::string to_hex(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

// --- frames -----------------------------------------------------------------------------------

std::string SentFrame::bytes() const {
  const std::uint64_t declared = length.value_or(payload.size());
  const unsigned extra = length_bytes.value_or(declared < 126 ? 0 : declared < 65536 ? 2 : 8);
  std::string out;
  out.reserve(payload.size() + 14);
  out.push_back(static_cast<char>((fin ? 0x80U : 0U) | rsv << 4 | opcode));
  const unsigned seven = extra == 0 ? static_cast<unsigned>(declared) : extra == 2 ? 126U : 127U;
  out.push_back(static_cast<char>((key ? 0x80U : 0U) | seven));
  for (unsigned i = extra; i > 0; --i) {
    out.push_back(static_cast<char>(declared >> (8 * (i - 1)) & 0xFF));
  }
  if (key) out += *key;
  const std::size_t start = out.size();
  out += payload;
  if (key) {
    for (std::size_t i = 0; i < payload.size(); ++i) {
      out[start + i] = static_cast<char>(out[start + i] ^ (*key)[i % 4]);
    }
  }
  return out;
}

std::string text_frame(std::string_view payload) {
  return SentFrame{.opcode = kText, .payload = std::string(payload)}.bytes();
}

std::string binary_frame(std::string_view payload) {
  return SentFrame{.payload = std::string(payload)}.bytes();
}

std::string close_body(unsigned code, std::string_view reason) {
  std::string body;
  if (code != 0) {
    body.push_back(static_cast<char>(code >> 8));
    body.push_back(static_cast<char>(code & 0xFF));
    body += reason;
  }
  return body;
}

std::string close_frame(unsigned code, std::string_view reason) {
  return SentFrame{.opcode = kClose, .payload = close_body(code, reason)}.bytes();
}

std::ostream& operator<<(std::ostream& out, const Frame& frame) {
  return out << "{fin " << frame.fin << ", rsv " << frame.rsv << ", opcode " << frame.opcode
             << ", masked " << frame.masked << ", " << shown(frame.payload) << "}";
}

std::ostream& operator<<(std::ostream& out, const Close& close) {
  return out << "CLOSE " << close.code << " '" << close.reason << "'";
}

Close close_of(const Frame& frame) {
  if (frame.opcode != kClose || !frame.fin || frame.payload.size() == 1) {
    fail("no CLOSE but opcode " + std::to_string(frame.opcode) + ": " + shown(frame.payload));
  }
  if (frame.payload.empty()) return {};
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(frame.payload[i]); };
  return {static_cast<unsigned>(byte(0) << 8 | byte(1)), frame.payload.substr(2)};
}

// --- the handshake ----------------------------------------------------------------------------

std::optional<std::string> HttpAnswer::header(std::string_view name) const {
  return header_of(head, name);
}

std::optional<std::string> header_of(std::string_view head, std::string_view name) {
  std::string_view rest = head;
  for (auto end = rest.find("\r\n"); end != std::string_view::npos; end = rest.find("\r\n")) {
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 2);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !equal_ignoring_case(line.substr(0, colon), name)) {
      continue;
    }
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    return std::string(value);
  }
  return std::nullopt;
}

std::string upgrade_request(const UpgradeOptions& options) {
  std::string text = "GET " + options.path +
                     " HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
                     std::string(kUpgradeKey) + "\r\n";
  if (!options.subprotocol.empty()) {
    text += "Sec-WebSocket-Protocol: " + options.subprotocol + "\r\n";
  }
  for (const std::string& line : options.headers) text += line + "\r\n";
  return text + "\r\n";
}

// --- the peer ---------------------------------------------------------------------------------

RawPeer::RawPeer(std::uint16_t port, const char* host) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, host, &address.sin_addr) != 1) fail("no address: " + std::string(host));
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) fail_errno("socket");
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    ::close(fd_);
    if (error == ECONNREFUSED) throw RefusedError("connect: nobody listens");
    errno = error;
    fail_errno("connect");
  }
  ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK);
}

RawPeer RawPeer::adopt(int fd) noexcept {
  RawPeer peer;
  peer.fd_ = fd;
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return peer;
}

RawPeer::~RawPeer() {
  if (fd_ >= 0) ::close(fd_);
}

RawPeer::RawPeer(RawPeer&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      end_(other.end_),
      consumed_(other.consumed_),
      buffer_(std::move(other.buffer_)) {}

RawPeer& RawPeer::operator=(RawPeer&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(end_, other.end_);
  std::swap(consumed_, other.consumed_);
  std::swap(buffer_, other.buffer_);
  return *this;
}

std::size_t RawPeer::send_some(std::string_view bytes) {
  for (;;) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    fail_errno("send");
  }
}

void RawPeer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t sent = send_some(bytes);
    bytes.remove_prefix(sent);
    if (sent != 0) continue;
    wait_for(fd_, POLLIN | POLLOUT, "room to send");
    if (!absorb()) fail("the server went while it was sent to");
  }
}

void RawPeer::send_split(std::string_view bytes, std::size_t at) {
  send(bytes.substr(0, at));
  send(bytes.substr(at));
}

void RawPeer::half_close() { ::shutdown(fd_, SHUT_WR); }

void RawPeer::reset() {
  const linger hard{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  ::close(std::exchange(fd_, -1));
  end_ = End::reset;
}

void RawPeer::shrink_receive_buffer(int bytes) {
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

void RawPeer::wait_for_input() { wait_for(fd_, POLLIN, "input"); }

bool RawPeer::absorb() {
  char piece[65536];
  while (end_ == End::none) {
    const ssize_t count = ::recv(fd_, piece, sizeof piece, 0);
    if (count > 0) {
      if (consumed_ == buffer_.size()) {
        buffer_.clear();
        consumed_ = 0;
      }
      buffer_.append(piece, static_cast<std::size_t>(count));
      if (static_cast<std::size_t>(count) < sizeof piece) return true;
    } else if (count == 0) {
      end_ = End::fin;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return true;
    } else if (errno != EINTR) {
      end_ = End::reset;
    }
  }
  return false;
}

void RawPeer::need_more(std::string_view what) {
  const std::size_t before = buffer_.size() - consumed_;
  while (end_ == End::none) {
    wait_for(fd_, POLLIN, what);
    absorb();
    if (buffer_.size() - consumed_ != before) return;
  }
  fail("the connection ended before " + std::string(what) + "; unread: " + shown(pending()));
}

std::string RawPeer::take(std::size_t count) {
  std::string bytes = buffer_.substr(consumed_, count);
  consumed_ += count;
  if (consumed_ == buffer_.size()) {
    buffer_.clear();
    consumed_ = 0;
  } else if (consumed_ > (1U << 20U) && consumed_ > buffer_.size() / 2) {
    buffer_.erase(0, consumed_);
    consumed_ = 0;
  }
  return bytes;
}

std::string RawPeer::read(std::size_t count) {
  while (unread() < count) need_more(std::to_string(count) + " bytes");
  return take(count);
}

std::string RawPeer::read_until(std::string_view delimiter) {
  for (;;) {
    const auto at = pending().find(delimiter);
    if (at != std::string_view::npos) return take(at + delimiter.size());
    need_more("'" + std::string(delimiter) + "'");
  }
}

HttpAnswer RawPeer::read_http() {
  HttpAnswer answer;
  answer.head = read_until("\r\n\r\n");
  if (!answer.head.starts_with("HTTP/1.1 ")) fail("no HTTP/1.1: " + answer.head);
  answer.status = std::stoi(answer.head.substr(9, 3));
  if (const auto length = answer.header("Content-Length")) answer.body = read(std::stoul(*length));
  return answer;
}

std::optional<Frame> RawPeer::take_frame() {
  const std::string_view bytes = pending();
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (bytes.size() < 2) return std::nullopt;
  Frame frame;
  frame.fin = (byte(0) & 0x80U) != 0;
  frame.rsv = byte(0) >> 4U & 7U;
  frame.opcode = byte(0) & 15U;
  frame.masked = (byte(1) & 0x80U) != 0;
  std::uint64_t length = byte(1) & 0x7FU;
  frame.length_bytes = length == 126 ? 2 : length == 127 ? 8 : 0;
  const std::size_t header = 2 + frame.length_bytes + (frame.masked ? 4U : 0U);
  if (bytes.size() < header) return std::nullopt;
  if (frame.length_bytes != 0) length = 0;
  for (unsigned i = 0; i < frame.length_bytes; ++i) length = length << 8U | byte(2 + i);
  if (bytes.size() - header < length) return std::nullopt;
  const std::string head = take(header);
  frame.payload = take(length);
  if (frame.masked) {
    frame.key = head.substr(header - 4);
    for (std::size_t i = 0; i < frame.payload.size(); ++i) {
      frame.payload[i] = static_cast<char>(frame.payload[i] ^ frame.key[i % 4]);
    }
  }
  return frame;
}

Frame RawPeer::read_frame() {
  for (;;) {
    if (auto frame = take_frame()) return *std::move(frame);
    need_more("a frame");
  }
}

Close RawPeer::read_close() { return close_of(read_frame()); }

Close RawPeer::read_until_close() {
  for (;;) {
    const Frame frame = read_frame();
    if (frame.opcode == kClose) return close_of(frame);
  }
}

RawPeer::End RawPeer::read_end() {
  while (end_ == End::none) {
    if (unread() != 0) fail("no end but " + shown(pending()));
    wait_for(fd_, POLLIN, "the end of the connection");
    absorb();
  }
  if (unread() != 0) fail("no end but " + shown(pending()));
  return end_;
}

Close RawPeer::read_close_and_end() {
  Close close = read_close();
  read_end();
  return close;
}

std::vector<Frame> RawPeer::read_message_frames() {
  std::vector<Frame> frames;
  do {
    frames.push_back(read_frame());
    const bool first = frames.size() == 1;
    if (frames.back().opcode >= kClose || (frames.back().opcode == kContinuation) == first) {
      fail("no frame of a message: opcode " + std::to_string(frames.back().opcode) + ", " +
           shown(frames.back().payload));
    }
  } while (!frames.back().fin);
  return frames;
}

std::string RawPeer::read_message() {
  std::string payload;
  for (const Frame& frame : read_message_frames()) payload += frame.payload;
  return payload;
}

HttpAnswer RawPeer::request(const UpgradeOptions& options) {
  send(upgrade_request(options));
  return read_http();
}

HttpAnswer RawPeer::upgrade(const UpgradeOptions& options) {
  HttpAnswer answer = request(options);
  if (answer.status != 101 || answer.header("Sec-WebSocket-Accept") != kUpgradeAccept) {
    fail("no upgrade: " + answer.head + answer.body);
  }
  return answer;
}

RawPeer open_peer(std::uint16_t port, const UpgradeOptions& options) {
  RawPeer peer(port);
  peer.upgrade(options);
  return peer;
}

}  // namespace webshocket::test
