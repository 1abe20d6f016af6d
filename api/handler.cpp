#include <webshocket/handler.hpp>

#include <algorithm>
#include <utility>

#include <webshocket/error.hpp>

#include "api/access.hpp"
#include "api/calls.hpp"
#include "api/counters.hpp"
#include "api/dispatch.hpp"
#include "api/log_gate.hpp"
#include "api/working.hpp"

namespace webshocket {

Exclude::Exclude(std::initializer_list<std::reference_wrapper<const Connection>> connections) {
  uids_.reserve(connections.size());
  for (const Connection& connection : connections) uids_.push_back(connection.uid());
}

Predicate PublishOptions::combined() const {
  if (exclude.uids().empty()) return predicate;
  if (predicate.empty()) return Except(exclude.uids());
  return All(Except(exclude.uids()), predicate);
}

Handler::Handler() = default;
Handler::~Handler() = default;

Upgrade Handler::on_upgrade(const UpgradeRequest&) { return Upgrade::accept(); }
void Handler::on_connect(Connection&) {}
void Handler::on_receive(Connection&, const Packet&) {}
void Handler::on_message(Connection&, std::span<const std::byte>, Opcode) {}
void Handler::on_disconnect(Connection&) {}
void Handler::on_dropped(Connection&, const Dropped&) {}
void Handler::on_drained(Connection&) {}

// The defaults of the awaitable twins are asked once; from then on it is known that they are the
// defaults, and no packet is copied for them.
Task<Upgrade> Handler::on_upgrade_async(UpgradeRequest) {
  upgrade_async_ = false;
  return {};
}
Task<void> Handler::on_connect_async(Connection&) {
  connect_async_ = false;
  return {};
}
Task<void> Handler::on_receive_async(Connection&, OwnedPacket) {
  receive_async_ = false;
  return {};
}

RpcDecision Handler::before_rpc(const RpcCall&) { return RpcDecision::proceed(); }
void Handler::after_rpc(const RpcCall&, const RpcOutcome&) {}

detail::Hub& Handler::checked_hub() const {
  if (hub_ == nullptr) {
    throw UsageError("a handler can send, count and wait from on_start on, not in its constructor");
  }
  hub_->check_thread();
  return *hub_;
}

RpcMethod& Handler::add_method(std::string name, RpcMethod method) {
  if (hub_ != nullptr) hub_->check_thread();
  if (name.empty()) throw UsageError("an RPC method needs a name");
  if (name.starts_with("__"))
    throw UsageError("RPC method '" + name + "': names with __ are taken");
  method.name_ = name;
  method.label_ = &detail::label_of_method(name);
  auto& place = methods_[std::move(name)];
  place = std::make_shared<RpcMethod>(std::move(method));
  return *place;
}

bool Handler::remove_rpc(std::string_view name) {
  if (hub_ != nullptr) hub_->check_thread();
  const auto found = methods_.find(name);
  if (found == methods_.end()) return false;
  methods_.erase(found);
  return true;
}

const RpcMethod* Handler::find_rpc(std::string_view name) const noexcept {
  const auto found = methods_.find(name);
  return found == methods_.end() ? nullptr : found->second.get();
}

std::vector<const RpcMethod*> Handler::methods() const {
  std::vector<const RpcMethod*> list;
  list.reserve(methods_.size());
  for (const auto& [name, method] : methods_) list.push_back(method.get());
  std::ranges::sort(list, {},
                    [](const RpcMethod* method) -> const std::string& { return method->name(); });
  return list;
}

bool Handler::publish(const Names& channels, Payload data, const Predicate& predicate) {
  return checked_hub().publish(*this, channels.list(), {data}, predicate);
}

bool Handler::publish(const Names& channels, Payload data, const PublishOptions& options) {
  return checked_hub().publish(*this, channels.list(),
                               {data, nullptr, options.compress, options.key}, options.combined());
}

bool Handler::publish(const Names& channels, const Packet& packet, const Predicate& predicate) {
  return publish(channels, packet, PublishOptions{.predicate = predicate});
}

bool Handler::publish(const Names& channels, const Packet& packet, const PublishOptions& options) {
  if (packet.source != PacketSource::channel) {
    throw PacketError("publish() takes packets of the source channel");
  }
  return checked_hub().publish(*this, channels.list(),
                               {nullptr, &packet, options.compress, options.key},
                               options.combined());
}

bool Handler::broadcast(Payload data, const Predicate& predicate) {
  return checked_hub().broadcast(*this, {data}, predicate);
}

bool Handler::broadcast(Payload data, const PublishOptions& options) {
  return checked_hub().broadcast(*this, {data, nullptr, options.compress, options.key},
                                 options.combined());
}

bool Handler::broadcast(const Packet& packet, const Predicate& predicate) {
  return broadcast(packet, PublishOptions{.predicate = predicate});
}

bool Handler::broadcast(const Packet& packet, const PublishOptions& options) {
  if (packet.source != PacketSource::broadcast) {
    throw PacketError("broadcast() takes packets of the source broadcast");
  }
  return checked_hub().broadcast(*this, {nullptr, &packet, options.compress, options.key},
                                 options.combined());
}

const detail::Roster& Handler::clients() const {
  checked_hub();
  return roster_;
}

std::vector<Connection*> Handler::subscribers(std::string_view channel) const {
  return checked_hub().subscribers(*this, channel);
}

std::vector<std::string> Handler::channels() const { return checked_hub().channels(); }
std::size_t Handler::client_count() const { return checked_hub().client_count(); }
std::size_t Handler::shard() const { return checked_hub().shard(); }
std::size_t Handler::shard_count() const { return checked_hub().shard_count(); }
std::chrono::steady_clock::time_point Handler::now() const { return checked_hub().now(); }

void Handler::log(LogLevel level, std::string_view text) const {
  if (hub_ != nullptr) hub_->log(level, text);
}

void Handler::defer(std::function<void()> function) { checked_hub().defer(std::move(function)); }

void Handler::spawn(Task<void> task) {
  detail::Hub& hub = checked_hub();
  if (!task) throw UsageError("spawn() takes a task that a coroutine returned");
  hub.calls().start(nullptr, std::move(task), [&hub](std::exception_ptr error) {
    if (!error) return;
    try {
      std::rethrow_exception(error);
    } catch (const Cancelled&) {  // NOLINT(bugprone-empty-catch): the shard stops
    } catch (...) {
      hub.counters().handler_errors.add();
      detail::log_if_possible(hub, LogLevel::error, [] {
        return "a spawned task failed: " + detail::describe_exception(std::current_exception());
      });
    }
  });
}

namespace {

Task<void> repeat(detail::Hub& hub, std::shared_ptr<bool> running, std::chrono::nanoseconds period,
                  std::function<void()> function) {
  auto due = hub.now();
  for (;;) {
    due += period;
    // A handler that was late does not get the missed beats all at once.
    if (due < hub.now()) due = hub.now();
    co_await sleep_for(due - hub.now());
    if (!*running) co_return;
    try {
      const detail::Working working(hub, detail::kTimer);
      function();
    } catch (...) {
      hub.counters().handler_errors.add();
      detail::log_if_possible(hub, LogLevel::error, [] {
        return "a timer's function failed: " + detail::describe_exception(std::current_exception());
      });
    }
    if (!*running) co_return;
  }
}

}  // namespace

TimerHandle Handler::every(std::chrono::nanoseconds period, std::function<void()> function) {
  detail::Hub& hub = checked_hub();
  if (period <= std::chrono::nanoseconds(0))
    throw UsageError("every(): the period must be positive");
  auto running = std::make_shared<bool>(true);
  TimerHandle handle(running);
  spawn(repeat(hub, std::move(running), period, std::move(function)));
  return handle;
}

namespace detail {

void Roster::add(Connection& connection) {
  ConnectionAccess::roster_index(connection) = static_cast<std::uint32_t>(slots_.size());
  slots_.push_back(&connection);
  ++changes_;
}

void Roster::remove(Connection& connection) noexcept {
  const std::size_t index = ConnectionAccess::roster_index(connection);
  if (index >= slots_.size() || slots_[index] != &connection) return;
  slots_[index] = nullptr;
  ++holes_;
  ++changes_;
}

void Roster::compact() noexcept {
  if (holes_ < 16 || holes_ * 4 < slots_.size()) return;
  std::size_t to = 0;
  for (Connection* connection : slots_) {
    if (connection == nullptr) continue;
    ConnectionAccess::roster_index(*connection) = static_cast<std::uint32_t>(to);
    slots_[to++] = connection;
  }
  slots_.resize(to);
  holes_ = 0;
  if (slots_.capacity() > 4 * slots_.size() + 64) slots_.shrink_to_fit();
}

}  // namespace detail
}  // namespace webshocket
