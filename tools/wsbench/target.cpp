#include "target.hpp"

#include <netdb.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <random>
#include <variant>

#include "failure.hpp"
#include "protocol/handshake.hpp"
#include "protocol/uri.hpp"

namespace wsbench {
namespace {

namespace protocol = webshocket::protocol;

std::string draw_key() {
  std::random_device random;
  std::array<std::byte, 16> bytes;
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return protocol::encode_key(bytes);
}

}  // namespace

Target::Target(std::string_view uri) : key_(draw_key()), accept_(protocol::accept_key(key_)) {
  const auto parsed = protocol::parse_uri(uri);
  if (const auto* fault = std::get_if<std::string>(&parsed)) throw UsageFailure(*fault);
  const auto& parts = std::get<protocol::Uri>(parsed);
  if (parts.secure) {
    throw UsageFailure("wsbench measures ws:// only; wss:// is not supported");
  }
  host_ = parts.host_header();
  path_ = parts.target;

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int status =
      getaddrinfo(parts.host.c_str(), std::to_string(parts.port).c_str(), &hints, &found);
  if (status != 0) throw UsageFailure(parts.host + ": " + gai_strerror(status));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  std::memcpy(&address_, found->ai_addr, found->ai_addrlen);
  address_size_ = found->ai_addrlen;
}

std::string Target::request(std::string_view path, std::string_view subprotocol) const {
  std::string text = "GET " + std::string(path) + " HTTP/1.1\r\nHost: " + host_ +
                     "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
                     key_ + "\r\n";
  if (!subprotocol.empty()) {
    text += "Sec-WebSocket-Protocol: " + std::string(subprotocol) + "\r\n";
  }
  return text + "\r\n";
}

std::string Target::fault_of(std::string_view reply) const {
  const std::string_view status = reply.substr(0, reply.find("\r\n"));
  if (!status.starts_with("HTTP/1.1 101")) return "refused: " + std::string(status);
  if (reply.find(accept_) == std::string_view::npos) {
    return "the reply's Sec-WebSocket-Accept does not fit the request's key";
  }
  return {};
}

}  // namespace wsbench
