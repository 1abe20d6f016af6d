#include "shards/endpoint.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "protocol/frame_writer.hpp"
#include "protocol/whole_message.hpp"
#include "shards/tls_stream.hpp"

namespace webshocket::shards {
namespace {

constexpr std::size_t kLeastRead = 64 * 1024;  // of which TLS can make whole records
constexpr std::size_t kInflatedPerTurn = 256 * 1024;
/// So much in answer to one read is sent before the next socket is read, while it is in the cache.
constexpr std::size_t kAnsweredAtOnce = 8 * 1024;

}  // namespace

std::chrono::nanoseconds spread_heartbeat(std::chrono::nanoseconds interval,
                                          std::uint64_t seed) noexcept {
  constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15;  // seeds that are near end up far apart
  constexpr int kSteps = 1024;
  const auto step = static_cast<std::int64_t>(seed * kGolden >> 54);
  return interval - interval / 10 / kSteps * step;
}

Endpoint::Endpoint(Reactor& reactor, Socket socket, Phase phase)
    : phase_(phase), reactor_(reactor), socket_(std::move(socket)), heard_(reactor.now()) {
  reactor.has_come();
}

Endpoint::~Endpoint() { reactor_.has_gone(); }

// --- the socket -------------------------------------------------------------------------------

bool Endpoint::open_poll() noexcept {
  poll_.open(reactor_.loop(), socket_.fd());
  watch();
  return phase_ != Phase::doomed;
}

void Endpoint::watch() noexcept {
  std::uint32_t events = (reading_ ? Poll::kReadable : 0) | (wants_write_ ? Poll::kWritable : 0);
  // What it awaits goes on with a read or a write only: without either, readiness would not end.
  const bool goes_on = reading_ || has_output();
  if (tls_ != nullptr && tls_->awaits() != TlsStream::Awaits::usual && goes_on) {
    events = tls_->awaits() == TlsStream::Awaits::input ? Poll::kReadable : Poll::kWritable;
  }
  // Of an end that TLS has seen already the socket need not tell.
  if (reading_ && tls_ != nullptr && tls_->has_ended()) events |= Poll::kWritable;
  // While it is not read, a reset must be noticed all the same.
  if (!reading_ && !input_ended_) events |= Poll::kHungUp;
  if (events == 0) {
    poll_.stop();
  } else if (!poll_.watch<&Endpoint::on_ready>(*this, events)) {
    doom(errno);
  }
}

void Endpoint::set_reading(bool reading) noexcept {
  reading = reading && !is_paused_;
  if (reading_ == reading || phase_ == Phase::doomed) return;
  reading_ = reading;
  watch();
}

void Endpoint::pause_reading(std::chrono::nanoseconds delay) noexcept {
  if (phase_ != Phase::open) return;
  is_paused_ = true;
  set_reading(false);
  set_deadline(delay);
}

void Endpoint::end_pause() {
  is_paused_ = false;
  // The silence was ours.
  heard_ = reactor_.now();
  ping_sent_ = false;
  set_deadline(ping_interval());
  reactor_.mark_going(*this);  // to read, if nothing else forbids it
}

void Endpoint::take_events(std::uint32_t events) {
  if (phase_ == Phase::doomed) return;
  if (phase_ == Phase::connecting) return on_connecting();
  if ((events & Poll::kFailed) != 0) return on_reset();
  if (tls_ != nullptr && tls_->awaits() != TlsStream::Awaits::usual) {
    events |= Poll::kReadable | Poll::kWritable;  // it may go on now, whichever of the two it was
  }
  if ((events & Poll::kWritable) != 0) flush();
  if (!reading_ && (events & Poll::kHungUp) != 0 && phase_ != Phase::doomed) {
    // A FIN: what was sent before it is still to be read.
    input_ended_ = true;
    return watch();
  }
  // Exactly one read per turn, so that no socket starves the rest.
  const bool has_input = (events & Poll::kReadable) != 0 || (tls_ != nullptr && tls_->has_ended());
  if (has_input && reading_ && phase_ != Phase::doomed) read_once();
}

void Endpoint::on_reset() { doom(ECONNRESET); }
void Endpoint::on_send_failed(int error) { doom(error); }

bool Endpoint::read_once() {
  std::span<std::byte> buffer = reactor_.read_buffer();
  if (const std::size_t burst = rules().receive_burst; burst != 0) {
    buffer = buffer.first(std::clamp(burst, kLeastRead, buffer.size()));
  }
  const ssize_t count = receive(buffer);
  if (count == -EAGAIN) return false;
  if (count < 0) {
    doom(static_cast<int>(-count));
    return false;
  }
  if (count == 0) {
    on_end_of_input();
    return false;
  }
  count_received(static_cast<std::size_t>(count));
  if (!ping_sent_) heard_ = reactor_.now();
  const std::span<std::byte> input = buffer.first(static_cast<std::size_t>(count));
  if (speaks_frames()) {
    take_frames(input);
    if (reply_bytes() >= kAnsweredAtOnce && !wants_write_ && phase_ != Phase::doomed) flush();
  } else {
    take_http(input);
  }
  // What ends TLS came along with it: the socket need not tell of it again.
  if (tls_ != nullptr && tls_->has_ended() && reading_ && phase_ != Phase::doomed) {
    return read_once();
  }
  return true;
}

ssize_t Endpoint::receive(std::span<std::byte> into) noexcept {
  if (tls_ == nullptr) return socket_.receive(into);
  return through_tls([&] { return tls_->receive(into); });
}

ssize_t Endpoint::send(std::span<iovec> parts) noexcept {
  if (tls_ == nullptr) return socket_.send(parts);
  return through_tls([&] { return tls_->send(parts); });
}

template <class Call>
ssize_t Endpoint::through_tls(Call&& call) noexcept {
  const auto before = tls_->awaits();
  const ssize_t result = call();
  if (tls_->awaits() != before) watch();
  return result;
}

bool Endpoint::shake_hands() {
  const ssize_t result = tls_->handshake();
  if (result == 0) return true;
  if (result == -EAGAIN) {
    watch();
  } else {
    doom(static_cast<int>(-result));
  }
  return false;
}

void Endpoint::on_end_of_input() {
  if (phase_ == Phase::open) flush();
  doom();
}

void Endpoint::doom(int error) noexcept {
  if (phase_ == Phase::doomed) return;
  on_doomed(error);
  phase_ = Phase::doomed;
  discard_burst();
  reactor_.stop_timer(*this);
  reactor_.mark_doomed(*this);
}

void Endpoint::let_go() noexcept {
  if (held_back_ != nullptr) {
    reactor_.count_parked(held_back_->size(), 0);
    held_back_.reset();
  }
  if (reader_ != nullptr) {
    reactor_.take_back(std::move(reader_), rules().role);
  }
  if (outbox_ != nullptr) {
    reactor_.counters().deliveries_discarded.add(outbox_->tally().deliveries);
    reactor_.count_outbox(outbox_->own_bytes(), 0);
    reactor_.take_back(std::move(outbox_));
  }
  if (tls_ != nullptr) {
    tls_->end_output();
    tls_.reset();
  }
  poll_.stop();
  socket_.close();
  is_buried_ = true;
  free_if_done();
}

void Endpoint::free_if_done() noexcept {
  if (!is_buried_ || is_held()) return;
  if (!is_dirty && !awaits_end_of_turn && !awaits_securing) delete this;
}

// --- frames -----------------------------------------------------------------------------------

void Endpoint::begin_frames(const std::optional<protocol::DeflateTerms>& terms) {
  if (terms) {
    deflate_ =
        std::make_unique<protocol::PerMessageDeflate>(*terms, rules().role, rules().compression);
  }
  phase_ = Phase::open;
  if (outbox_ != nullptr) outbox_->begin_frames();
  heard_ = reactor_.now();
  set_deadline(ping_interval());
}

void Endpoint::take_frames(std::span<std::byte> input) {
  const EndpointRules& limits = rules();
  Taken taken;
  while (!input.empty() && phase_ != Phase::doomed) {
    if (phase_ == Phase::open && must_stop_reading()) {
      hold_back(input);
      break;
    }
    // What one read brings is little, but what comes out of it need not be.
    if (taken.inflated > kInflatedPerTurn) {
      hold_back(input);
      reactor_.mark_next_turn(*this);
      break;
    }
    if (reader_ == nullptr) {
      const auto whole = protocol::take_whole(input, limits.role, limits.max_message);
      if (whole) {
        if (phase_ == Phase::open) take_message(whole->opcode, whole->payload);
        continue;
      }
    }
    take_frame(input, limits, taken);
  }
  if (reader_ != nullptr) settle_reader(taken.has_message);
}

// Not inlined into what most messages run through.
[[gnu::noinline]] void Endpoint::take_frame(std::span<std::byte>& input,
                                            const EndpointRules& limits, Taken& taken) {
  if (reader_ == nullptr) reader_ = reactor_.lend_reader(*this, limits.role);
  const protocol::FrameEvent event =
      reader_->frames.read(input, limits.max_message, deflate_.get());
  if (event.compressed_size) taken.inflated += event.payload.size();
  if (event.kind == protocol::FrameEvent::Kind::message) taken.has_message = true;
  take_event(event);
}

void Endpoint::hold_back(std::span<const std::byte> input) {
  if (held_back_ == nullptr) held_back_ = std::make_unique<protocol::Buffer>();
  held_back_->append(input);
  reactor_.count_parked(0, input.size());
  set_reading(false);
  if (phase_ == Phase::open && !reactor_.inbound_fits()) close_for_inbound();
}

void Endpoint::take_held_back() {
  const std::unique_ptr<protocol::Buffer> input = std::exchange(held_back_, nullptr);
  set_reading(true);
  if (input == nullptr) return;
  reactor_.count_parked(input->size(), 0);
  take_frames(input->span());
}

void Endpoint::settle_reader(bool has_message) {
  if (phase_ == Phase::doomed) return;
  const std::size_t before = std::exchange(reader_->counted, reader_->frames.buffered());
  const bool fits = reactor_.take_inbound(before, reader_->counted);
  if (reader_->frames.idle()) return reactor_.take_back(std::move(reader_), rules().role);
  if (phase_ != Phase::open) return;
  if (!fits) return close_for_inbound();
  const std::chrono::nanoseconds timeout = rules().message_timeout;
  if (timeout.count() != 0 && (has_message || !reader_->armed())) {
    reactor_.start_timer(*reader_, timeout);
  }
}

void Endpoint::message_is_late() noexcept {
  if (phase_ != Phase::open) return;
  if (!reading_) {
    // The delay is ours.
    return guard([this] { reactor_.start_timer(*reader_, rules().message_timeout); });
  }
  reactor_.counters().messages_timed_out.add();
  close_in_message(CloseCode::policy_violation, "The message takes too long (message_timeout)");
}

void Endpoint::close_for_inbound() {
  count_protocol_error();
  close_in_message(CloseCode::try_again_later, reactor_.inbound_complaint());
}

void Endpoint::out_of_memory() noexcept {
  if (phase_ == Phase::doomed) return;
  reactor_.counters().allocation_failures.add();
  if (phase_ != Phase::open) return doom(ENOMEM);
  close_in_message(CloseCode::internal_error, "out of memory");
}

void Endpoint::close_in_message(CloseCode code, std::string_view reason) noexcept {
  // Between two messages there is nothing to throw away, and a handler may still be reading the one
  // before.
  if (reader_ != nullptr && !reader_->frames.idle()) {
    reactor_.take_inbound(std::exchange(reader_->counted, 0), 0);
    reader_->frames.reset();
  }
  begin_close(code, reason);
  finish_after_flush_ = true;
}

void LentReader::fire() noexcept { owner->message_is_late(); }

void Endpoint::take_event(const protocol::FrameEvent& event) {
  using Kind = protocol::FrameEvent::Kind;
  switch (event.kind) {
    case Kind::need_more:
      return;
    case Kind::message:
      if (event.compressed_size) {
        auto& counters = reactor_.counters();
        counters.messages_inflated.add();
        counters.inflate_bytes_in.add(*event.compressed_size);
        counters.inflate_bytes_out.add(event.payload.size());
      }
      if (phase_ == Phase::open) take_message(event.opcode, event.payload);
      return;
    case Kind::ping:
      if (phase_ == Phase::open) {
        write_control(
            [&](protocol::Buffer& out) { protocol::write_pong(out, event.payload, mask()); });
      }
      return;
    case Kind::pong:
      ping_sent_ = false;
      heard_ = reactor_.now();
      if (phase_ == Phase::open && !is_paused_) set_deadline(ping_interval());
      return;
    case Kind::close:
      return take_close(event.code, event.reason);
    case Kind::error:
      if (phase_ == Phase::open) return fail(event.code, event.reason);
      // While closing, what the peer still sends is nobody's concern; wait for it to hang up.
      finish_after_flush_ = true;
      if (!has_output()) finish();
      return;
  }
}

void Endpoint::take_close(CloseCode code, std::string_view reason) {
  close_received_ = true;
  finish_after_flush_ = true;
  if (!close_sent_) {
    begin_close(code, reason);
  } else if (!has_output()) {
    finish();
  }
}

// --- closing ----------------------------------------------------------------------------------

void Endpoint::begin_close(CloseCode code, std::string_view reason) noexcept {
  if (phase_ != Phase::open) return;
  close_sent_ = true;
  try {
    write_small([&](protocol::Buffer& out) { protocol::write_close(out, code, reason, mask()); });
  } catch (const std::bad_alloc&) {
    return doom(ENOMEM);
  }
  if (phase_ == Phase::doomed) return;
  phase_ = Phase::closing;
  on_closing(code, reason);
  if (held_back_ != nullptr) reactor_.mark_going(*this);  // for the peer's CLOSE behind it
  is_paused_ = false;
  set_reading(true);
  set_deadline(rules().close_timeout);
}

void Endpoint::fail(CloseCode code, std::string_view reason) {
  count_protocol_error();
  begin_close(code, reason);
  finish_after_flush_ = true;
}

// --- time -------------------------------------------------------------------------------------

void Endpoint::set_deadline(std::chrono::nanoseconds delay) noexcept {
  if (phase_ == Phase::doomed) return;
  if (delay <= std::chrono::nanoseconds(0)) return reactor_.stop_timer(*this);
  try {
    reactor_.start_timer(*this, delay);
  } catch (const std::bad_alloc&) {
    doom(ENOMEM);
  }
}

void Endpoint::fire() noexcept {
  guard([this] {
    if (phase_ == Phase::open) return is_paused_ ? end_pause() : check_heartbeat();
    on_late();
  });
}

void Endpoint::check_heartbeat() {
  const EndpointRules& limits = rules();
  const std::chrono::nanoseconds interval = ping_interval();
  if (!reading_) {
    // The silence is ours: it does not count.
    heard_ = reactor_.now();
    ping_sent_ = false;
    return set_deadline(interval);
  }
  const auto silence = reactor_.now() - heard_;
  if (ping_sent_) {
    count_unanswered_ping();
    std::array<char, 96> reason{};
    const int size =
        std::snprintf(reason.data(), reason.size(),
                      "peer has not replied to ping/heartbeat request within %.1f second(s)",
                      std::chrono::duration<double>(limits.ping_timeout).count());
    begin_close(CloseCode::going_away, {reason.data(), static_cast<std::size_t>(size)});
    return set_deadline(std::chrono::milliseconds(10));
  }
  if (silence < interval) return set_deadline(interval - silence);
  write_control([this](protocol::Buffer& out) { protocol::write_ping(out, {}, mask()); });
  if (limits.ping_timeout.count() == 0) {
    heard_ = reactor_.now();
    return set_deadline(interval);
  }
  ping_sent_ = true;
  heard_ = reactor_.now();
  set_deadline(limits.ping_timeout);
}

}  // namespace webshocket::shards
