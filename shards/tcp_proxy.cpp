// A connection before it speaks for itself: what a proxy says in front of it.

#include <cerrno>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "shards/shard.hpp"
#include "shards/tcp_connection.hpp"

namespace webshocket::shards {

using Status = protocol::ProxyHeaderReader::Status;

void TcpConnection::await_proxy_header() {
  proxy_header_ = std::make_unique<protocol::ProxyHeaderReader>();
  const protocol::Networks& trusted = shard().site().admission.trusted_proxies();
  if (!trusted.empty() && !trusted.contains(remote_)) reject_proxy("it is not in trusted_proxies");
}

// The header is looked at in the socket, and only what belongs to it is taken: what follows is for
// whoever reads next.
void TcpConnection::take_proxy_header() {
  const std::span<std::byte> buffer = reactor_.read_buffer();
  const ssize_t count = socket_.receive(buffer, MSG_PEEK);
  if (count == -EAGAIN) return;
  if (count < 0) return doom(static_cast<int>(-count));
  // Whoever only looks whether somebody is there leaves without a word.
  if (count == 0) {
    return proxy_header_->started() ? reject_proxy("its PROXY header is cut off") : doom();
  }

  std::span<const std::byte> input = buffer.first(static_cast<std::size_t>(count));
  const Status status = proxy_header_->feed(input);
  if (status == Status::error) return reject_proxy(proxy_header_->fault());
  const std::size_t taken = static_cast<std::size_t>(count) - input.size();
  static_cast<void>(socket_.receive(buffer.first(taken)));
  count_received(taken);
  if (status == Status::incomplete) return;
  if (const auto source = proxy_header_->source()) {
    if (name_client(*source) != IpTable::Verdict::fits) return doom();
  } else {
    is_unnamed_ = true;
  }
  proxy_header_.reset();
  begin_securing();
}

void TcpConnection::reject_proxy(std::string_view why) {
  shard().counters().proxy_headers_rejected.add();
  shard().log_gate().say(shard(), webshocket::detail::LogTopic::proxy, LogLevel::info, [&] {
    return "the proxy at " + remote_.to_string() + " was hung up on: " + std::string(why);
  });
  doom();
}

}  // namespace webshocket::shards
