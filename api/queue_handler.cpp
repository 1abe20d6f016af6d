#include <webshocket/queue_handler.hpp>

#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <webshocket/config.hpp>
#include <webshocket/error.hpp>

#include "api/access.hpp"
#include "api/counters.hpp"
#include "api/pull.hpp"

namespace webshocket {
namespace {

constexpr const char* kClosed = "the connection has closed";

/// The connection's end of its queue, kept in its session.
struct PullSlot {
  std::shared_ptr<detail::PullState> state;
};

detail::PullState& checked(const std::shared_ptr<detail::PullState>& state) {
  if (state == nullptr) throw UsageError("this PullConnection holds no connection");
  return *state;
}

void check_may_block(const char* call, const char* instead) {
  if (detail::Hub::current() == nullptr) return;
  throw UsageError(std::string(call) + " blocks, which a shard's thread must not: " + instead);
}

/// Runs `fn` on the connection's shard and waits for what it says. When the connection or the
/// server goes first, `fn` is destroyed without a call, which breaks the promise.
bool ask(const Peer& peer, std::function<bool(Connection&)> fn) {
  check_may_block("this call", "peer().post(…) is there");
  auto promise = std::make_shared<std::promise<bool>>();
  auto answer = promise->get_future();
  const bool posted =
      peer.post([promise = std::move(promise), fn = std::move(fn)](Connection& connection) {
        try {
          promise->set_value(fn(connection));
        } catch (...) {
          promise->set_exception(std::current_exception());
        }
      });
  if (!posted) throw ConnectionClosedError(kClosed);
  try {
    return answer.get();
  } catch (const std::future_error&) {
    throw ConnectionClosedError(kClosed);
  }
}

std::vector<std::string> copies(const Names& names) {
  const auto list = names.list();
  return {list.begin(), list.end()};
}

}  // namespace

PullConnection::PullConnection(std::shared_ptr<detail::PullState> state) noexcept
    : state_(std::move(state)) {}

PullConnection& PullConnection::operator=(PullConnection&& other) noexcept {
  // The old state goes into a temporary, whose end closes it.
  PullConnection old(std::exchange(state_, std::move(other.state_)));
  return *this;
}

PullConnection::~PullConnection() {
  if (state_ == nullptr) return;
  try {
    state_->abandon();
    if (state_->state() != ConnectionState::closed) state_->peer().close();
  } catch (...) {  // NOLINT(bugprone-empty-catch): out of memory; the client ends it then
  }
}

OwnedPacket PullConnection::recv(std::chrono::milliseconds timeout) {
  check_may_block("recv()", "co_await recv_async()");
  return checked(state_).recv(timeout);
}

Task<OwnedPacket> PullConnection::recv_async(std::chrono::milliseconds timeout) {
  checked(state_);
  return detail::PullState::recv_async(state_, timeout);
}

bool PullConnection::subscribe(const Names& names) {
  return ask(peer(),
             [list = copies(names)](Connection& connection) { return connection.subscribe(list); });
}

void PullConnection::unsubscribe(const Names& names) {
  ask(peer(), [list = copies(names)](Connection& connection) {
    connection.unsubscribe(list);
    return true;
  });
}

void PullConnection::close(CloseCode code, std::string_view reason) { peer().close(code, reason); }

const Peer& PullConnection::peer() const noexcept {
  static const Peer kNobody;
  return state_ == nullptr ? kNobody : state_->peer();
}

ConnectionState PullConnection::state() const noexcept {
  return state_ == nullptr ? ConnectionState::disconnected : state_->state();
}

std::string PullConnection::remote_address() const { return checked(state_).remote_address(); }

QueueHandler::QueueHandler() = default;
QueueHandler::~QueueHandler() = default;

void QueueHandler::attach(std::shared_ptr<detail::AcceptQueue> queue) noexcept {
  queue_ = std::move(queue);
}

void QueueHandler::on_connect(Connection& connection) {
  if (queue_ == nullptr) return;
  const Config& config = detail::ConnectionAccess::hub(connection).config();
  auto& slot = connection.session<PullSlot>();
  slot.state =
      std::make_shared<detail::PullState>(connection.peer(), connection.remote_address(),
                                          config.packet_queue_size, config.packet_queue_bytes);
  if (!queue_->push(slot.state)) {
    detail::ConnectionAccess::hub(connection).counters().accepts_refused.add();
    connection.close(CloseCode::try_again_later,
                     "too many connections wait to be accepted (accept_queue_size)");
  }
}

Task<void> QueueHandler::on_receive_async(Connection& connection, OwnedPacket packet) {
  const PullSlot* slot = connection.find<PullSlot>();
  if (slot == nullptr || slot->state == nullptr) return {};
  return detail::PullState::push(slot->state, std::move(packet));
}

void QueueHandler::on_disconnect(Connection& connection) {
  const PullSlot* slot = connection.find<PullSlot>();
  if (slot != nullptr && slot->state != nullptr) slot->state->close();
}

}  // namespace webshocket
