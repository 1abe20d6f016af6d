#include <webshocket/testing.hpp>

#include <algorithm>
#include <utility>

#include <webshocket/error.hpp>

#include "api/access.hpp"
#include "api/fake_hub.hpp"

namespace webshocket {

using detail::FakeHub;

FakeConnection::FakeConnection(FakeHub& hub, Handler& handler, Uid uid, detail::Form form)
    : Connection(hub, handler, uid, form), fake_(hub) {}

FakeConnection::~FakeConnection() = default;

void FakeConnection::set_writable(bool writable) {
  const FakeHub::Turn turn(fake_);
  writable_ = writable;
  if (writable) fake_.calls().outbox_drained(*this);
}

SendStatus FakeConnection::do_send(const detail::Content& content, std::size_t) {
  const Document data = Document::of(content.data);
  Packet packet;
  packet.data = data.root();
  return fake_.send(*this, content.packet == nullptr ? packet : *content.packet);
}

bool FakeConnection::do_respond(std::string_view call_id, Payload response,
                                std::optional<RpcErrorCode> error, bool is_stream, bool is_end) {
  Document value;
  try {
    value = Document::of(response);
  } catch (...) {
    return false;  // as an encoder: its own writing failed
  }
  Packet packet;
  packet.source = PacketSource::rpc;
  packet.rpc = RpcResponse{call_id, value.root(), error, is_stream, is_end};
  return fake_.respond(*this, packet);
}

bool FakeConnection::do_subscribe(std::span<const std::string_view> names) {
  return fake_.subscribe(*this, names);
}

void FakeConnection::do_unsubscribe(std::span<const std::string_view> names) {
  std::erase_if(subscriptions_, [names](const std::string& subscription) {
    return std::ranges::find(names, subscription) != names.end();
  });
}

void FakeConnection::do_close(CloseCode code, std::string_view reason) {
  fake_.close(*this, code, reason);
}

FakeShardBase::FakeShardBase(HandlerFactory factory, Config config)
    : hub_(std::make_unique<FakeHub>(factory, std::move(config))) {}

FakeShardBase::~FakeShardBase() = default;

FakeConnection& FakeShardBase::connect(Format format, UpgradeRequest request) {
  const FakeHub::Turn turn(*hub_);
  return hub_->connect(format, std::move(request));
}

void FakeShardBase::disconnect(FakeConnection& connection) {
  const FakeHub::Turn turn(*hub_);
  hub_->leave(connection);
}

FakeReply FakeShardBase::call_with(FakeConnection& connection, std::string_view method,
                                   Document args, Document kwargs) {
  const FakeHub::Turn turn(*hub_);
  return hub_->call(connection, method, args.root(), kwargs.root());
}

void FakeShardBase::abort(FakeConnection& connection, const FakeReply& reply) {
  const FakeHub::Turn turn(*hub_);
  const Value id = Value::of(std::string_view(reply.call_id()));
  RpcRequest request;
  request.method = "__abort__";
  request.args = std::span(&id, 1);
  Packet packet;
  packet.source = PacketSource::rpc;
  packet.rpc = request;
  hub_->receive(connection, packet);
}

void FakeShardBase::receive(FakeConnection& connection, Payload data) {
  receive(connection, OwnedPacket(PacketSource::custom, data).view());
}

void FakeShardBase::receive(FakeConnection& connection, const Packet& packet) {
  const FakeHub::Turn turn(*hub_);
  hub_->receive(connection, packet);
}

void FakeShardBase::receive_raw(FakeConnection& connection, std::span<const std::byte> message,
                                Opcode opcode) {
  const FakeHub::Turn turn(*hub_);
  Packet packet;
  packet.source = PacketSource::unknown;
  packet.data = Value::of(message);
  if (connection.format() == Format::raw) {
    hub_->receive(connection, packet, opcode);
  } else {
    hub_->receive(connection, packet);
  }
}

void FakeShardBase::advance(std::chrono::nanoseconds time) {
  const FakeHub::Turn turn(*hub_);
  hub_->advance(time);
}

void FakeShardBase::settle() {
  const FakeHub::Turn turn(*hub_);
  hub_->settle();
}

void FakeShardBase::run_beside(std::function<void()> function) {
  const FakeHub::Turn turn(*hub_);
  hub_->run_beside(std::move(function));
}

PullConnection FakeShardBase::accept() {
  const FakeHub::Turn turn(*hub_);
  if (hub_->accept_queue() == nullptr) throw UsageError("accept(): the handler is no QueueHandler");
  auto next = hub_->accept_queue()->try_accept();
  if (!next) throw UsageError("accept(): no connection waits");
  return std::move(*next);
}

const std::vector<std::string>& FakeShardBase::log() const noexcept { return hub_->log_lines(); }

Handler& FakeShardBase::handler_base() noexcept { return hub_->handler(); }

}  // namespace webshocket
