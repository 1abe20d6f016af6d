// A connection while its server goes down.

#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstddef>

#include "shards/shard.hpp"
#include "shards/tcp_connection.hpp"
#include "shards/tcp_handshake.hpp"
#include "shards/tls_stream.hpp"

namespace webshocket::shards {
namespace {

/// Who has just been accepted may have asked already: it is on its way.
constexpr std::chrono::seconds kFirstWord{1};

}  // namespace

void TcpConnection::leave() noexcept {
  if (phase_ == Phase::open) {
    is_leaving_ = true;
    accepts_ = false;
    return shard().mark_going(*this);
  }
  if (has_said_nothing()) {
    const bool is_new = handshake_ == nullptr || handshake_->is_pending;
    return is_new ? set_deadline(kFirstWord) : doom();
  }
  if (phase_ != Phase::http) return;
  // Its request, whole or not, is answered. But it is the last one.
  handshake_->keep_alive = false;
  const bool was_answered = !handshake_->answering && !handshake_->reader.started();
  if (was_answered && has_output()) finish_after_flush_ = true;
}

// Also to who has just been accepted: what he asks may lie in the socket already.
bool TcpConnection::has_said_nothing() const noexcept {
  if (phase_ == Phase::connecting) {
    if (tls_ != nullptr || output_ended_) return false;
    if (proxy_header_ != nullptr && proxy_header_->started()) return false;
  } else if (phase_ == Phase::http) {
    if (handshake_->answering || handshake_->reader.started() || has_output()) return false;
    if (finish_after_flush_ || (tls_ != nullptr && tls_->holds_input())) return false;
  } else {
    return false;
  }
  std::array<std::byte, 1> first;
  return socket_.receive(first, MSG_PEEK) <= 0;
}

void TcpConnection::close_if_done() {
  if (phase_ != Phase::open || is_busy() || parked_ != nullptr || holds_back()) return;
  begin_close(CloseCode::going_away, shard().parting_words());
}

}  // namespace webshocket::shards
