// A client at home: what goes out, what comes in.

#include <utility>

#include "api/dispatch.hpp"
#include "engine/client_session.hpp"
#include "protocol/packet_codec.hpp"

namespace webshocket::engine {

void ClientSession::drain_outgoing() {
  constexpr std::size_t kKept = 64 * 1024;
  {
    const std::lock_guard lock(mutex_);
    std::swap(outgoing_, draining_);
    outbox_bytes_ += draining_.bytes.size();  // until they are there, and counted by update_room
    drain_posted_ = false;
  }
  if (phase_ == Phase::open) {
    std::span<const std::byte> bytes = draining_.bytes.span();
    for (const auto& [size, opcode, compress] : draining_.messages) {
      connection_->send(opcode, bytes.first(size), config_->fragment_size, compress);
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

void ClientSession::on_message(Opcode opcode, std::span<const std::byte> message) {
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
  } catch (const std::bad_alloc&) {
    throw;  // whoever waits for it must not wait in vain
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
  connection_->send(message.opcode, message.bytes.span(), config_->fragment_size, message.compress);
  messages_sent_.add();
}

void ClientSession::call_user(const char* what, const std::function<void()>& function) noexcept {
  const std::shared_ptr<ClientSession> self = shared_from_this();  // it may end the client
  try {
    function();
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
