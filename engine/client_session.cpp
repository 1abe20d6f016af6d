#include "engine/client_session.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <future>
#include <iterator>
#include <utility>

#include <webshocket/error.hpp>

#include "api/deadline.hpp"
#include "api/dispatch.hpp"
#include "engine/client_tls.hpp"
#include "protocol/mask_keys.hpp"
#include "protocol/packet_codec.hpp"

namespace webshocket::engine {
namespace {

constexpr const char* kGateLate = "no connection in time";
constexpr const char* kPacketLate = "no packet came in time";
constexpr std::string_view kLeaving = "Client is closing the connection.";

std::uint64_t draw() noexcept {
  std::array<std::byte, sizeof(std::uint64_t)> bytes;
  protocol::draw_random(bytes);
  return std::bit_cast<std::uint64_t>(bytes);
}

std::string describe(const shards::ClientEnding& ending) {
  if (ending.code == CloseCode::abnormal) return "the connection was lost";
  std::string text =
      "the connection was closed with " + std::to_string(static_cast<int>(ending.code));
  if (!ending.reason.empty()) text += ": " + ending.reason;
  return text;
}

std::exception_ptr closed(const std::string& text) {
  return std::make_exception_ptr(ConnectionClosedError(text));
}

/// To who waits for packets, no connection is a closed one.
std::exception_ptr as_closed(const std::exception_ptr& why) {
  try {
    std::rethrow_exception(why);
  } catch (const ConnectionFailedError& error) {
    return closed(error.what());
  } catch (...) {
    return why;
  }
}

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

/// `on_connect` at work.
class ClientSession::Greeting final : public webshocket::detail::CallScope {
 public:
  Greeting(shards::Reactor& reactor, std::shared_ptr<ClientSession> session, Task<void> task)
      : CallScope(reactor), session_(std::move(session)), task_(std::move(task)) {
    task_.handle().promise().scope = this;
  }
  void run() noexcept { CallScope::run(task_.handle()); }

 private:
  ~Greeting() = default;

  void ended() noexcept override {
    const std::exception_ptr error = task_.handle().promise().error;
    const std::shared_ptr<ClientSession> session = std::move(session_);
    delete this;
    session->greeting_ = nullptr;
    session->greeted(error);
  }
  bool yielded() noexcept override { return true; }
  std::coroutine_handle<> root() noexcept override { return task_.handle(); }

  std::shared_ptr<ClientSession> session_;
  Task<void> task_;
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
  if (is_at_home() && greeting_ != nullptr && greeting_->running()) return nullptr;
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
  return message;
}

ClientSession::Encoded ClientSession::encode(const webshocket::detail::Request& request,
                                             std::uint64_t number) const {
  if (form_ == shards::Form::raw) throw UsageError("a raw client makes no calls");
  Encoded message{.bytes = {}, .opcode = shards::opcode_of(form_)};
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
    outgoing_.messages.emplace_back(message.bytes.size(), message.opcode);
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

// --- at home: tries -----------------------------------------------------------------------------

void ClientSession::begin(Client& client, const Retry& retry) {
  Gates askers;
  bool is_over = false;
  {
    const std::lock_guard lock(mutex_);
    askers.swap(askers_);
    is_over = is_over_;
    if (!is_over) {
      std::ranges::move(askers, std::back_inserter(openers_));
      if (state() != ConnectionState::connected) state_ = ConnectionState::connecting;
    }
  }
  if (is_over) return end(std::move(askers), closed("the client has gone"));
  client_ = &client;
  packets_->reopen();
  if (phase_ == Phase::idle) return begin_tries(retry);
  if (phase_ != Phase::closing && !is_closing_) {
    if (phase_ == Phase::open && was_ready_) become_ready();  // it came about meanwhile
    return;
  }
  queued_ = retry;
  is_closing_ = false;
}

void ClientSession::begin_tries(const Retry& retry) {
  is_closing_ = false;
  is_reconnecting_ = false;
  tries_ = Tries(retry, Clock::now());
  if (!std::exchange(is_guest_, true)) reactor_.add_guest(*this);
  start_try();
}

std::chrono::nanoseconds ClientSession::connect_timeout() const noexcept {
  return webshocket::detail::bounded_timeout(config_->connect_timeout);
}

void ClientSession::pause_for(std::chrono::nanoseconds pause) {
  phase_ = Phase::pausing;
  reactor_.start_timer(*this, pause);
}

void ClientSession::start_try() {
  try_began_ = Clock::now();
  addresses_.clear();
  next_address_ = 0;
  address_complaints_.clear();
  if (!config_->unix_path.empty()) {
    addresses_.push_back(*shards::SocketAddress::unix_path(config_->unix_path));
    return connect_next();
  }
  if (auto address = shards::SocketAddress::parse(uri_.host, uri_.port)) {
    addresses_.push_back(*address);
    return connect_next();
  }
  const auto left = tries_.allowance(connect_timeout(), try_began_);
  if (!left) return try_failed("no time was left to try", true);
  phase_ = Phase::resolving;
  if (left->count() != 0) reactor_.start_timer(*this, *left);
  try {
    resolver_.ask(reactor_.loop(), uri_.host, uri_.port,
                  [this](std::vector<shards::SocketAddress> found, std::string_view complaint) {
                    resolved(std::move(found), complaint);
                  });
  } catch (const Error& error) {
    reactor_.stop_timer(*this);
    try_failed(error.what(), false);
  }
}

void ClientSession::resolved(std::vector<shards::SocketAddress> addresses,
                             std::string_view complaint) {
  reactor_.stop_timer(*this);
  if (addresses.empty()) {
    return try_failed("cannot look up " + uri_.host + ": " + std::string(complaint), false);
  }
  addresses_ = std::move(addresses);
  connect_next();
}

void ClientSession::connect_next() {
  const auto now = Clock::now();
  std::chrono::nanoseconds timeout = connect_timeout();
  const bool is_bounded = timeout.count() != 0;
  if (is_bounded) timeout -= now - try_began_;
  const auto left = tries_.allowance(timeout, now);
  if (!left || (is_bounded && left->count() <= 0)) {
    return try_failed(address_complaints_ + "no time was left for its other addresses", false);
  }
  // One that does not answer must not use up the time of those behind it. A share of 0 has no end.
  const auto addresses = static_cast<std::int64_t>(addresses_.size() - next_address_);
  const std::chrono::nanoseconds share =
      (*left + std::chrono::nanoseconds(addresses - 1)) / addresses;
  phase_ = Phase::opening;
  connection_ = new shards::ClientConnection(reactor_, shared_from_this(), rules_);
  connection_->start(
      {.remote = addresses_[next_address_++],
       .local = local_of(*config_),
       .tcp_nodelay = config_->tcp_nodelay,
       .tls = tls_,
       .tls_name = config_->tls.server_name.empty() ? uri_.host : config_->tls.server_name,
       .timeout = share,
       .request = request_of(*config_, uri_),
       .needs_subprotocol = form_ == shards::Form::msgpack || form_ == shards::Form::json_text});
}

void ClientSession::try_failed(std::string complaint, bool is_final, int http_status) {
  phase_ = Phase::idle;
  const auto now = Clock::now();
  tries_.failed(std::move(complaint), http_status);
  const auto pause = is_final ? std::nullopt : tries_.pause(draw(), now);
  const ConnectionFailedError error = tries_.error(name_, now);
  if (pause) {
    log(LogLevel::info,
        error.tries().back() + "; another try in " +
            std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(*pause).count()) +
            " ms");
    return pause_for(*pause);
  }
  log(LogLevel::warning, error.what());
  settle(is_reconnecting_ ? ConnectionState::closed : ConnectionState::disconnected,
         std::make_exception_ptr(error));
}

void ClientSession::come_back(const shards::ClientEnding& ending) {
  const Retry& retry = *config_->reconnect;
  const auto now = Clock::now();
  // One that does not last is as good as a failed try: the pauses go on growing.
  const bool has_lasted = now - ready_since_ >= webshocket::detail::bounded_timeout(retry.interval);
  std::optional<std::chrono::nanoseconds> pause;
  if (!is_reconnecting_ || has_lasted) {
    tries_ = Tries(retry, now);
    pause = tries_.first_pause(draw());
  } else {
    tries_.failed(describe(ending), 0);
    pause = tries_.pause(draw(), now);
  }
  is_reconnecting_ = true;
  if (!pause) {
    return settle(ConnectionState::closed, std::make_exception_ptr(tries_.error(name_, now)));
  }
  pause_for(*pause);
}

void ClientSession::fire() noexcept {
  if (phase_ == Phase::pausing) return start_try();
  if (phase_ == Phase::resolving) {
    resolver_.cancel();
    try_failed("no address for " + uri_.host + " in time", false);
  }
}

void ClientSession::settle(ConnectionState state, const std::exception_ptr& why) {
  phase_ = Phase::idle;
  is_closing_ = false;
  Gates openers;
  Gates closers;
  {
    const std::lock_guard lock(mutex_);
    state_ = askers_.empty() ? state : ConnectionState::connecting;
    openers.swap(openers_);
    closers.swap(closers_);
  }
  packets_->end(as_closed(why));
  end(std::move(openers), why);
  end(std::move(closers));
  leave_home();
}

void ClientSession::leave_home() {
  if (phase_ != Phase::idle || greeting_ != nullptr) return;
  if (std::exchange(is_guest_, false)) reactor_.remove_guest(*this);
}

// --- at home: the connection --------------------------------------------------------------------

void ClientSession::on_open() noexcept {
  phase_ = Phase::open;
  was_ready_ = false;
  greeting_error_.clear();
  addresses_ = {};
  connects_.add();
  {
    const std::lock_guard lock(mutex_);
    state_ = ConnectionState::connected;
    outbox_bytes_ = 0;
  }
  log(LogLevel::debug, "connected to " + name_);
  greet();
}

void ClientSession::greet() {
  if (!config_->on_connect || client_ == nullptr) return become_ready();
  // The last connection's still waits for something that cannot be given up.
  if (greeting_ != nullptr) {
    greets_again_ = true;
    return;
  }
  try {
    Task<void> task = config_->on_connect(*client_);
    if (phase_ != Phase::open) return;  // it has closed the connection
    if (!task) return become_ready();
    greeting_ = new Greeting(reactor_, shared_from_this(), std::move(task));
    greeting_->run();
  } catch (...) {
    greeted(std::current_exception());
  }
}

void ClientSession::greeted(std::exception_ptr error) {
  leave_home();
  if (on_left_) return std::exchange(on_left_, nullptr)();
  const bool was_of_last_connection = std::exchange(greets_again_, false);
  if (phase_ == Phase::open) {
    if (was_of_last_connection) return greet();
    if (!error) return become_ready();
    greeting_error_ = "on_connect failed: " + webshocket::detail::describe_exception(error);
    connection_->shut_down(CloseCode::normal, kLeaving);
  }
}

void ClientSession::become_ready() {
  if (!std::exchange(was_ready_, true)) ready_since_ = Clock::now();
  Gates openers;
  {
    const std::lock_guard lock(mutex_);
    is_ready_ = true;
    openers.swap(openers_);
  }
  end(std::move(openers));
}

void ClientSession::begin_close(CloseCode code, std::string_view reason) {
  queued_.reset();
  is_closing_ = true;
  const std::exception_ptr why = closed("close() was called");
  switch (phase_) {
    case Phase::idle:
      return settle(ConnectionState::closed, why);
    case Phase::pausing:
    case Phase::resolving:
      reactor_.stop_timer(*this);
      resolver_.cancel();
      return settle(ConnectionState::closed, why);
    case Phase::opening:
      return connection_->give_up("close() was called");
    case Phase::open:
      drain_outgoing();
      return connection_->shut_down(code, reason);
    case Phase::closing:
      return;
  }
}

bool ClientSession::may_come_back(CloseCode code) const noexcept {
  constexpr std::array kFinal{CloseCode::normal,
                              CloseCode::protocol_error,
                              CloseCode::unsupported_data,
                              CloseCode::invalid_data,
                              CloseCode::policy_violation,
                              CloseCode::message_too_big,
                              CloseCode::mandatory_extension};
  return config_->reconnect && std::ranges::find(kFinal, code) == kFinal.end();
}

void ClientSession::on_leaving(const shards::ClientEnding& ending) noexcept {
  phase_ = Phase::closing;
  const bool comes_back = was_ready_ && !is_closing_ && may_come_back(ending.code);
  const bool tries_on = !was_ready_ && !is_closing_;
  const std::exception_ptr why =
      std::make_exception_ptr(ConnectionClosedError(describe(ending), ending.code, ending.reason));
  Gates senders;
  {
    const std::lock_guard lock(mutex_);
    is_ready_ = false;
    state_ = comes_back || tries_on ? ConnectionState::connecting : ConnectionState::closed;
    last_code_ = ending.code;
    last_reason_ = ending.reason;
    outgoing_ = {};
    outbox_bytes_ = 0;
    senders.swap(senders_);
    if (!comes_back && !tries_on) packets_->end(why);
  }
  calls_.end_all(why);
  end(std::move(senders), why);
  if (greeting_ != nullptr) greeting_->cancel();
}

void ClientSession::on_gone(shards::ClientEnding ending) noexcept {
  if (ending.was_open && phase_ == Phase::open) on_leaving(ending);
  connection_ = nullptr;
  if (ending.was_open) {
    log(LogLevel::debug, describe(ending));
    // Still closing, so that what is asked for in there comes after what is done here.
    if (config_->on_disconnect && client_ != nullptr) {
      call_user("on_disconnect",
                [&] { config_->on_disconnect(*client_, ending.code, ending.reason); });
    }
  }
  phase_ = Phase::idle;
  const bool is_over = [this] {
    const std::lock_guard lock(mutex_);
    return is_over_;
  }();
  if (is_closing_ || is_over) {
    const std::exception_ptr why = ending.was_open
                                       ? std::make_exception_ptr(ConnectionClosedError(
                                             describe(ending), ending.code, ending.reason))
                                       : closed("close() was called");
    return settle(ConnectionState::closed, why);
  }
  if (queued_) {
    Gates closers;
    {
      const std::lock_guard lock(mutex_);
      closers.swap(closers_);
    }
    end(std::move(closers));
    return begin_tries(*std::exchange(queued_, std::nullopt));
  }
  if (!ending.was_open) {
    std::string complaint = std::move(ending.complaint);
    if (addresses_.size() > 1) {
      complaint = addresses_[next_address_ - 1].to_string() + ": " + complaint;
    }
    address_complaints_ += complaint;
    // Somebody answered there: his other addresses would say the same.
    const bool was_answered = ending.is_final || ending.http_status != 0;
    if (next_address_ < addresses_.size() && !was_answered) {
      address_complaints_ += ", ";
      return connect_next();
    }
    return try_failed(std::exchange(address_complaints_, {}), ending.is_final, ending.http_status);
  }
  if (!was_ready_) {
    return try_failed(greeting_error_.empty() ? describe(ending) : greeting_error_, false);
  }
  if (may_come_back(ending.code)) return come_back(ending);
  settle(ConnectionState::closed, std::make_exception_ptr(ConnectionClosedError(
                                      describe(ending), ending.code, ending.reason)));
}

void ClientSession::leave_at_home(std::function<void()> left) {
  client_ = nullptr;
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  begin_close(CloseCode::normal, kLeaving);
  if (greeting_ == nullptr) {
    if (left) left();
    return;
  }
  on_left_ = left ? std::move(left) : [] {};
  greeting_->cancel();
}

void ClientSession::evict() noexcept {
  const std::shared_ptr<ClientSession> self = weak_from_this().lock();
  reactor_.stop_timer(*this);
  resolver_.cancel();
  is_closing_ = true;
  home_lost();
  if (greeting_ != nullptr) greeting_->cancel();
  if (connection_ != nullptr) {
    connection_->shut_down(CloseCode::going_away, {});
    connection_->give_up("the client's loop has ended");
  } else {
    settle(ConnectionState::closed, closed("the client's loop has ended"));
  }
}

// --- at home: messages --------------------------------------------------------------------------

void ClientSession::drain_outgoing() {
  constexpr std::size_t kKept = 64 * 1024;
  {
    const std::lock_guard lock(mutex_);
    outbox_bytes_ += outgoing_.bytes.size();  // until they are there, and counted by update_room
    std::swap(outgoing_, draining_);
    outbox_bytes_ += draining_.bytes.size();
    drain_posted_ = false;
  }
  if (phase_ == Phase::open) {
    std::span<const std::byte> bytes = draining_.bytes.span();
    for (const auto& [size, opcode] : draining_.messages) {
      connection_->send(opcode, bytes.first(size), config_->fragment_size);
      bytes = bytes.subspan(size);
    }
    messages_sent_.add(draining_.messages.size());
  }
  if (draining_.bytes.size() > kKept) {
    draining_ = {};
  } else {
    draining_.bytes.clear();
    draining_.messages.clear();
  }
  update_room();
}

void ClientSession::update_room() {
  Gates senders;
  {
    const std::lock_guard lock(mutex_);
    outbox_bytes_ = connection_ == nullptr ? 0 : connection_->outbox_bytes();
    if (senders_.empty() || !has_room(config_->outbox_limit / 2)) return;
    senders.swap(senders_);
  }
  end(std::move(senders));
}

void ClientSession::on_message(Opcode opcode, std::span<const std::byte> message) noexcept {
  messages_received_.add();
  try {
    if (form_ == shards::Form::raw) {
      const std::string_view text(reinterpret_cast<const char*>(message.data()), message.size());
      Packet packet;
      packet.source = PacketSource::unknown;
      packet.data = opcode == Opcode::text ? Value::of(text) : Value::of(message);
      return take_packet(packet, message.size());
    }
    const Packet packet = protocol::decode_packet(
        config_->format, message, {config_->max_depth, config_->max_elements}, reactor_.document());
    if (packet.response() == nullptr) return take_packet(packet, message.size());
    const auto outcome = calls_.answer(packet, message.size());
    if (outcome == ClientCalls::Outcome::unwanted) answers_unwanted_.add();
    if (outcome == ClientCalls::Outcome::unexpected) abort_stream(packet.response()->call_id);
  } catch (...) {
    log(LogLevel::error,
        "a message was lost: " + webshocket::detail::describe_exception(std::current_exception()));
  }
}

void ClientSession::take_packet(const Packet& packet, std::size_t bytes) {
  if (config_->on_receive) {
    if (client_ == nullptr) return;
    return call_user("on_receive", [&] { config_->on_receive(*client_, packet); });
  }
  if (config_->receive_policy != ReceivePolicy::wait && backlog_.is_full(level_)) {
    if (config_->receive_policy == ReceivePolicy::drop_new) return packets_dropped_.add();
    while (backlog_.is_full(level_)) {
      const auto oldest = packets_->try_take();
      if (!oldest) break;
      taken(*oldest);
      packets_dropped_.add();
    }
  }
  backlog_.added(level_, bytes);
  packets_->push({OwnedPacket(packet), bytes});
}

void ClientSession::abort_stream(std::string_view call_id) {
  if (phase_ != Phase::open) return;
  const webshocket::detail::CallArguments<std::string_view> arguments(call_id);
  Encoded message = encode(arguments.request("__abort__"), calls_.next_number());
  drain_outgoing();  // its own request may still be there
  connection_->send(message.opcode, message.bytes.span(), config_->fragment_size);
  messages_sent_.add();
}

template <class F>
void ClientSession::call_user(const char* what, F&& f) noexcept {
  const std::shared_ptr<ClientSession> self = shared_from_this();  // it may end the client
  try {
    f();
  } catch (...) {
    log(LogLevel::error, std::string(what) + " failed: " +
                             webshocket::detail::describe_exception(std::current_exception()));
  }
}

void ClientSession::log(LogLevel level, std::string_view text) const noexcept {
  if (!config_->log) return;
  try {
    config_->log(level, text);
  } catch (...) {  // NOLINT(bugprone-empty-catch): there is nobody left to tell
  }
}

}  // namespace webshocket::engine
