// A server's end before it speaks HTTP: the TLS handshake, if there is one.

#include <cstring>
#include <string>

#include "shards/shard.hpp"
#include "shards/tcp_connection.hpp"
#include "shards/tls_stream.hpp"

namespace webshocket::shards {

void TcpConnection::begin_securing() {
  if (shard().site().tls.of(listener_) == nullptr) begin_http();
}

void TcpConnection::on_connecting() {
  if (proxy_header_ != nullptr) return take_proxy_header();
  if (output_ended_) return read_to_the_end();
  // Until its turn comes there is nothing to wait for.
  poll_.stop();
  shard().mark_securing(*this, tls_ != nullptr);
}

void TcpConnection::go_on_securing() {
  if (phase_ == Phase::doomed) return free_if_done();
  // Not before the client has said something: silent sockets cost no more here than elsewhere.
  if (tls_ == nullptr) tls_ = TlsStream::accept(shard().site().tls.of(listener_), socket_.fd());
  const ssize_t result = tls_->handshake();
  if (result == -EAGAIN) return watch();
  if (result == -EPROTO) return refuse_securing();
  if (result < 0) {
    note_securing_failure(std::strerror(static_cast<int>(-result)));
    return doom();
  }
  shard().counters().tls_handshakes.add();
  if (tls_->is_resumed()) shard().counters().tls_resumptions.add();
  begin_http();
  watch();
  // What came along with the handshake's end, the socket does not tell of.
  if (tls_->holds_input()) read_once();
}

void TcpConnection::refuse_securing() {
  note_securing_failure(tls_->failure().complaint);
  tls_.reset();
  // The alert that says why must not be lost in a reset by input that nobody has read.
  output_ended_ = true;
  socket_.shut_down_output();
  set_deadline(shard().config().close_timeout);
  watch();
}

void TcpConnection::read_to_the_end() {
  const ssize_t count = socket_.receive(reactor_.read_buffer());
  if (count <= 0 && count != -EAGAIN) doom();
}

void TcpConnection::note_securing_failure(std::string_view why) const noexcept {
  shard().counters().tls_handshake_failures.add();
  shard().log_gate().say(shard(), webshocket::detail::LogTopic::tls, LogLevel::debug, [&] {
    return "no TLS with " + do_remote_address() + ": " + std::string(why);
  });
}

std::optional<ClientCertificate> TcpConnection::do_client_certificate() const {
  return tls_ == nullptr ? std::nullopt : tls_->client_certificate();
}

}  // namespace webshocket::shards
