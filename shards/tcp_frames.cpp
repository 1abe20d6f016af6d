// What an open connection receives.

#include <cstring>
#include <utility>

#include "api/access.hpp"
#include "api/dispatch.hpp"
#include "protocol/frame_writer.hpp"
#include "protocol/packet_codec.hpp"
#include "shards/shard.hpp"
#include "shards/tcp_connection.hpp"
#include "shards/tcp_handshake.hpp"

namespace webshocket::shards {

namespace detail = webshocket::detail;

void TcpConnection::take_frames(std::span<std::byte> input) noexcept {
  if (reader_ == nullptr) reader_ = shard_.lend_reader();
  while (!input.empty() && phase_ != Phase::doomed) {
    if (must_stop_reading()) {
      parked().unread.append(std::span<const std::byte>(input));
      shard_.count_parked(0, input.size());
      set_reading(false);
      break;
    }
    take_event(reader_->read(input, shard_.config().max_message));
  }
  settle_reader();
}

void TcpConnection::settle_reader() noexcept {
  if (reader_ == nullptr || phase_ == Phase::doomed) return;
  const std::size_t before = std::exchange(reader_bytes_, reader_->buffered());
  const bool fits = shard_.take_inbound(before, reader_bytes_);
  if (reader_->idle()) return shard_.take_back(std::move(reader_));
  if (!fits && phase_ == Phase::open) {
    shard_.take_inbound(std::exchange(reader_bytes_, 0), 0);
    reader_->reset();
    begin_close(CloseCode::try_again_later, "inbound_total_limit reached");
    finish_after_flush_ = true;  // what follows cannot be told apart any more
  }
}

void TcpConnection::take_event(const protocol::FrameEvent& event) noexcept {
  using Kind = protocol::FrameEvent::Kind;
  switch (event.kind) {
    case Kind::need_more:
      return;
    case Kind::message:
      if (phase_ == Phase::open) take_message(event.opcode, event.payload);
      return;
    case Kind::ping:
      if (phase_ == Phase::open) {
        write([&](protocol::Buffer& out) { protocol::write_pong(out, event.payload); });
      }
      return;
    case Kind::pong:
      ping_sent_ = false;
      heard_ = shard_.now();
      if (phase_ == Phase::open) set_deadline(shard_.config().ping_interval);
      return;
    case Kind::close:
      return take_close(event.code, event.reason);
    case Kind::error:
      if (phase_ == Phase::open) return fail(event.code, event.reason);
      // While closing, what the peer still sends is nobody's concern; wait for it to hang up.
      finish_after_flush_ = true;
      if (outbox_ == nullptr) finish();
      return;
  }
}

void TcpConnection::take_close(CloseCode code, std::string_view reason) noexcept {
  if (phase_ == Phase::open && parked_ != nullptr && !parked_->messages.empty()) {
    // Its turn comes after the messages that were sent before it.
    parked_->close = code;
    parked_->close_reason = reason;
    return set_reading(false);
  }
  close_received_ = true;
  finish_after_flush_ = true;
  if (!close_sent_) {
    begin_close(code, reason);
  } else if (outbox_ == nullptr) {
    finish();
  }
}

bool TcpConnection::must_wait() const noexcept {
  const Config& config = shard_.config();
  return event_in_flight() ||
         (config.rpc_task_limit != 0 && calls_in_flight() >= config.rpc_task_limit) ||
         (config.outbox_limit != 0 && outbox_bytes() > config.outbox_limit) ||
         shard_.at_call_limit();
}

bool TcpConnection::must_stop_reading() const noexcept {
  if (phase_ != Phase::open) return false;
  const Config& config = shard_.config();
  if (config.outbox_limit != 0 && outbox_bytes() > config.outbox_limit) return true;
  if (parked_ == nullptr) return false;
  return !parked_->unread.empty() || parked_->close.has_value() ||
         (config.packet_queue_size != 0 && parked_->messages.size() >= config.packet_queue_size) ||
         (config.packet_queue_bytes != 0 && parked_->bytes >= config.packet_queue_bytes);
}

void TcpConnection::take_message(Opcode opcode, std::span<const std::byte> message) noexcept {
  shard_.counters().messages_received.add();
  if (shard_.draining()) return;
  const bool waiting = parked_ != nullptr && !parked_->messages.empty();
  if (!waiting && !must_wait()) return handle_message(opcode, message);
  // An abort must not wait for the very calls that it is to end.
  if (form() != Form::raw && calls_in_flight() != 0) {
    const Packet packet =
        protocol::decode_packet(format(), message, shard_.decode_limits(), shard_.document());
    if (detail::is_abort(packet)) return detail::dispatch(handler(), *this, packet);
  }
  park(opcode, message);
}

void TcpConnection::handle_message(Opcode opcode, std::span<const std::byte> message) noexcept {
  if (form() == Form::raw) return detail::dispatch_raw(handler(), *this, message, opcode);
  const Packet packet =
      protocol::decode_packet(format(), message, shard_.decode_limits(), shard_.document());
  detail::dispatch(handler(), *this, packet);
}

TcpConnection::Parked& TcpConnection::parked() {
  if (parked_ == nullptr) parked_ = std::make_unique<Parked>();
  return *parked_;
}

void TcpConnection::park(Opcode opcode, std::span<const std::byte> message) {
  parked().messages.emplace_back(opcode, std::vector<std::byte>(message.begin(), message.end()));
  parked_->bytes += message.size();
  shard_.count_parked(0, message.size());
  if (shard_.at_call_limit()) shard_.wait_for_call_limit(*this);
}

void TcpConnection::drop_parked() noexcept {
  if (parked_ == nullptr) return;
  shard_.count_parked(parked_->bytes + parked_->unread.size(), 0);
  parked_.reset();
}

void TcpConnection::take_parked() noexcept {
  if (parked_ == nullptr) {
    if (!reading_ && !must_stop_reading()) set_reading(true);
    return;
  }
  while (parked_ != nullptr && !parked_->messages.empty() && phase_ == Phase::open) {
    if (must_wait()) {
      if (shard_.at_call_limit()) shard_.wait_for_call_limit(*this);
      return;
    }
    auto [opcode, message] = std::move(parked_->messages.front());
    parked_->messages.pop_front();
    parked_->bytes -= message.size();
    shard_.count_parked(message.size(), 0);
    handle_message(opcode, message);
  }
  if (phase_ == Phase::open && parked_ != nullptr && !must_wait()) take_unread();
}

void TcpConnection::take_unread() noexcept {
  if (parked_ == nullptr) return;
  const std::unique_ptr<Parked> parked = std::exchange(parked_, nullptr);
  shard_.count_parked(parked->bytes + parked->unread.size(), 0);
  set_reading(true);
  if (parked->close) take_close(*parked->close, parked->close_reason);
  take_frames(parked->unread.span());
}

}  // namespace webshocket::shards
