// What a FakeShard's clients send and get.

#include <algorithm>
#include <array>
#include <cstddef>
#include <exception>
#include <set>
#include <string>
#include <utility>

#include <webshocket/error.hpp>

#include "api/access.hpp"
#include "api/dispatch.hpp"
#include "api/fake_hub.hpp"
#include "api/glob.hpp"

namespace webshocket::detail {
namespace {

Uid uid_of(std::uint64_t number) noexcept {
  Uid uid;
  for (std::size_t i = 0; i < sizeof number; ++i) {
    uid.bytes[uid.bytes.size() - 1 - i] = static_cast<std::byte>(number >> (8 * i));
  }
  return uid;
}

Form form_of(Format format) noexcept {
  switch (format) {
    case Format::msgpack:
      return Form::msgpack;
    case Format::json:
      return Form::json_text;
    case Format::raw:
      break;
  }
  return Form::raw;
}

bool holds_ext(const Value& value) noexcept {
  switch (value.type()) {
    case Value::Type::ext:
      return true;
    case Value::Type::array:
      return std::ranges::any_of(value.elements(), holds_ext);
    case Value::Type::map:
      return std::ranges::any_of(value.members(), [](const Value::Member& member) {
        return holds_ext(member.key) || holds_ext(member.value);
      });
    default:
      return false;
  }
}

/// What no encoder of that format would take.
bool can_hold(Format format, const Value& value) noexcept {
  return format == Format::msgpack || !holds_ext(value);
}

bool matches(const std::string& subscription, std::string_view channel) {
  return subscription == channel ||
         (is_pattern(subscription) && Glob(subscription).matches(channel));
}

/// The packets of a publish or broadcast, one for each recipient.
Packet packet_of(const Content& content, const Document& data, PacketSource source) {
  if (content.packet != nullptr) return *content.packet;
  Packet packet;
  packet.source = source;
  packet.data = data.root();
  return packet;
}

}  // namespace

FakeConnection& FakeHub::connect(Format format, UpgradeRequest request) {
  if (request.uid == Uid()) request.uid = uid_of(++minted_);
  if (request.path.empty()) request.path = request.target = "/";
  Upgrade answer;
  try {
    answer = ask(request);
  } catch (const UsageError&) {
    throw;
  } catch (...) {
    const std::string why = describe_exception(std::current_exception());
    counters_.handler_errors.add();
    log(LogLevel::error, "on_upgrade failed: " + why);
    throw ConnectionFailedError("HTTP 500: " + why);
  }
  if (answer.rejected_status != 0) {
    throw ConnectionFailedError("HTTP " + std::to_string(answer.rejected_status) + ": " +
                                answer.rejected_body);
  }
  const Form form = answer.is_raw ? Form::raw : form_of(format);
  FakeConnection& connection = *connections_.emplace_back(
      std::unique_ptr<FakeConnection>(new FakeConnection(*this, *handler_, request.uid, form)));
  connection.certificate_ = std::move(request.client_certificate);
  for (auto& [key, value] : answer.session_values) {
    ConnectionAccess::session(connection)[key] = std::move(value);
  }
  connection.set_state(ConnectionState::connected);
  counters_.connections.add();
  counters_.connections_total.add();
  dispatch_connect(*handler_, connection);
  return connection;
}

void FakeHub::leave(FakeConnection& connection) noexcept {
  if (std::exchange(connection.left_, true)) return;
  connection.set_state(ConnectionState::closed);
  counters_.connections.subtract();
  dispatch_disconnect(*handler_, connection);
  connection.subscriptions_.clear();
  connection.parked_.clear();
}

FakeReply FakeHub::call(FakeConnection& connection, std::string_view method, const Value& args,
                        const Value& kwargs) {
  const auto state = std::make_shared<FakeReply::State>();
  state->call_id = "fake-" + std::to_string(++minted_);
  replies_.emplace(state->call_id, state);

  RpcRequest request;
  request.method = method;
  request.call_id = state->call_id;
  if (args.is_array()) request.args = args.elements();
  if (kwargs.is_map()) request.kwargs = kwargs.members();
  Packet packet;
  packet.source = PacketSource::rpc;
  packet.rpc = request;
  receive(connection, packet);
  return FakeReply(state);
}

void FakeHub::receive(FakeConnection& connection, const Packet& packet,
                      std::optional<Opcode> opcode) {
  if (connection.state() != ConnectionState::connected) return;
  counters_.messages_received.add();
  if (is_abort(packet) || (connection.parked_.empty() && may_dispatch(connection))) {
    dispatch_now(connection, packet, opcode);
  } else {
    connection.parked_.push_back({OwnedPacket(packet), opcode});
  }
}

bool FakeHub::may_dispatch(const FakeConnection& connection) noexcept {
  const auto below = [](std::size_t count, std::size_t limit) {
    return limit == 0 || count < limit;
  };
  return connection.state() == ConnectionState::connected && !connection.event_in_flight() &&
         below(connection.calls_in_flight(), config_.rpc_task_limit) &&
         below(calls_.rpc_size(), config_.rpc_task_limit_per_shard);
}

void FakeHub::dispatch_now(FakeConnection& connection, const Packet& packet,
                           std::optional<Opcode> opcode) noexcept {
  if (opcode) {
    dispatch_raw(*handler_, connection, packet.data.bytes(), *opcode);
  } else {
    dispatch(*handler_, connection, packet);
  }
}

bool FakeHub::run_parked() noexcept {
  bool any = false;
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    FakeConnection& connection = *connections_[i];
    while (!connection.parked_.empty() && may_dispatch(connection)) {
      const auto next = std::move(connection.parked_.front());
      connection.parked_.pop_front();
      dispatch_now(connection, next.packet.view(), next.opcode);
      any = true;
    }
  }
  return any;
}

bool FakeHub::run_closed() noexcept {
  bool any = false;
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    FakeConnection& connection = *connections_[i];
    if (connection.left_ || connection.state() != ConnectionState::closed) continue;
    leave(connection);
    any = true;
  }
  return any;
}

SendStatus FakeHub::send(FakeConnection& to, const Packet& packet) {
  if (!can_hold(to.format(), packet.data)) {
    throw PacketError("send: the value does not fit the format " +
                      std::string(to_string(to.format())));
  }
  return deliver(to, packet);
}

SendStatus FakeHub::deliver(FakeConnection& to, const Packet& packet) {
  if (to.state() != ConnectionState::connected) return SendStatus::dropped;
  if (to.format() == Format::raw) {
    to.sent_.emplace_back(PacketSource::custom, packet.data);
  } else {
    to.sent_.emplace_back(packet);
  }
  counters_.messages_sent.add();
  return to.writable_ ? SendStatus::ok : SendStatus::congested;
}

bool FakeHub::respond(FakeConnection& to, const Packet& packet) {
  const RpcResponse& response = *packet.response();
  if (!can_hold(to.format(), response.response)) return false;
  const auto found = replies_.find(response.call_id);
  if (found == replies_.end()) {
    deliver(to, packet);
    return true;
  }
  if (to.state() != ConnectionState::connected) return true;
  FakeReply::State& reply = *found->second;
  ++reply.responses;
  reply.finished = response.error.has_value() || !response.is_stream || response.is_end;
  if (response.error) {
    reply.error = response.error;
    reply.error_text = response.response.is_string() ? std::string(response.response.string()) : "";
  } else if (!response.is_stream || !response.is_end) {
    reply.values.push_back(clone(response.response));
  }
  return true;
}

bool FakeHub::subscribe(FakeConnection& connection, std::span<const std::string_view> names) {
  auto list = connection.subscriptions_;
  for (const std::string_view name : names) {
    if (config_.max_channel_name != 0 && name.size() > config_.max_channel_name) return false;
    if (std::ranges::find(list, name) == list.end()) list.emplace_back(name);
  }
  const std::size_t limit = config_.max_subscribed_channels;
  const bool adds = list.size() > connection.subscriptions_.size();
  if (adds && limit != 0 && list.size() > limit) return false;
  connection.subscriptions_ = std::move(list);
  return true;
}

void FakeHub::close(FakeConnection& connection, CloseCode code, std::string_view reason) {
  connection.close_code_ = code;
  connection.close_reason_ = reason.substr(0, 123);
  // `on_disconnect` follows at the end of the turn, as it would when the socket goes.
  connection.set_state(ConnectionState::closed);
}

bool FakeHub::publish(const Handler&, std::span<const std::string_view> channels,
                      const Content& content, const Predicate& predicate) {
  if (stops_) return false;
  const Document data = Document::of(content.data);
  for (const std::string_view channel : channels) {
    Packet packet = packet_of(content, data, PacketSource::channel);
    packet.channel = channel;
    for (const auto& connection : connections_) {
      if (connection->state() != ConnectionState::connected) continue;
      if (!can_hold(connection->format(), packet.data)) continue;
      const bool subscribed =
          std::ranges::any_of(connection->subscriptions_,
                              [&](const std::string& name) { return matches(name, channel); });
      if (subscribed && predicate(*connection)) deliver(*connection, packet);
    }
  }
  return true;
}

bool FakeHub::broadcast(const Handler&, const Content& content, const Predicate& predicate) {
  if (stops_) return false;
  const Document data = Document::of(content.data);
  const Packet packet = packet_of(content, data, PacketSource::broadcast);
  for (const auto& connection : connections_) {
    if (connection->state() != ConnectionState::connected) continue;
    if (can_hold(connection->format(), packet.data) && predicate(*connection)) {
      deliver(*connection, packet);
    }
  }
  return true;
}

std::vector<Connection*> FakeHub::subscribers(const Handler&, std::string_view channel) {
  std::vector<Connection*> list;
  for (const auto& connection : connections_) {
    if (connection->state() != ConnectionState::connected) continue;
    if (std::ranges::any_of(connection->subscriptions_,
                            [&](const std::string& name) { return matches(name, channel); })) {
      list.push_back(connection.get());
    }
  }
  return list;
}

std::vector<std::string> FakeHub::channels() const {
  std::set<std::string> names;
  for (const auto& connection : connections_) {
    names.insert(connection->subscriptions_.begin(), connection->subscriptions_.end());
  }
  return {names.begin(), names.end()};
}

}  // namespace webshocket::detail
