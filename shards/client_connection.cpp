#include "shards/client_connection.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "protocol/frame_writer.hpp"
#include "protocol/http.hpp"
#include "shards/tls_stream.hpp"

namespace webshocket::shards {
namespace {

constexpr std::string_view kEarlyEnd = "the server hung up before it had answered";

/// Whether asking again may help: the server has too much to do, or is not quite there.
bool may_pass(int http_status) noexcept {
  constexpr std::array kPassing{408, 425, 429};
  return http_status >= 500 || std::ranges::find(kPassing, http_status) != kPassing.end();
}

std::string describe(const std::chrono::nanoseconds& time) {
  return std::to_string(std::chrono::ceil<std::chrono::milliseconds>(time).count()) + " ms";
}

}  // namespace

/// What a connection has only until it is open.
struct ClientConnection::Handshake {
  explicit Handshake(Opening settings) : opening(std::move(settings)) {}

  Opening opening;
  protocol::HttpReplyReader reader;
};

ClientConnection::ClientConnection(Reactor& reactor, std::shared_ptr<Owner> owner,
                                   const EndpointRules& rules)
    : Endpoint(reactor, Socket(), Phase::connecting), rules_(rules), owner_(std::move(owner)) {}

ClientConnection::~ClientConnection() = default;

// --- opening ----------------------------------------------------------------------------------

void ClientConnection::start(Opening opening) noexcept {
  handshake_ = std::make_unique<Handshake>(std::move(opening));
  const int error = connect_socket();
  if (error != 0 && error != EINPROGRESS) return doom(error);
  reading_ = false;
  wants_write_ = true;
  if (!open_poll()) return;
  set_deadline(handshake_->opening.timeout);
}

int ClientConnection::connect_socket() noexcept {
  const Opening& opening = handshake_->opening;
  socket_ =
      Socket(::socket(opening.remote.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_.is_open()) return errno;
  if (opening.tcp_nodelay) socket_.set_nodelay();
  if (opening.local) {
    // The port is chosen when the other end is known, so that many clients may have the same one.
    const int on = 1;
    ::setsockopt(socket_.fd(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (::bind(socket_.fd(), opening.local->get(), opening.local->size) != 0) return errno;
  }
  return ::connect(socket_.fd(), opening.remote.get(), opening.remote.size) == 0 ? 0 : errno;
}

void ClientConnection::on_connecting() {
  if (tls_ == nullptr) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket_.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return doom(error);
    wants_write_ = false;
    reading_ = true;
    const Opening& opening = handshake_->opening;
    if (opening.tls != nullptr) {
      tls_ = TlsStream::connect(*opening.tls, socket_.fd(), opening.tls_name);
    }
  }
  if (tls_ != nullptr && !shake_hands()) return;
  phase_ = Phase::http;
  watch();
  say_request();
  // What came along with the handshake's end, the socket does not tell of.
  if (tls_ != nullptr && tls_->holds_input() && phase_ == Phase::http) read_once();
}

void ClientConnection::say_request() {
  auto& request = handshake_->opening.request;
  std::array<std::byte, 16> random;
  protocol::draw_random(random);
  request.key = protocol::encode_key(random);
  if (rules_.compression.enabled) request.extensions = protocol::deflate_offer(rules_.compression);
  bool written = false;
  write([&](protocol::Buffer& out) { written = protocol::write_upgrade_request(out, request); });
  if (!written) fail_opening("the host or the path cannot stand in an HTTP request", true);
}

void ClientConnection::take_http(std::span<const std::byte> input) {
  using Status = protocol::HttpReplyReader::Status;
  switch (handshake_->reader.feed(input)) {
    case Status::incomplete:
      return;
    case Status::error:
      return fail_opening("the server's answer is no HTTP: " + handshake_->reader.error(), true);
    case Status::complete:
      return take_reply(input);
  }
}

void ClientConnection::take_reply(std::span<const std::byte> rest) {
  const protocol::HttpReply& reply = handshake_->reader.reply();
  const auto& request = handshake_->opening.request;
  if (auto complaint = protocol::check_upgrade_reply(reply, request.key, request.subprotocols)) {
    const int status = reply.status == 101 ? 0 : reply.status;
    return fail_opening(std::move(*complaint), !may_pass(status), status);
  }
  auto extensions = protocol::read_deflate_reply(reply, rules_.compression);
  if (auto* complaint = std::get_if<std::string>(&extensions)) {
    return fail_opening(std::move(*complaint), true);
  }
  if (handshake_->opening.needs_subprotocol && reply.find("Sec-WebSocket-Protocol") == nullptr) {
    return fail_opening("the server does not speak " + request.subprotocols.front(), true);
  }
  handshake_.reset();
  ending_.was_open = true;
  begin_frames(std::get<std::optional<protocol::DeflateTerms>>(extensions));
  owner_->on_open();
  if (rest.empty() || (phase_ != Phase::open && phase_ != Phase::closing)) return;
  // The first frames came with the reply. They lie in the reactor's buffer, which is ours to write.
  const std::span<std::byte> buffer = reactor_.read_buffer();
  take_frames(buffer.subspan(static_cast<std::size_t>(rest.data() - buffer.data()), rest.size()));
}

void ClientConnection::fail_opening(std::string complaint, bool is_final,
                                    int http_status) noexcept {
  ending_.complaint = std::move(complaint);
  ending_.is_final = is_final;
  ending_.http_status = http_status;
  doom();
}

void ClientConnection::give_up(std::string_view complaint) noexcept {
  if (!ending_.was_open && ending_.complaint.empty()) ending_.complaint = complaint;
  cut_off();
}

void ClientConnection::on_late() {
  if (phase_ == Phase::closing) return doom();
  std::string_view wanted = "answer";
  if (phase_ == Phase::connecting) wanted = tls_ == nullptr ? "connection" : "TLS handshake";
  fail_opening("no " + std::string(wanted) + " within " + describe(handshake_->opening.timeout),
               false);
}

void ClientConnection::on_end_of_input() {
  if (phase_ != Phase::http) return Endpoint::on_end_of_input();
  using Status = protocol::HttpReplyReader::Status;
  if (handshake_->reader.end_of_input() == Status::complete) return take_reply({});
  fail_opening(std::string(kEarlyEnd), false);
}

void ClientConnection::on_reset() {
  // What the server said before that is still there.
  while (reading_ && phase_ != Phase::doomed && read_once()) {
  }
  doom(ECONNRESET);
}

void ClientConnection::on_send_failed(int error) {
  // Why the server wants no request may be what it said before it hung up.
  phase_ == Phase::http ? on_reset() : doom(error);
}

// --- open -------------------------------------------------------------------------------------

void ClientConnection::send(Opcode opcode, std::span<const std::byte> message,
                            std::size_t fragment_size, Compress choice) noexcept {
  if (phase_ != Phase::open) return;
  guard([&] {
    const Body body = body_of(message, choice);
    const auto frames = [&](protocol::Buffer& out) {
      protocol::write_message(out, opcode, body.bytes, fragment_size, mask(), body.compressed);
    };
    body.bytes.size() < kSentAtOnce ? write_small(frames) : write(frames);
  });
}

void ClientConnection::take_message(Opcode opcode, std::span<const std::byte> message) {
  owner_->on_message(opcode, message);
}

void ClientConnection::go_on_reading() noexcept {
  if (phase_ == Phase::open && !reading_) reactor_.mark_going(*this);
}

void ClientConnection::go_on() {
  awaits_end_of_turn = false;
  if (phase_ == Phase::doomed) return free_if_done();
  if (phase_ == Phase::closing || (phase_ == Phase::open && !must_stop_reading())) {
    take_held_back();
  }
}

void ClientConnection::on_flushed() {
  if (phase_ == Phase::open) owner_->on_flushed();
}

// --- the end ----------------------------------------------------------------------------------

void ClientConnection::take_close(CloseCode code, std::string_view reason) {
  if (!close_sent_) {
    ending_.code = code;
    ending_.reason = reason;
  }
  Endpoint::take_close(code, reason);
}

void ClientConnection::on_closing(CloseCode code, std::string_view reason) noexcept {
  if (!close_received_) {  // else it is the echo of what take_close has noted
    ending_.code = code;
    ending_.reason = reason;
  }
  owner_->on_leaving(ending_);
}

void ClientConnection::finish() {
  // The server hangs up first, so that the waiting that TCP wants after that is not this end's.
  if (!close_received_) Endpoint::finish();
}

void ClientConnection::on_doomed(int error) noexcept {
  if (ending_.was_open || !ending_.complaint.empty()) return;
  if (tls_ != nullptr && !tls_->failure().complaint.empty()) {
    ending_.complaint = tls_->failure().complaint;
    ending_.is_final = tls_->failure().is_final;
    return;
  }
  ending_.complaint = error == 0 ? std::string(kEarlyEnd) : std::string(std::strerror(error));
  if (phase_ == Phase::http) ending_.complaint += " (during the upgrade)";
  if (phase_ == Phase::connecting && tls_ != nullptr) {
    ending_.complaint += " (during the TLS handshake)";
  }
}

void ClientConnection::bury() noexcept {
  handshake_.reset();
  const std::shared_ptr<Owner> owner = std::move(owner_);  // the rules are its own
  owner->on_gone(std::move(ending_));
  let_go();
}

}  // namespace webshocket::shards
