// What any thread may ask of a client.

#include "engine/client_session.hpp"

#include <algorithm>
#include <future>
#include <utility>

#include <webshocket/error.hpp>

#include "engine/client_tls.hpp"
#include "engine/client_words.hpp"
#include "protocol/packet_codec.hpp"

namespace webshocket::engine {
namespace {

constexpr const char* kGateLate = "no connection in time";
constexpr const char* kPacketLate = "no packet came in time";

}  // namespace

/// A step on its way to the home's thread. If that has ended, whoever waits is told.
class ClientSession::Errand {
 public:
  Errand(std::shared_ptr<ClientSession> session, std::function<void()> step) noexcept
      : session_(std::move(session)), step_(std::move(step)) {}
  Errand(const Errand&) = delete;
  Errand& operator=(const Errand&) = delete;
  ~Errand() {
    if (step_) session_->home_lost();
  }
  void run() { std::exchange(step_, nullptr)(); }

 private:
  std::shared_ptr<ClientSession> session_;
  std::function<void()> step_;
};

ClientSession::ClientSession(std::string_view uri, std::shared_ptr<const ClientConfig> config,
                             const ClientHome& home)
    : uri_text_(uri),
      uri_(checked_uri(uri)),
      name_(without_userinfo(uri)),
      config_(std::move(config)),
      rules_(rules_of(*config_)),
      form_(form_of(*config_)),
      tls_(uri_.secure ? tls_of(config_->tls) : nullptr),
      mailbox_(home.mailbox()),
      reactor_(home.reactor()),
      backlog_(config_->packet_queue_size, config_->packet_queue_bytes,
               [this] {
                 run_at_home([self = shared_from_this()] {
                   if (self->connection_ != nullptr) self->connection_->go_on_reading();
                 });
               }),
      level_(config_->receive_policy == ReceivePolicy::wait),
      calls_(config_->max_calls, backlog_),
      packets_(std::make_shared<Packets>(kPacketLate)) {
  check(*config_);
  packets_->end(closed("not connected yet"));
}

ClientSession::~ClientSession() = default;

// --- any thread ---------------------------------------------------------------------------------

bool ClientSession::is_at_home() const noexcept {
  return webshocket::detail::Hub::current() == &reactor_;
}

void ClientSession::run_at_home(std::function<void()> fn) {
  if (is_at_home()) return fn();
  auto errand = std::make_shared<Errand>(shared_from_this(), std::move(fn));
  mailbox_->post([errand = std::move(errand)] { errand->run(); });
}

void ClientSession::drop_abandoned(Gates& gates) {
  constexpr std::size_t kFew = 32;
  if (gates.size() < kFew) return;
  std::erase_if(gates, [](const std::shared_ptr<Gate>& gate) { return gate.use_count() == 1; });
}

void ClientSession::end(Gates gates, const std::exception_ptr& why) {
  for (const auto& gate : gates) gate->end(why);
}

ConnectionClosedError ClientSession::closed_error() const {
  switch (state()) {
    case ConnectionState::disconnected:
      return ConnectionClosedError("not connected: call connect() first");
    case ConnectionState::connecting:
      return ConnectionClosedError("not connected at the moment: a connection is being tried",
                                   last_code_, last_reason_);
    default:
      if (connects_.get() == 0) return ConnectionClosedError("not connected: close() was called");
      return ConnectionClosedError(describe({.code = last_code_, .reason = last_reason_}),
                                   last_code_, last_reason_);
  }
}

ClientStats ClientSession::stats() const noexcept {
  return {.connects = connects_.get(),
          .messages_received = messages_received_.get(),
          .bytes_received = bytes_received_.get(),
          .messages_sent = messages_sent_.get(),
          .bytes_sent = bytes_sent_.get(),
          .packets_dropped = packets_dropped_.get(),
          .answers_unwanted = answers_unwanted_.get(),
          .calls_in_flight = calls_.size()};
}

std::shared_ptr<Gate> ClientSession::connect(Client& client, const Retry& retry) {
  check(retry, "Retry");
  auto gate = std::make_shared<Gate>(kGateLate);
  // on_connect must not wait for its own end.
  if (is_at_home() && is_greeting()) return nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (is_over_) throw ConnectionClosedError("the client's loop has ended");
    if (is_ready_) return nullptr;
    askers_.push_back(gate);
    if (state() != ConnectionState::connected) state_ = ConnectionState::connecting;
    packets_->reopen();
  }
  run_at_home([self = shared_from_this(), &client, retry] { self->begin(client, retry); });
  return gate;
}

std::shared_ptr<Gate> ClientSession::wait_connected() {
  const std::lock_guard lock(mutex_);
  if (is_ready_) return nullptr;
  if (is_over_ || state() == ConnectionState::disconnected || state() == ConnectionState::closed) {
    throw closed_error();
  }
  drop_abandoned(openers_);
  openers_.push_back(std::make_shared<Gate>(kGateLate));
  return openers_.back();
}

std::shared_ptr<Gate> ClientSession::close(CloseCode code, std::string_view reason) {
  auto gate = std::make_shared<Gate>(kGateLate);
  {
    const std::lock_guard lock(mutex_);
    if (is_over_) return nullptr;
    closers_.push_back(gate);
  }
  run_at_home([self = shared_from_this(), code, reason = std::string(reason)] {
    self->begin_close(code, reason);
  });
  return gate;
}

void ClientSession::leave() {
  if (is_at_home()) return leave_at_home({});
  auto promise = std::make_shared<std::promise<void>>();
  const std::future<void> left = promise->get_future();
  // If it never runs, the promise breaks, which ends the wait too.
  mailbox_->post([self = shared_from_this(), promise = std::move(promise)]() mutable {
    self->leave_at_home([promise = std::move(promise)] { promise->set_value(); });
  });
  left.wait();
}

void ClientSession::home_lost() {
  Gates waiting;
  Gates closers;
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
    is_ready_ = false;
    state_ = ConnectionState::closed;
    for (Gates* gates : {&askers_, &openers_, &senders_}) {
      for (auto& gate : *gates) waiting.push_back(std::move(gate));
      gates->clear();
    }
    closers.swap(closers_);
  }
  const std::exception_ptr why = closed("the client's loop has ended");
  end(std::move(waiting), why);
  end(std::move(closers));
  calls_.end_all(why);
  packets_->end(why);
}

// --- any thread: messages -----------------------------------------------------------------------

ClientSession::Encoded ClientSession::encode(const webshocket::detail::Content& content) const {
  Encoded message;
  const auto opcode =
      shards::encode(PacketSource::custom, std::nullopt, content, form_, message.bytes);
  if (!opcode) {
    throw PacketError("the value cannot be written in the connection's format, " +
                      std::string(to_string(config_->format)));
  }
  message.opcode = *opcode;
  message.compress = content.compress;
  return message;
}

ClientSession::Encoded ClientSession::encode(const webshocket::detail::Request& request,
                                             std::uint64_t number) const {
  if (form_ == shards::Form::raw) throw UsageError("a raw client makes no calls");
  Encoded message{.opcode = shards::opcode_of(form_)};
  if (!protocol::encode_request(config_->format, request.method, request.args, request.kwargs,
                                ClientCalls::id_of(number), message.bytes)) {
    throw PacketError("an argument of '" + std::string(request.method) +
                      "' cannot be written in the connection's format, " +
                      std::string(to_string(config_->format)));
  }
  return message;
}

bool ClientSession::has_room(std::size_t size) const noexcept {
  const std::size_t waiting = outgoing_.bytes.size() + outbox_bytes_;
  return config_->outbox_limit == 0 || waiting == 0 || waiting + size <= config_->outbox_limit;
}

bool ClientSession::try_send(Encoded& message, const std::shared_ptr<PendingCall>& call) {
  bool post = false;
  {
    const std::lock_guard lock(mutex_);
    if (is_over_ || state() != ConnectionState::connected) throw closed_error();
    if (!has_room(message.bytes.size())) return false;
    if (call != nullptr) calls_.add(call);
    outgoing_.bytes.append(std::span<const std::byte>(message.bytes.span()));
    outgoing_.messages.push_back({message.bytes.size(), message.opcode, message.compress});
    post = !std::exchange(drain_posted_, true);
  }
  if (is_at_home()) {
    drain_outgoing();
  } else if (post) {
    run_at_home([self = shared_from_this()] { self->drain_outgoing(); });
  }
  return true;
}

bool ClientSession::is_congested() const {
  const std::lock_guard lock(mutex_);
  return !has_room(config_->outbox_limit / 2);
}

std::shared_ptr<Gate> ClientSession::room(std::size_t size) {
  const std::lock_guard lock(mutex_);
  if (is_over_ || state() != ConnectionState::connected) throw closed_error();
  auto gate = std::make_shared<Gate>("the outbox stayed full: outbox_limit reached");
  if (has_room(size)) {
    gate->end();
  } else {
    drop_abandoned(senders_);
    senders_.push_back(gate);
  }
  return gate;
}

std::shared_ptr<PendingCall> ClientSession::make_call(bool is_stream, std::uint64_t number) const {
  return std::make_shared<PendingCall>(number, is_stream, "no answer came in time");
}

void ClientSession::forget(PendingCall& call) noexcept {
  const bool waited = calls_.remove(call);
  if (!waited || !call.is_stream) return;
  try {
    run_at_home([self = shared_from_this(), number = call.number] {
      self->abort_stream(ClientCalls::id_of(number));
    });
  } catch (...) {  // NOLINT(bugprone-empty-catch): out of memory; the server ends it with the rest
  }
}

}  // namespace webshocket::engine
