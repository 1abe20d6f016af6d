// The two forms of every call, over the one session.

#include <webshocket/client.hpp>

#include <chrono>
#include <string>
#include <utility>

#include <webshocket/detail/hub.hpp>
#include <webshocket/error.hpp>

#include "api/deadline.hpp"
#include "engine/client_home.hpp"
#include "engine/client_session.hpp"

namespace webshocket {
namespace engine {

/// A stream as its reader has it.
class ClientStreamState {
 public:
  ClientStreamState(std::shared_ptr<ClientSession> of, CallOptions call_options, std::string called,
                    std::shared_ptr<PendingCall> pending, ClientSession::Encoded message)
      : session(std::move(of)),
        options(std::move(call_options)),
        method(std::move(called)),
        call(std::move(pending)),
        request(std::move(message)) {}

  std::shared_ptr<ClientSession> session;
  CallOptions options;
  std::string method;
  std::shared_ptr<PendingCall> call;
  ClientSession::Encoded request;
  bool is_sent = false;
  bool is_over = false;
};

}  // namespace engine

namespace {

using engine::ClientSession;
using engine::Gate;
using engine::PendingCall;
using Clock = std::chrono::steady_clock;
using Session = std::shared_ptr<ClientSession>;

constexpr auto kForEver = Clock::time_point::max();

void check_may_block(const char* call, const char* instead) {
  if (detail::Hub::current() == nullptr) return;
  throw UsageError(std::string(call) + "() waits, which a loop's thread must not: co_await " +
                   instead + "() there");
}

Clock::time_point after(std::chrono::milliseconds timeout) {
  return Clock::now() + detail::bounded_timeout(timeout);
}

std::chrono::milliseconds timeout_of(const ClientSession& session, const CallOptions& options) {
  return options.timeout.value_or(session.config().call_timeout);
}

/// The answer is wanted until its end, by whatever it ends.
class Wanted {
 public:
  Wanted(ClientSession& session, PendingCall& call) noexcept : session_(session), call_(call) {}
  Wanted(const Wanted&) = delete;
  Wanted& operator=(const Wanted&) = delete;
  ~Wanted() { session_.forget(call_); }

 private:
  ClientSession& session_;
  PendingCall& call_;
};

[[noreturn]] void throw_rpc_timeout(const ClientSession& session, std::string_view method,
                                    const CallOptions& options) {
  std::string text = "no answer to '" + std::string(method) + "' within " +
                     std::to_string(timeout_of(session, options).count()) + " ms";
  if (session.waits_for_room()) {
    text +=
        "; nothing is read, because packets wait that nobody takes: call recv(), set "
        "on_receive, or choose another receive_policy";
  }
  throw RpcTimeoutError(text);
}

[[noreturn]] void throw_send_timeout(const ClientSession& session) {
  throw TimeoutError("the outbox stayed full for " +
                     std::to_string(session.config().call_timeout.count()) +
                     " ms: outbox_limit reached");
}

// --- sending ------------------------------------------------------------------------------------

void send_blocking(ClientSession& session, ClientSession::Encoded message,
                   const std::shared_ptr<PendingCall>& call, Clock::time_point deadline,
                   const std::stop_token& stop = {}) {
  while (!session.try_send(message, call)) {
    session.room(message.bytes.size())->take(deadline, stop);
  }
}

Task<void> send_awaiting(Session session, ClientSession::Encoded message,
                         std::shared_ptr<PendingCall> call, Clock::time_point deadline,
                         std::stop_token stop) {
  while (!session->try_send(message, call)) {
    auto room = Gate::take_async(session->room(message.bytes.size()), deadline, stop);
    co_await std::move(room);
  }
}

void send_plain(ClientSession& session, ClientSession::Encoded message) {
  if (detail::Hub::current() != nullptr) {
    if (!session.try_send(message)) {
      throw WebSocketError(
          "outbox_limit reached, and a loop's thread must not wait: co_await "
          "send_async");
    }
    return;
  }
  try {
    send_blocking(session, std::move(message), nullptr, after(session.config().call_timeout));
  } catch (const TimeoutError&) {
    throw_send_timeout(session);
  }
}

Task<void> send_plain_async(Session session, ClientSession::Encoded message) {
  const auto deadline = after(session->config().call_timeout);
  bool is_late = false;
  try {
    auto sent = send_awaiting(session, std::move(message), nullptr, deadline, {});
    co_await std::move(sent);
  } catch (const TimeoutError&) {
    is_late = true;
  }
  if (is_late) throw_send_timeout(*session);
}

SendStatus try_send_plain(ClientSession& session, ClientSession::Encoded message) {
  try {
    if (!session.try_send(message)) return SendStatus::dropped;
  } catch (const ConnectionClosedError&) {
    return SendStatus::dropped;
  }
  return session.is_congested() ? SendStatus::congested : SendStatus::ok;
}

// --- calls --------------------------------------------------------------------------------------

void check_rate(const OwnedRpcResponse& response, const CallOptions& options) {
  if (options.raise_on_rate_limit && response->error == RpcErrorCode::rate_limit_exceeded) {
    response.throw_if_error();
  }
}

Task<OwnedRpcResponse> answer_to(Session session, CallOptions options, std::string method,
                                 std::shared_ptr<PendingCall> call,
                                 ClientSession::Encoded message) {
  const auto deadline = after(timeout_of(*session, options));
  const Wanted wanted(*session, *call);
  std::optional<PendingCall::Answer> answer;
  try {
    auto sent = send_awaiting(session, std::move(message), call, deadline, options.stop);
    co_await std::move(sent);
    auto answered = PendingCall::Inlet::take_async(call->answers, deadline, options.stop);
    answer = co_await std::move(answered);
  } catch (const TimeoutError&) {
    answer.reset();
  }
  if (!answer) throw_rpc_timeout(*session, method, options);
  check_rate(answer->response, options);
  co_return std::move(answer->response);
}

// --- waits --------------------------------------------------------------------------------------

/// No gate: there is nothing to wait for.
Task<void> pass(std::shared_ptr<Gate> gate, Clock::time_point deadline) {
  if (gate == nullptr) co_return;
  auto passed = Gate::take_async(std::move(gate), deadline);
  co_await std::move(passed);
}

Task<void> connect_awaiting(Session session, Client& client, Retry retry) {
  auto passed = pass(session->connect(client, retry), kForEver);
  co_await std::move(passed);
}

Task<void> close_awaiting(Session session, CloseCode code, std::string reason) {
  auto passed = pass(session->close(code, reason), kForEver);
  co_await std::move(passed);
}

Task<void> wait_connected_awaiting(Session session, std::chrono::milliseconds timeout) {
  auto passed = pass(session->wait_connected(), after(timeout));
  co_await std::move(passed);
}

Task<OwnedPacket> recv_awaiting(Session session, std::chrono::milliseconds timeout) {
  auto taken = ClientSession::Packets::take_async(session->packets(), after(timeout));
  auto received = co_await std::move(taken);
  session->taken(*received);
  co_return std::move(received->packet);
}

void check_may_receive(const ClientSession& session) {
  if (session.config().on_receive) throw UsageError("recv(): on_receive gets the packets");
}

// --- making -------------------------------------------------------------------------------------

Session make_session(std::string_view uri, std::shared_ptr<const ClientConfig> config,
                     const engine::ClientHome& home) {
  if (config == nullptr) throw UsageError("a client needs a configuration");
  return std::make_shared<ClientSession>(uri, std::move(config), home);
}

std::shared_ptr<engine::ClientStreamState> make_stream(Session session, const CallOptions& options,
                                                       const detail::Request& request) {
  const std::uint64_t number = session->calls().next_number();
  auto call = session->make_call(true, number);
  auto message = session->encode(request, number);
  return std::make_shared<engine::ClientStreamState>(std::move(session), options,
                                                     std::string(request.method), std::move(call),
                                                     std::move(message));
}

}  // namespace

// --- the client ---------------------------------------------------------------------------------

Client::Client(std::string_view uri, ClientConfig config)
    : Client(uri, std::move(config), ClientLoop()) {}

Client::Client(std::string_view uri, ClientConfig config, const ClientLoop& loop)
    : Client(uri, loop, std::make_shared<const ClientConfig>(std::move(config))) {}

Client::Client(std::string_view uri, const ClientLoop& loop) : Client(uri, ClientConfig(), loop) {}

Client::Client(std::string_view uri, const ClientLoop& loop,
               std::shared_ptr<const ClientConfig> config)
    : home_(loop.home()), session_(make_session(uri, std::move(config), *home_)) {}

Client::~Client() { session_->leave(); }

void Client::connect() { connect(Retry{.attempts = 1}); }

void Client::connect(const Retry& retry) {
  check_may_block("connect", "connect_async");
  if (const auto gate = session_->connect(*this, retry)) gate->take(kForEver);
}

Task<void> Client::connect_async() { return connect_async(Retry{.attempts = 1}); }

Task<void> Client::connect_async(const Retry& retry) {
  return connect_awaiting(session_, *this, retry);
}

void Client::wait_connected(std::chrono::milliseconds timeout) {
  check_may_block("wait_connected", "wait_connected_async");
  if (const auto gate = session_->wait_connected()) gate->take(after(timeout));
}

Task<void> Client::wait_connected_async(std::chrono::milliseconds timeout) {
  return wait_connected_awaiting(session_, timeout);
}

void Client::close(CloseCode code, std::string_view reason) {
  const auto gate = session_->close(code, reason);
  if (gate != nullptr && detail::Hub::current() == nullptr) gate->take(kForEver);
}

Task<void> Client::close_async(CloseCode code, std::string_view reason) {
  return close_awaiting(session_, code, std::string(reason));
}

ConnectionState Client::state() const noexcept { return session_->state(); }
const std::string& Client::uri() const noexcept { return session_->uri(); }
Format Client::format() const noexcept { return session_->config().format; }
const ClientConfig& Client::config() const noexcept { return session_->config(); }
ClientLoop Client::loop() const { return ClientLoop(home_); }
ClientStats Client::stats() const noexcept { return session_->stats(); }

void Client::send(Payload data, Compress compress) {
  send_plain(*session_, session_->encode({data, nullptr, compress}));
}
void Client::send(const Packet& packet, Compress compress) {
  send_plain(*session_, session_->encode({nullptr, &packet, compress}));
}
Task<void> Client::send_async(Payload data, Compress compress) {
  return send_plain_async(session_, session_->encode({data, nullptr, compress}));
}
Task<void> Client::send_async(const Packet& packet, Compress compress) {
  return send_plain_async(session_, session_->encode({nullptr, &packet, compress}));
}
SendStatus Client::try_send(Payload data, Compress compress) {
  return try_send_plain(*session_, session_->encode({data, nullptr, compress}));
}
SendStatus Client::try_send(const Packet& packet, Compress compress) {
  return try_send_plain(*session_, session_->encode({nullptr, &packet, compress}));
}

OwnedPacket Client::recv(std::chrono::milliseconds timeout) {
  check_may_block("recv", "recv_async");
  const auto session = session_;  // the client may be destroyed meanwhile
  check_may_receive(*session);
  auto received = session->packets()->take(after(timeout));
  session->taken(*received);
  return std::move(received->packet);
}

Task<OwnedPacket> Client::recv_async(std::chrono::milliseconds timeout) {
  check_may_receive(*session_);
  return recv_awaiting(session_, timeout);
}

OwnedRpcResponse Client::request(const CallOptions& options, const detail::Request& request) {
  check_may_block("call", "call_async");
  const auto session = session_;  // the client may be destroyed meanwhile
  const std::uint64_t number = session->calls().next_number();
  ClientSession::Encoded message = session->encode(request, number);
  const auto call = session->make_call(false, number);
  const auto deadline = after(timeout_of(*session, options));
  const Wanted wanted(*session, *call);
  std::optional<PendingCall::Answer> answer;
  try {
    send_blocking(*session, std::move(message), call, deadline, options.stop);
    answer = call->answers->take(deadline, options.stop);
  } catch (const TimeoutError&) {
    throw_rpc_timeout(*session, request.method, options);
  }
  check_rate(answer->response, options);
  return std::move(answer->response);
}

Task<OwnedRpcResponse> Client::request_async(const CallOptions& options,
                                             const detail::Request& request) {
  const std::uint64_t number = session_->calls().next_number();
  return answer_to(session_, options, std::string(request.method),
                   session_->make_call(false, number), session_->encode(request, number));
}

detail::RawStream Client::open_stream(const CallOptions& options, const detail::Request& request) {
  check_may_block("stream", "stream_async");
  auto state = make_stream(session_, options, request);
  try {
    send_blocking(*state->session, std::move(state->request), state->call,
                  after(timeout_of(*state->session, options)), options.stop);
  } catch (const TimeoutError&) {
    throw_rpc_timeout(*state->session, request.method, options);
  }
  state->is_sent = true;
  return detail::RawStream(std::move(state));
}

detail::RawStream Client::open_stream_async(const CallOptions& options,
                                            const detail::Request& request) {
  return detail::RawStream(make_stream(session_, options, request));
}

// --- streams ------------------------------------------------------------------------------------

namespace detail {
namespace {

using Answer = PendingCall::Answer;

/// What a reader gets for what came.
std::optional<OwnedRpcResponse> chunk_of(engine::ClientStreamState& stream,
                                         std::optional<Answer> answer) {
  if (!answer) {
    stream.is_over = true;
    return std::nullopt;
  }
  stream.session->backlog().taken(stream.call->level, answer->bytes);
  if (!answer->response.ok()) {
    stream.is_over = true;
    answer->response.throw_if_error();
  }
  return std::move(answer->response);
}

/// Nobody wants the rest.
void give_up(engine::ClientStreamState& stream) noexcept {
  stream.is_over = true;
  if (stream.is_sent) stream.session->forget(*stream.call);
}

Task<std::optional<OwnedRpcResponse>> next_of(std::shared_ptr<engine::ClientStreamState> stream) {
  if (stream->is_over) co_return std::nullopt;
  const auto deadline = after(timeout_of(*stream->session, stream->options));
  std::optional<Answer> answer;
  bool is_late = false;
  try {
    if (!std::exchange(stream->is_sent, true)) {
      auto sent = send_awaiting(stream->session, std::move(stream->request), stream->call, deadline,
                                stream->options.stop);
      co_await std::move(sent);
    }
    auto came =
        PendingCall::Inlet::take_async(stream->call->answers, deadline, stream->options.stop);
    answer = co_await std::move(came);
  } catch (const TimeoutError&) {
    is_late = true;
  } catch (const Cancelled&) {
    give_up(*stream);
    throw;
  }
  if (is_late) throw_rpc_timeout(*stream->session, stream->method, stream->options);
  co_return chunk_of(*stream, std::move(answer));
}

}  // namespace

RawStream::RawStream(std::shared_ptr<engine::ClientStreamState> state) noexcept
    : state_(std::move(state)) {}

RawStream& RawStream::operator=(RawStream&& other) noexcept {
  if (this != &other) {
    abandon();
    state_ = std::move(other.state_);
  }
  return *this;
}

RawStream::~RawStream() { abandon(); }

void RawStream::abandon() noexcept {
  if (state_ == nullptr) return;
  give_up(*state_);
  state_.reset();
}

std::optional<OwnedRpcResponse> RawStream::next() {
  check_may_block("next", "stream_async");
  if (state_->is_over) return std::nullopt;
  try {
    return chunk_of(
        *state_, state_->call->answers->take(after(timeout_of(*state_->session, state_->options)),
                                             state_->options.stop));
  } catch (const TimeoutError&) {
    throw_rpc_timeout(*state_->session, state_->method, state_->options);
  } catch (const Cancelled&) {
    give_up(*state_);
    throw;
  }
}

Task<std::optional<OwnedRpcResponse>> RawStream::next_async() { return next_of(state_); }

}  // namespace detail
}  // namespace webshocket
