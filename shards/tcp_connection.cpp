#include "shards/tcp_connection.hpp"

#include <algorithm>
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
#include "shards/tls_stream.hpp"

namespace webshocket::shards {

using webshocket::detail::ConnectionAccess;
using webshocket::detail::HandlerAccess;

TcpConnection::TcpConnection(Shard& shard, Adoption adoption)
    : Connection(shard, adoption.uid),
      Endpoint(shard, std::move(adoption.socket), Phase::http),
      listener_(static_cast<std::uint16_t>(adoption.listener)),
      remote_(adoption.remote),
      slot_(std::move(adoption.handshake)),
      place_(std::move(adoption.place)) {
  tls_ = std::move(adoption.tls);
  shard.came(*this);
}

TcpConnection::~TcpConnection() { shard().gone(*this); }

void TcpConnection::start(std::unique_ptr<Move> move) noexcept {
  if (!open_poll()) return;
  guard([&] {
    if (move) return finish_upgrade(std::move(*move));
    phase_ = Phase::connecting;  // it counts as pending from here on, whatever fails: `on_doomed`
    shard().counters().handshakes_pending.add();
    set_deadline(shard().config().handshake_timeout);
    if (phase_ == Phase::doomed) return;
    if (shard().site().listeners[listener_].proxy_protocol) return await_proxy_header();
    begin_securing();
  });
}

Shard& TcpConnection::shard() const noexcept { return static_cast<Shard&>(reactor_); }

const EndpointRules& TcpConnection::rules() const noexcept { return shard().rules(); }

// --- the socket -------------------------------------------------------------------------------

void TcpConnection::on_end_of_input() {
  if (phase_ == Phase::open || phase_ == Phase::http) flush();
  if (phase_ == Phase::http && (handshake_->answering || has_output())) {
    // It has asked all its questions, and still waits for answers.
    handshake_->at_end = true;
    finish_after_flush_ = !handshake_->answering;
    return set_reading(false);
  }
  doom();
}

void TcpConnection::on_doomed(int) noexcept {
  if (handshake_ != nullptr) {
    end_pending();
  } else if (phase_ == Phase::connecting) {
    shard().counters().handshakes_pending.subtract();
  }
  set_state(ConnectionState::disconnected);
}

void TcpConnection::bury() noexcept {
  shard().forget(*this);
  leave_channels();
  drop_parked();
  if (std::exchange(is_connected_, false)) {
    webshocket::detail::dispatch_disconnect(handler(), *this);
    shard().leave(*this);
  } else {
    shard().calls().cancel_all(*this);  // an awaitable on_upgrade
  }
  slot_.release();
  place_.release();
  let_go();
}

void TcpConnection::do_release() noexcept {
  --holds_;
  free_if_done();
}

// --- output -----------------------------------------------------------------------------------

const OutboxRule& TcpConnection::own_rule() const noexcept {
  if (has_own_rule_) {
    if (const auto* own = ConnectionAccess::find_outbox(*this)) return own->rule;
  }
  return shard().outbox_rule();
}

OutboxRule TcpConnection::rule_for(const Run& run) const noexcept {
  return shard().outbox_rules().combine(run.handling().rule, own_rule());
}

inline bool TcpConnection::fits(std::size_t size, std::size_t limit) const noexcept {
  const std::size_t waiting = outbox_bytes();
  return waiting == 0 || waiting + size <= limit || limit == 0;
}

bool TcpConnection::make_room(std::size_t size, const OutboxRule& rule) {
  // The burst of one turn is no sign of a slow reader: let the socket take what it can first.
  if (!wants_write_) flush();
  if (phase_ != Phase::open) return false;
  if (fits(size, rule.limit)) return true;
  switch (rule.policy) {
    case OutboxPolicy::disconnect:
      shard().counters().slow_consumers.add();
      close_slow("outbox_limit reached");
      return false;
    case OutboxPolicy::drop_new:
      return false;
    case OutboxPolicy::drop_old:
    case OutboxPolicy::conflate:
      drop_oldest(outbox_bytes() + size - rule.limit);
      return fits(size, rule.limit);
  }
  return false;
}

void TcpConnection::drop_oldest(std::size_t bytes) noexcept {
  guard([this, bytes] {
    const std::size_t own = outbox().own_bytes();
    const Tally dropped = outbox().drop_oldest(bytes, [this](const Run& run) {
      const OutboxPolicy policy = rule_for(run).policy;
      return run.handling().has_messages() &&
             (policy == OutboxPolicy::drop_old || policy == OutboxPolicy::conflate);
    });
    shard().count_outbox(own, outbox().own_bytes());
    shard().counters().dropped_old.add(dropped.deliveries);
    note_dropped(&Dropped::by_drop_old, dropped);
  });
}

void TcpConnection::note_dropped(std::uint64_t Dropped::*policy, const Tally& dropped) noexcept {
  if (dropped.messages() == 0) return;
  shard().counters().sends_dropped.add(dropped.sends);
  note_dropped(policy, dropped.messages(), dropped.bytes);
}

void TcpConnection::note_dropped(std::uint64_t Dropped::*policy, std::uint64_t messages,
                                 std::size_t bytes) noexcept {
  guard([&] { ConnectionAccess::outbox(*this).add(policy, messages, bytes); });
  if (phase_ != Phase::open) return;
  has_dropped_ = was_congested_ = true;
  shard().mark_going(*this);
}

void TcpConnection::close_slow(std::string_view reason) {
  const Tally dropped = drop_unsent();
  shard().counters().dropped_disconnect.add(dropped.deliveries);
  shard().counters().sends_dropped.add(dropped.sends);
  begin_close(CloseCode::try_again_later, reason);
}

std::uint32_t TcpConnection::limit_of_burst(std::size_t end, std::size_t waiting,
                                            const OutboxRule& rule) noexcept {
  const std::size_t room =
      rule.limit == 0 ? Runs::kMostInRun : rule.limit - std::min(rule.limit, waiting);
  return static_cast<std::uint32_t>(end + std::min(room, Runs::kMostInRun));
}

Given TcpConnection::deliver(const Piece& piece) {
  if (phase_ != Phase::open) return Given::gone;
  const OutboxRule rule = rule_for(*piece.run);
  if (wants_write_ && rule.policy == OutboxPolicy::conflate && piece.run->has_keys()) {
    return deliver_newest(piece, rule);
  }
  if (!admit(piece.size(), rule)) return refuse(piece, rule);
  if (piece.is_deflated) deflate_->forget();
  shard().mark_dirty(*this);
  if (phase_ != Phase::open) return Given::gone;
  if (wants_write_ && !do_writable()) was_congested_ = true;
  if (piece.end > Runs::kMostInRun) {
    outbox().push(piece);
    return Given::taken;
  }
  settle_burst();
  begin_burst(piece, limit_of_burst(piece.end, outbox_bytes() + piece.size(), rule));
  return Given::taken;
}

Given TcpConnection::deliver_newest(const Piece& piece, const OutboxRule& rule) {
  if (piece.is_deflated) deflate_->forget();
  const Tally older = outbox().push_newest(piece);
  shard().counters().dropped_conflated.add(older.deliveries);
  note_dropped(&Dropped::by_conflate, older);
  if (rule.limit != 0 && outbox_bytes() > std::max(rule.limit, piece.size())) {
    drop_oldest(outbox_bytes() - rule.limit);
  }
  return Given::taken;
}

Given TcpConnection::refuse(const Piece& piece, const OutboxRule& rule) {
  const bool closes = rule.policy == OutboxPolicy::disconnect;
  if (!closes && phase_ != Phase::open) return Given::gone;
  if (closes) {
    shard().counters().dropped_disconnect.add();
  } else {
    shard().counters().dropped_new.add();
    note_dropped(&Dropped::by_drop_new, 1, piece.size());
  }
  return Given::dropped;
}

template <class Write>
void TcpConnection::push_send(Write&& frames) {
  outbox().push(shard().runs().write({.kind = Handling::Kind::send}, frames));
  shard().mark_dirty(*this);
}

template <class Write>
void TcpConnection::write_send(Write&& frames, const OutboxRule& rule) {
  may_drop(rule) ? push_send(frames) : write_small(frames);
}

Given TcpConnection::deliver(const std::shared_ptr<const Message>& message, Form form) {
  const std::span<const std::byte> frames = message->frames(form);
  if (phase_ != Phase::open) return Given::gone;
  const OutboxRule& rule = own_rule();
  if (!admit(frames.size(), rule)) return refuse_send(frames.size(), rule);
  if (webshocket::detail::is_deflate(form)) deflate_->forget();
  constexpr Handling kSend{.kind = Handling::Kind::send};
  if (frames.size() > Runs::kMostCopied) {
    outbox().push(shard().runs().refer(message, form, kSend));
    shard().mark_dirty(*this);
  } else {
    write_send([&](protocol::Buffer& out) { out.append(frames); }, rule);
  }
  return Given::taken;
}

Given TcpConnection::refuse_send(std::size_t size, const OutboxRule& rule) {
  shard().counters().sends_dropped.add();
  if (rule.policy == OutboxPolicy::disconnect || phase_ != Phase::open) return Given::dropped;
  note_dropped(&Dropped::by_drop_new, 1, size);
  return Given::dropped;
}

SendStatus TcpConnection::do_send(const Content& content, std::size_t fragment_size) {
  if (phase_ != Phase::open) return SendStatus::dropped;
  if (content.packet == nullptr && format() == Format::raw) {
    if (const auto opcode = protocol::raw_as_it_lies(content.data)) {
      return send_message(*opcode, content.data.bytes(), content.compress, fragment_size);
    }
  }
  protocol::Buffer& scratch = shard().scratch();
  const auto opcode = encode(PacketSource::custom, std::nullopt, content, form(), scratch);
  if (!opcode) {
    throw PacketError("the value cannot be written in the connection's format, " +
                      std::string(to_string(format())));
  }
  return send_message(*opcode, scratch.span(), content.compress, fragment_size);
}

SendStatus TcpConnection::send_message(Opcode opcode, std::span<const std::byte> message,
                                       Compress compress, std::size_t fragment_size) {
  if (fragment_size == 0) fragment_size = shard().config().fragment_size;
  const Body body = body_of(message, compress);
  const OutboxRule& rule = own_rule();
  const std::size_t size = protocol::framed_size(body.bytes.size(), fragment_size);
  if (!admit(size, rule)) {
    if (body.compressed) deflate_->forget();
    refuse_send(size, rule);
    return SendStatus::dropped;
  }
  if (may_drop(rule) && !body.compressed) {
    push_send([&](protocol::Buffer& out) {
      protocol::write_message(out, opcode, body.bytes, fragment_size, {}, false);
    });
  } else {
    write_message(opcode, body, fragment_size);
  }
  shard().counters().messages_sent.add();
  if (do_writable()) return SendStatus::ok;
  was_congested_ = true;
  return SendStatus::congested;
}

bool TcpConnection::do_respond(std::string_view call_id, Payload response,
                               std::optional<RpcErrorCode> error, bool is_stream, bool is_end) {
  if (phase_ != Phase::open) return true;
  protocol::Buffer& scratch = shard().scratch();
  if (!protocol::encode_response(format(), call_id, response, error, is_stream, is_end, scratch)) {
    return false;
  }
  const Body body = body_of(scratch.span(), Compress::automatic);
  write_message(opcode_of(form()), body, shard().config().fragment_size);
  shard().counters().messages_sent.add();
  return true;
}

bool TcpConnection::do_writable() const noexcept {
  const std::size_t mark = shard().config().outbox_low_mark;
  return phase_ != Phase::open || mark == 0 || outbox_bytes() < mark;
}

void TcpConnection::on_stuck() {
  if (phase_ != Phase::open) return;
  const std::size_t own = outbox_->own_bytes();
  const Tally older = outbox_->keep_newest(
      [this](const Run& run) { return rule_for(run).policy == OutboxPolicy::conflate; });
  shard().count_outbox(own, outbox_->own_bytes());
  shard().counters().dropped_conflated.add(older.deliveries);
  note_dropped(&Dropped::by_conflate, older);
}

void TcpConnection::on_flushed() {
  if (phase_ == Phase::http) return on_http_flushed();
  if (phase_ == Phase::closing && shard().draining() && !has_output()) {
    // A slow reader has time for his answer, too.
    has_sent_ = false;
    return set_deadline(rules().close_timeout);
  }
  if (phase_ != Phase::open) return;
  if (has_output() && !do_writable()) {
    was_congested_ = true;
    return;
  }
  // Streams that waited for room, calls that waited for replies to leave, on_drained.
  if (calls_in_flight() != 0 || parked_ != nullptr || !reading_ || was_congested_) {
    shard().mark_going(*this);
  }
}

void TcpConnection::finish() {
  if (phase_ == Phase::http && handshake_->at_end) return doom();
  Endpoint::finish();
}

void TcpConnection::go_on() {
  awaits_end_of_turn = false;
  if (phase_ == Phase::doomed) return free_if_done();
  if (phase_ == Phase::http) return go_on_with_http();
  if (phase_ == Phase::closing) return take_what_waits();
  if (phase_ != Phase::open) return;
  tell_of_outbox();
  if (phase_ != Phase::open) return;
  if (do_writable()) shard().calls().outbox_drained(*this);
  take_parked();
  if (is_leaving_) close_if_done();
}

void TcpConnection::tell_of_outbox() {
  if (std::exchange(has_dropped_, false)) {
    const Dropped dropped = ConnectionAccess::outbox(*this).take_untold();
    webshocket::detail::dispatch_dropped(handler(), *this, dropped);
  }
  if (was_congested_ && phase_ == Phase::open && do_writable()) {
    was_congested_ = false;
    webshocket::detail::dispatch_drained(handler(), *this);
  }
}

// --- closing ----------------------------------------------------------------------------------

void TcpConnection::on_closing(CloseCode, std::string_view) noexcept {
  set_state(ConnectionState::closed);
  leave_channels();
  HandlerAccess::roster(handler()).remove(*this);
  if (parked_ != nullptr) shard().mark_going(*this);  // for the peer's CLOSE behind what was parked
}

void TcpConnection::do_unblocked() noexcept {
  if (phase_ == Phase::open) shard().mark_going(*this);
}

OutboxState TcpConnection::do_outbox() const {
  OutboxState state;
  state.bytes = outbox_bytes();
  state.rule = own_rule();
  if (const auto* account = ConnectionAccess::find_outbox(*this)) state.dropped = account->dropped;
  return state;
}

void TcpConnection::do_set_outbox(const OutboxRule& rule) {
  ConnectionAccess::outbox(*this).rule = rule;
  has_own_rule_ = true;
}

// --- channels ---------------------------------------------------------------------------------

bool TcpConnection::do_subscribe(std::span<const std::string_view> names) {
  const Config& config = shard().config();
  Channels& channels = shard().subscriptions();
  std::size_t added = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (config.max_channel_name != 0 && names[i].size() > config.max_channel_name) {
      return refuse_subscription();
    }
    const bool repeated = std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i),
                                    names[i]) != names.begin() + static_cast<std::ptrdiff_t>(i);
    if (!repeated && !channels.subscribed(*this, names[i])) ++added;
  }
  const std::size_t limit = config.max_subscribed_channels;
  if (limit != 0 && subscription_count() + added > limit) return refuse_subscription();
  for (const std::string_view name : names) {
    if (channels.subscribe(*this, name)) {
      shard().census().raise(shard().shard(), bucket_of(name), form());
    }
  }
  return true;
}

bool TcpConnection::refuse_subscription() noexcept {
  shard().counters().subscriptions_refused.add();
  return false;
}

void TcpConnection::do_unsubscribe(std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    if (shard().subscriptions().unsubscribe(*this, name)) {
      shard().census().lower(shard().shard(), bucket_of(name), form());
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
    shard().census().lower(shard().shard(), bucket_of(name), form());
  });
  shard().subscriptions().remove(*this);
}

Census::Bucket TcpConnection::bucket_of(std::string_view name) const noexcept {
  return is_pattern(name) ? Census::kPatterns : shard().census().bucket_of(name);
}

// --- time -------------------------------------------------------------------------------------

void TcpConnection::on_late() {
  if (shard().draining() && has_said_nothing()) return doom();
  // A large answer takes its time, as long as it gets on.
  if (phase_ == Phase::http && is_reading_answers()) return set_deadline(http_timeout());
  const bool has_begun = handshake_ == nullptr || handshake_->is_pending;
  if (phase_ != Phase::closing && has_begun && !finish_after_flush_ && !output_ended_) {
    shard().counters().handshakes_timed_out.add();
  }
  // What has been promised is still sent, as long as it gets on and the drain lasts.
  if (phase_ == Phase::closing && shard().draining() && has_sent_) {
    has_sent_ = false;
    return set_deadline(rules().close_timeout);
  }
  if (phase_ == Phase::closing) shard().counters().closes_timed_out.add();
  if (phase_ == Phase::http && !has_begun) shard().counters().keep_alives_timed_out.add();
  if (proxy_header_ != nullptr) return reject_proxy("its PROXY header takes too long");
  if (phase_ == Phase::connecting && !output_ended_) {
    note_securing_failure("the client takes too long");
  }
  doom();
}

// --- counters ---------------------------------------------------------------------------------

void TcpConnection::count_received(std::size_t bytes) noexcept {
  shard().counters().bytes_received.add(bytes);
  if (shard().config().receive_rate != 0 && phase_ == Phase::open) charge_received(bytes);
}
void TcpConnection::count_sent(std::size_t bytes) noexcept {
  has_sent_ = true;
  shard().counters().bytes_sent.add(bytes);
}
void TcpConnection::count_protocol_error() noexcept { shard().counters().protocol_errors.add(); }
void TcpConnection::count_unanswered_ping() noexcept { shard().counters().pings_unanswered.add(); }

}  // namespace webshocket::shards
