#include "shards/tcp_connection.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <utility>

#include <webshocket/error.hpp>

#include "api/access.hpp"
#include "api/calls.hpp"
#include "api/dispatch.hpp"
#include "api/glob.hpp"
#include "protocol/frame_writer.hpp"
#include "protocol/packet_codec.hpp"
#include "shards/shard.hpp"
#include "shards/tcp_handshake.hpp"

namespace webshocket::shards {

using webshocket::detail::HandlerAccess;

TcpConnection::TcpConnection(Shard& shard, Adoption adoption)
    : Connection(shard, adoption.uid),
      shard_(shard),
      socket_(std::move(adoption.socket)),
      listener_(static_cast<std::uint16_t>(adoption.listener)),
      remote_(adoption.remote),
      heard_(shard.now()),
      slot_(std::move(adoption.handshake)) {
  shard_.came(*this);
}

TcpConnection::~TcpConnection() { shard_.gone(*this); }

void TcpConnection::start(std::optional<Move> move) noexcept {
  if (poll_.open(shard_.loop(), socket_.fd()) != 0) {
    socket_.close();
    return doom();
  }
  poll_closed_ = false;
  watch();
  if (move) return finish_upgrade(std::move(*move));
  shard_.counters().handshakes_pending.add();
  handshake_ = std::make_unique<Handshake>(shard_.config());
  set_deadline(shard_.config().handshake_timeout);
}

// --- the socket -------------------------------------------------------------------------------

void TcpConnection::watch() noexcept {
  int events = (reading_ ? UV_READABLE : 0) | (wants_write_ ? UV_WRITABLE : 0);
  // While it is not read, a reset must be noticed all the same.
  if (!reading_ && !input_ended_) events |= UV_DISCONNECT;
  if (events == 0) {
    poll_.stop();
  } else {
    poll_.watch<&TcpConnection::on_ready>(*this, events);
  }
}

void TcpConnection::set_reading(bool reading) noexcept {
  if (reading_ == reading || phase_ == Phase::doomed) return;
  reading_ = reading;
  watch();
}

void TcpConnection::on_ready(int status, int events) noexcept {
  if (phase_ == Phase::doomed) return;
  if (status != 0) return doom();
  if ((events & UV_WRITABLE) != 0) flush();
  if (!reading_ && (events & UV_DISCONNECT) != 0 && phase_ != Phase::doomed) {
    // A FIN: what was sent before it is still to be read.
    input_ended_ = true;
    return watch();
  }
  // Exactly one read per turn, so that no socket starves the rest.
  if ((events & UV_READABLE) == 0 || !reading_ || phase_ == Phase::doomed) return;
  const std::span<std::byte> buffer = shard_.read_buffer();
  const ssize_t count = socket_.receive(buffer);
  if (count == -EAGAIN) return;
  if (count < 0) return doom();
  if (count == 0) return on_end_of_input();
  shard_.counters().bytes_received.add(static_cast<std::uint64_t>(count));
  if (!ping_sent_) heard_ = shard_.now();
  const std::span<std::byte> input = buffer.first(static_cast<std::size_t>(count));
  switch (phase_) {
    case Phase::http:
      return take_http(input);
    case Phase::open:
    case Phase::closing:
      return take_frames(input);
    case Phase::deciding:  // not read then
    case Phase::doomed:
      return;
  }
}

void TcpConnection::on_end_of_input() noexcept {
  if (phase_ == Phase::open || phase_ == Phase::http) flush();
  if (phase_ == Phase::http && (handshake_->answering || outbox_ != nullptr)) {
    // It has asked all its questions, and still waits for answers.
    handshake_->at_end = true;
    finish_after_flush_ = !handshake_->answering;
    return set_reading(false);
  }
  doom();
}

void TcpConnection::doom() noexcept {
  if (phase_ == Phase::doomed) return;
  if (phase_ == Phase::http || phase_ == Phase::deciding) {
    if (handshake_ != nullptr) shard_.counters().handshakes_pending.subtract();
  }
  phase_ = Phase::doomed;
  set_state(ConnectionState::disconnected);
  if (!poll_closed_) poll_.stop();
  shard_.mark_doomed(*this);
}

void TcpConnection::bury() noexcept {
  shard_.stop_timer(*this);
  leave_channels();
  drop_parked();
  if (reader_ != nullptr) {
    shard_.take_inbound(std::exchange(reader_bytes_, 0), 0);
    shard_.take_back(std::move(reader_));
  }
  if (outbox_ != nullptr) {
    shard_.count_outbox(outbox_->own_bytes(), 0);
    shard_.take_back(std::move(outbox_));
  }
  if (std::exchange(is_connected_, false)) {
    webshocket::detail::dispatch_disconnect(handler(), *this);
    shard_.leave(*this);
  } else {
    shard_.calls().cancel_all(*this);  // an awaitable on_upgrade
  }
  slot_.release();
  is_buried_ = true;
  if (poll_closed_) return free_if_done();
  close_poll();
  socket_.close();
}

void TcpConnection::close_poll() noexcept {
  if (poll_closed_ || std::exchange(poll_closing_, true)) return;
  poll_.close<&TcpConnection::on_closed>(*this);
}

void TcpConnection::on_closed() noexcept {
  poll_closed_ = true;
  free_if_done();
}

void TcpConnection::do_release() noexcept {
  --holds_;
  free_if_done();
}

void TcpConnection::free_if_done() noexcept {
  if (is_buried_ && poll_closed_ && holds_ == 0 && !is_dirty && !awaits_end_of_turn) delete this;
}

// --- output -----------------------------------------------------------------------------------

Outbox& TcpConnection::outbox() {
  if (outbox_ == nullptr) outbox_ = shard_.lend_outbox();
  return *outbox_;
}

void TcpConnection::has_written(std::size_t own_bytes_before) noexcept {
  shard_.count_outbox(own_bytes_before, outbox_->own_bytes());
  shard_.mark_dirty(*this);
}

bool TcpConnection::admit(std::size_t size) noexcept {
  const std::size_t limit = shard_.config().outbox_limit;
  if (limit == 0 || outbox_ == nullptr || outbox_->empty()) return true;
  if (outbox_->bytes() + size <= limit) return true;
  // The burst of one turn is no sign of a slow reader: let the socket take what it can first.
  flush();
  if (phase_ != Phase::open) return false;
  if (outbox_ == nullptr || outbox_->empty() || outbox_->bytes() + size <= limit) return true;
  shard_.counters().slow_consumers.add();
  close_slow("outbox_limit reached");
  return false;
}

void TcpConnection::close_slow(std::string_view reason) noexcept {
  if (outbox_ != nullptr) {
    const std::size_t own = outbox_->own_bytes();
    outbox_->drop_unsent();
    shard_.count_outbox(own, outbox_->own_bytes());
  }
  begin_close(CloseCode::try_again_later, reason);
}

bool TcpConnection::deliver(const FrameRef& frame) noexcept {
  if (phase_ != Phase::open || !admit(frame.bytes().size())) return false;
  outbox().push(frame);
  shard_.counters().messages_sent.add();
  shard_.mark_dirty(*this);
  return true;
}

SendStatus TcpConnection::do_send(const Content& content, std::size_t fragment_size) {
  if (phase_ != Phase::open) return SendStatus::dropped;
  protocol::Buffer& scratch = shard_.scratch();
  const auto opcode = encode(PacketSource::custom, std::nullopt, content, form(), scratch);
  if (!opcode) {
    throw PacketError("the value cannot be written in the connection's format, " +
                      std::string(to_string(format())));
  }
  if (fragment_size == 0) fragment_size = shard_.config().fragment_size;
  if (!admit(protocol::framed_size(scratch.size(), fragment_size))) return SendStatus::dropped;
  write([&](protocol::Buffer& out) {
    protocol::write_message(out, *opcode, scratch.span(), fragment_size);
  });
  shard_.counters().messages_sent.add();
  return do_writable() ? SendStatus::ok : SendStatus::congested;
}

bool TcpConnection::do_respond(std::string_view call_id, Payload response,
                               std::optional<RpcErrorCode> error, bool is_stream, bool is_end) {
  if (phase_ != Phase::open) return true;
  protocol::Buffer& scratch = shard_.scratch();
  if (!protocol::encode_response(format(), call_id, response, error, is_stream, is_end, scratch)) {
    return false;
  }
  write([&](protocol::Buffer& out) {
    protocol::write_message(out, opcode_of(form()), scratch.span(), shard_.config().fragment_size);
  });
  shard_.counters().messages_sent.add();
  return true;
}

bool TcpConnection::do_writable() const noexcept {
  const std::size_t mark = shard_.config().outbox_low_mark;
  return phase_ != Phase::open || mark == 0 || outbox_ == nullptr || outbox_->bytes() < mark;
}

void TcpConnection::flush_turn() noexcept {
  is_dirty = false;
  if (phase_ == Phase::doomed) return free_if_done();
  flush();
}

void TcpConnection::flush() noexcept {
  if (outbox_ == nullptr) return;
  const std::size_t own = outbox_->own_bytes();
  while (!outbox_->empty()) {
    const std::span<iovec> parts(shard_.parts(), shard_.part_count());
    const std::size_t count = outbox_->gather(parts);
    std::size_t offered = 0;
    for (const iovec& part : parts.first(count)) offered += part.iov_len;
    const ssize_t sent = socket_.send(parts.first(count));
    if (sent == -EAGAIN) break;
    if (sent < 0) {
      shard_.count_outbox(own, outbox_->own_bytes());
      return doom();
    }
    shard_.counters().bytes_sent.add(static_cast<std::uint64_t>(sent));
    outbox_->consume(static_cast<std::size_t>(sent));
    if (static_cast<std::size_t>(sent) < offered) break;
  }
  shard_.count_outbox(own, outbox_->own_bytes());
  const bool wants_write = !outbox_->empty();
  if (!wants_write) shard_.take_back(std::move(outbox_));
  if (wants_write != wants_write_) {
    wants_write_ = wants_write;
    watch();
  }
  after_flush();
}

void TcpConnection::after_flush() noexcept {
  if (finish_after_flush_ && outbox_ == nullptr) return finish();
  if (phase_ != Phase::open || !do_writable()) return;
  // Streams that waited for room, calls that waited for replies to leave.
  if (calls_in_flight() != 0 || parked_ != nullptr || !reading_) shard_.mark_going(*this);
}

void TcpConnection::finish() noexcept {
  if (close_received_ || (phase_ == Phase::http && handshake_->at_end)) return doom();
  // What we said last must not be lost in a reset by input that we have not read: half-close, and
  // read on until the peer has closed too, or the deadline is there.
  if (!std::exchange(output_ended_, true)) socket_.shut_down_output();
}

void TcpConnection::go_on() noexcept {
  awaits_end_of_turn = false;
  if (phase_ == Phase::doomed) return free_if_done();
  if (phase_ == Phase::closing) return take_unread();
  if (phase_ != Phase::open) return;
  if (shard_.draining() && !is_busy()) return begin_close(CloseCode::going_away, {});
  if (do_writable()) shard_.calls().outbox_drained(*this);
  take_parked();
}

// --- closing ----------------------------------------------------------------------------------

void TcpConnection::begin_close(CloseCode code, std::string_view reason) noexcept {
  if (phase_ != Phase::open) return;
  phase_ = Phase::closing;
  set_state(ConnectionState::closed);
  close_sent_ = true;
  write([&](protocol::Buffer& out) { protocol::write_close(out, code, reason); });
  leave_channels();
  HandlerAccess::roster(handler()).remove(*this);
  if (parked_ != nullptr) shard_.mark_going(*this);  // for the peer's CLOSE behind what was parked
  set_reading(true);
  set_deadline(shard_.config().close_timeout);
}

void TcpConnection::fail(CloseCode code, std::string_view reason) noexcept {
  shard_.counters().protocol_errors.add();
  begin_close(code, reason);
  finish_after_flush_ = true;
}

void TcpConnection::do_unblocked() noexcept {
  if (phase_ == Phase::open) shard_.mark_going(*this);
}

// --- channels ---------------------------------------------------------------------------------

bool TcpConnection::do_subscribe(std::span<const std::string_view> names) {
  const Config& config = shard_.config();
  Channels& channels = shard_.subscriptions();
  std::size_t added = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (config.max_channel_name != 0 && names[i].size() > config.max_channel_name) return false;
    const bool repeated = std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i),
                                    names[i]) != names.begin() + static_cast<std::ptrdiff_t>(i);
    if (!repeated && !channels.subscribed(*this, names[i])) ++added;
  }
  const std::size_t limit = config.max_subscribed_channels;
  if (limit != 0 && subscription_count() + added > limit) return false;
  for (const std::string_view name : names) {
    if (channels.subscribe(*this, name)) {
      shard_.census().raise(shard_.shard(), bucket_of(name), form());
    }
  }
  return true;
}

void TcpConnection::do_unsubscribe(std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    if (shard_.subscriptions().unsubscribe(*this, name)) {
      shard_.census().lower(shard_.shard(), bucket_of(name), form());
    }
  }
}

std::vector<std::string> TcpConnection::do_subscriptions() const {
  std::vector<std::string> list;
  list.reserve(subscription_count());
  for_each_subscription([&](std::string_view name) { list.emplace_back(name); });
  return list;
}

void TcpConnection::leave_channels() noexcept {
  if (subscription_count() == 0) return;
  for_each_subscription([&](std::string_view name) {
    shard_.census().lower(shard_.shard(), bucket_of(name), form());
  });
  shard_.subscriptions().remove(*this);
}

Census::Bucket TcpConnection::bucket_of(std::string_view name) const noexcept {
  return is_pattern(name) ? Census::kPatterns : shard_.census().bucket_of(name);
}

// --- time -------------------------------------------------------------------------------------

void TcpConnection::set_deadline(std::chrono::nanoseconds delay) noexcept {
  if (delay <= std::chrono::nanoseconds(0)) return shard_.stop_timer(*this);
  shard_.start_timer(*this, delay);
}

void TcpConnection::fire() noexcept {
  if (phase_ == Phase::open) return check_heartbeat();
  if (phase_ == Phase::http && outbox_bytes() < handshake_->waiting) {
    // A large answer takes its time, as long as it gets on.
    handshake_->waiting = outbox_bytes();
    if (handshake_->waiting != 0) return set_deadline(http_timeout());
  }
  doom();
}

void TcpConnection::check_heartbeat() noexcept {
  const Config& config = shard_.config();
  if (!reading_) {
    // The silence is ours: it does not count.
    heard_ = shard_.now();
    ping_sent_ = false;
    return set_deadline(config.ping_interval);
  }
  const auto silence = shard_.now() - heard_;
  if (ping_sent_) {
    shard_.counters().pings_unanswered.add();
    std::array<char, 96> reason{};
    const int size =
        std::snprintf(reason.data(), reason.size(),
                      "peer has not replied to ping/heartbeat request within %.1f second(s)",
                      std::chrono::duration<double>(config.ping_timeout).count());
    begin_close(CloseCode::going_away, {reason.data(), static_cast<std::size_t>(size)});
    return set_deadline(std::chrono::milliseconds(10));
  }
  if (silence < config.ping_interval) return set_deadline(config.ping_interval - silence);
  write([](protocol::Buffer& out) { protocol::write_ping(out, {}); });
  if (config.ping_timeout.count() == 0) {
    heard_ = shard_.now();
    return set_deadline(config.ping_interval);
  }
  ping_sent_ = true;
  heard_ = shard_.now();
  set_deadline(config.ping_timeout);
}

}  // namespace webshocket::shards
