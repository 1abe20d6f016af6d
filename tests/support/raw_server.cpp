#include "tests/support/raw_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "protocol/handshake.hpp"

namespace webshocket::test {
namespace {

[[noreturn]] void fail_errno(const std::string& what) {
  throw PeerError(what + ": " + std::strerror(errno));
}

}  // namespace

std::string served(SentFrame frame) {
  frame.key.reset();
  return frame.bytes();
}

std::string served_text(std::string_view payload) {
  return served({.opcode = kText, .payload = std::string(payload)});
}

std::string served_close(unsigned code, std::string_view reason) {
  return served({.opcode = kClose, .payload = close_body(code, reason)});
}

std::string response(std::string_view call_id, std::string_view result) {
  return served_text(R"({"source":5,"rpc":{"type":"response","call_id":")" + std::string(call_id) +
                     R"(","response":)" + std::string(result) + R"(,"error":null}})");
}

std::string read_call(RawPeer& peer, std::string_view method) {
  const std::string named = R"("method":")" + std::string(method) + '"';
  const std::string_view key = R"("call_id":")";
  for (;;) {
    const std::string message = peer.read_message();
    if (message.find(named) == std::string::npos) continue;
    const std::size_t begin = message.find(key) + key.size();
    return message.substr(begin, message.find('"', begin) - begin);
  }
}

std::optional<std::string> ReceivedRequest::header(std::string_view name) const {
  return header_of(head, name);
}

std::string upgrade_reply(const ReceivedRequest& request, std::string_view subprotocol,
                          const std::vector<std::string>& headers) {
  std::string text =
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Accept: " +
      protocol::accept_key(request.header("Sec-WebSocket-Key").value_or("")) + "\r\n";
  if (!subprotocol.empty()) {
    text += "Sec-WebSocket-Protocol: " + std::string(subprotocol) + "\r\n";
  }
  for (const std::string& line : headers) text += line + "\r\n";
  return text + "\r\n";
}

RawServer::RawServer(const char* host, int backlog) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (::inet_pton(AF_INET, host, &address.sin_addr) != 1) {
    throw PeerError("no address: " + std::string(host));
  }
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) fail_errno("socket");
  socklen_t size = sizeof address;
  if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(fd_, backlog) != 0 ||
      ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    const int error = errno;
    stop();
    errno = error;
    fail_errno("listen");
  }
  port_ = ntohs(address.sin_port);
}

RawServer::~RawServer() { stop(); }

void RawServer::stop() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

std::string RawServer::uri() const { return "ws://127.0.0.1:" + std::to_string(port_); }

bool RawServer::is_idle() const {
  pollfd entry{fd_, POLLIN, 0};
  return ::poll(&entry, 1, 0) == 0;
}

RawPeer RawServer::accept() {
  pollfd entry{fd_, POLLIN, 0};
  constexpr int kMilliseconds = std::chrono::milliseconds(kGuard).count();
  if (::poll(&entry, 1, kMilliseconds) <= 0) throw PeerError("waited in vain for a connection");
  const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) fail_errno("accept");
  return RawPeer::adopt(fd);
}

std::pair<RawPeer, ReceivedRequest> RawServer::accept_request() {
  RawPeer peer = accept();
  ReceivedRequest request{peer.read_until("\r\n\r\n")};
  return {std::move(peer), std::move(request)};
}

RawPeer RawServer::accept_client() {
  auto [peer, request] = accept_request();
  const std::string offered = request.header("Sec-WebSocket-Protocol").value_or("");
  peer.send(upgrade_reply(request, std::string_view(offered).substr(0, offered.find(','))));
  return std::move(peer);
}

}  // namespace webshocket::test
