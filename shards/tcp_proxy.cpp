// A connection before it speaks for itself: what a proxy says in front of it.

#include <cerrno>
#include <cstddef>
#include <span>
#include <string>

#include "shards/shard.hpp"
#include "shards/tcp_connection.hpp"
#include "shards/tcp_handshake.hpp"

namespace webshocket::shards {

using Status = protocol::ProxyHeaderReader::Status;

void TcpConnection::await_proxy_header() noexcept {
  const protocol::Networks& trusted = shard().site().admission.trusted_proxies();
  if (!trusted.empty() && !trusted.contains(remote_)) {
    return reject_proxy("it is not in trusted_proxies");
  }
  phase_ = Phase::connecting;
  handshake_->proxy_header.emplace();
}

// The header is looked at in the socket, and only what belongs to it is taken: what follows is for
// whoever reads next.
void TcpConnection::on_connecting() noexcept {
  const std::span<std::byte> buffer = reactor_.read_buffer();
  const ssize_t count = socket_.receive(buffer, MSG_PEEK);
  if (count == -EAGAIN) return;
  if (count < 0) return doom(static_cast<int>(-count));
  protocol::ProxyHeaderReader& reader = *handshake_->proxy_header;
  // Whoever only looks whether somebody is there leaves without a word.
  if (count == 0) return reader.started() ? reject_proxy("its PROXY header is cut off") : doom();

  std::span<const std::byte> input = buffer.first(static_cast<std::size_t>(count));
  const Status status = reader.feed(input);
  if (status == Status::error) return reject_proxy(reader.fault());
  const std::size_t taken = static_cast<std::size_t>(count) - input.size();
  static_cast<void>(socket_.receive(buffer.first(taken)));
  count_received(taken);
  if (status == Status::incomplete) return;
  if (reader.source()) remote_ = *reader.source();
  handshake_->proxy_header.reset();
  phase_ = Phase::http;
}

void TcpConnection::reject_proxy(std::string_view why) noexcept {
  shard().counters().proxy_headers_rejected.add();
  shard().log(LogLevel::info,
              "the proxy at " + remote_.to_string() + " was hung up on: " + std::string(why));
  doom();
}

}  // namespace webshocket::shards
