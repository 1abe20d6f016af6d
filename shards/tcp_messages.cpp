// The messages of an open connection: handled, or parked until their turn.

#include <cstring>
#include <utility>

#include "api/access.hpp"
#include "api/dispatch.hpp"
#include "protocol/decode_budget.hpp"
#include "protocol/frame_writer.hpp"
#include "protocol/packet_codec.hpp"
#include "shards/shard.hpp"
#include "shards/tcp_connection.hpp"
#include "shards/tcp_handshake.hpp"

namespace webshocket::shards {

namespace detail = webshocket::detail;

void TcpConnection::take_close(CloseCode code, std::string_view reason) {
  if (phase_ == Phase::open && parked_ != nullptr && !parked_->messages.empty()) {
    // Its turn comes after the messages that were sent before it.
    parked_->close = code;
    parked_->close_reason = reason;
    return set_reading(false);
  }
  Endpoint::take_close(code, reason);
}

bool TcpConnection::is_outbox_full() const noexcept {
  const std::size_t limit = own_rule().limit;
  return limit != 0 && outbox_bytes() > limit;
}

bool TcpConnection::must_wait_for_calls() const noexcept {
  const std::size_t limit = shard().config().rpc_task_limit;
  return event_in_flight() || (limit != 0 && calls_in_flight() >= limit) || shard().at_call_limit();
}

bool TcpConnection::must_wait() const noexcept { return must_wait_for_calls() || is_outbox_full(); }

bool TcpConnection::must_stop_reading() const noexcept {
  if (is_outbox_full() || holds_back()) return true;
  return parked_ != nullptr && is_parking_full();
}

bool TcpConnection::is_parking_full() const noexcept {
  const Config& config = shard().config();
  return parked_->close.has_value() ||
         (config.packet_queue_size != 0 && parked_->messages.size() >= config.packet_queue_size) ||
         (config.packet_queue_bytes != 0 && parked_->bytes >= config.packet_queue_bytes);
}

void TcpConnection::take_message(Opcode opcode, std::span<const std::byte> message) {
  shard().counters().messages_received.add();
  if (accepts_ && shard().config().message_rate != 0 && !take_rate())
    return refuse_message(message);
  const bool waiting = parked_ != nullptr && !parked_->messages.empty();
  // With a full outbox it would not have been read.
  if (accepts_ && !waiting && !must_wait_for_calls()) return handle_message(opcode, message);
  park_unless_abort(opcode, message);
}

// Not inlined into what most messages run through.
[[gnu::noinline]] void TcpConnection::park_unless_abort(Opcode opcode,
                                                        std::span<const std::byte> message) {
  // An abort must not wait for the very calls that it is to end.
  if (format() != Format::raw && calls_in_flight() != 0) {
    const Packet packet =
        protocol::decode_packet(format(), message, shard().decode_limits(), shard().document());
    if (detail::is_abort(packet)) return detail::dispatch(handler(), *this, packet);
  }
  if (accepts_) park(opcode, message);
}

void TcpConnection::handle_message(Opcode opcode, std::span<const std::byte> message) {
  if (format() == Format::raw) return detail::dispatch_raw(handler(), *this, message, opcode);
  handle_packet(message);
}

void TcpConnection::handle_packet(std::span<const std::byte> message) {
  std::string_view why;
  const Packet packet =
      protocol::decode_packet(format(), message, shard().decode_limits(), shard().document(), &why);
  if (why == protocol::kTooDeep) shard().counters().packets_too_deep.add();
  if (why == protocol::kTooMany) shard().counters().packets_too_large.add();
  detail::dispatch(handler(), *this, packet);
}

bool TcpConnection::take_rate() {
  const Config& config = shard().config();
  return detail::ConnectionAccess::traffic(*this).messages.take(
      {config.message_rate, config.message_burst}, shard().now());
}

void TcpConnection::refuse_message(std::span<const std::byte> message) {
  shard().counters().messages_limited.add();
  if (format() != Format::raw) {
    const Packet packet =
        protocol::decode_packet(format(), message, shard().decode_limits(), shard().document());
    if (detail::refuse_call(handler(), *this, packet, RpcErrorCode::rate_limit_exceeded,
                            "Rate limit exceeded: message_rate")) {
      return;
    }
  }
  begin_close(CloseCode::try_again_later, "Rate limit exceeded: message_rate");
}

void TcpConnection::charge_received(std::size_t bytes) {
  const Config& config = shard().config();
  const detail::TokenRate rate{config.receive_rate, config.receive_burst};
  detail::TokenBucket& bucket = detail::ConnectionAccess::traffic(*this).received;
  bucket.charge(rate, bytes, shard().now());
  const auto wait = bucket.wait(rate, shard().now());
  if (wait.count() == 0) return;
  shard().counters().receives_paused.add();
  pause_reading(wait);
}

void TcpConnection::await_call_limit() {
  if (!shard().at_call_limit() || std::exchange(awaits_call_limit_, true)) return;
  shard().wait_for_call_limit(*this);
}

void TcpConnection::end_call_limit() noexcept {
  awaits_call_limit_ = false;
  shard().mark_going(*this);
}

TcpConnection::Parked& TcpConnection::parked() {
  if (parked_ == nullptr) parked_ = std::make_unique<Parked>();
  return *parked_;
}

void TcpConnection::park(Opcode opcode, std::span<const std::byte> message) {
  parked().messages.emplace_back(opcode, std::vector<std::byte>(message.begin(), message.end()));
  parked_->bytes += message.size();
  shard().count_parked(0, message.size());
  shard().counters().calls_parked.add();
  if (!shard().inbound_fits()) return close_for_inbound();
  await_call_limit();
}

void TcpConnection::drop_parked() noexcept {
  if (parked_ == nullptr) return;
  shard().count_parked(parked_->bytes, 0);
  parked_.reset();
}

void TcpConnection::take_parked() {
  while (parked_ != nullptr && !parked_->messages.empty() && phase_ == Phase::open) {
    if (must_wait()) {
      await_call_limit();
      return;
    }
    auto [opcode, message] = std::move(parked_->messages.front());
    parked_->messages.pop_front();
    parked_->bytes -= message.size();
    shard().count_parked(message.size(), 0);
    handle_message(opcode, message);
  }
  if (phase_ != Phase::open) return;
  if (parked_ == nullptr && !holds_back()) {
    if (!reading_ && !must_stop_reading()) set_reading(true);
  } else if (must_wait()) {
    await_call_limit();
  } else {
    take_what_waits();
  }
}

void TcpConnection::take_what_waits() {
  if (const std::unique_ptr<Parked> parked = std::exchange(parked_, nullptr)) {
    shard().count_parked(parked->bytes, 0);
    if (parked->close) {
      set_reading(true);
      take_close(*parked->close, parked->close_reason);
    }
  }
  // It had come in before the server began to go down.
  const bool accepted = std::exchange(accepts_, true);
  take_held_back();
  accepts_ = accepted;
}

}  // namespace webshocket::shards
