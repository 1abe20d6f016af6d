#include "tests/support/ws_client.hpp"

#include <poll.h>

#include <chrono>
#include <cstring>
#include <utility>

namespace webshocket::test {
namespace {

std::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string as_string(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

UpgradeOptions options_of(Dialect dialect, std::string path) {
  const char* const subprotocol = dialect == Dialect::msgpack ? "webshocket.v1"
                                  : dialect == Dialect::json  ? "webshocket.v1.json"
                                                              : "";
  return {.path = std::move(path), .subprotocol = subprotocol};
}

WsClient::WsClient(std::uint16_t port, Dialect dialect, std::string path,
                   std::vector<std::string> headers)
    : dialect_(dialect), peer_(port) {
  UpgradeOptions options = options_of(dialect, std::move(path));
  options.headers = std::move(headers);
  peer_.upgrade(options);
}

// --- calls ------------------------------------------------------------------------------------

std::pair<std::string, std::string> WsClient::request(std::string_view method,
                                                      std::string_view args,
                                                      std::string_view kwargs) {
  const Document positional = from_json(args);
  const Document named = from_json(kwargs);
  std::string id = "c" + std::to_string(++last_id_);
  Packet packet;
  packet.source = PacketSource::rpc;
  packet.rpc = RpcRequest{method, positional->elements(), named->members(), id};
  if (dialect_ != Dialect::msgpack) return {serialize_json(packet), std::move(id)};
  return {as_string(serialize(packet)), std::move(id)};
}

std::string WsClient::start(std::string_view method, std::string_view args,
                            std::string_view kwargs) {
  auto [payload, id] = request(method, args, kwargs);
  send_payload(payload);
  return std::move(id);
}

OwnedPacket WsClient::response(std::string_view call_id) {
  const std::string id(call_id);
  for (;;) {
    const auto found = responses_.find(id);
    if (found != responses_.end()) {
      OwnedPacket packet = std::move(found->second.front());
      found->second.pop_front();
      if (found->second.empty()) responses_.erase(found);
      return packet;
    }
    need_more();
  }
}

bool WsClient::has_response(std::string_view call_id) const {
  return responses_.contains(std::string(call_id));
}

std::string WsClient::answer(std::string_view call_id) {
  const OwnedPacket packet = response(call_id);
  const RpcResponse& response = *packet->response();
  if (!response.error) return to_json(response.response);
  const std::string text = response.response.is_string() ? std::string(response.response.string())
                                                         : to_json(response.response);
  return std::to_string(static_cast<int>(*response.error)) + " " + text;
}

// --- packets ----------------------------------------------------------------------------------

void WsClient::send_payload(std::string_view payload) {
  peer_.send(dialect_ == Dialect::json ? text_frame(payload) : binary_frame(payload));
}

void WsClient::send(std::string_view json) {
  const Document data = from_json(json);
  Packet packet;
  packet.data = *data;
  send_payload(dialect_ == Dialect::msgpack ? as_string(serialize(packet))
                                            : serialize_json(packet));
}

OwnedPacket WsClient::packet() {
  while (events_.empty()) need_more();
  OwnedPacket packet = std::move(events_.front());
  events_.pop_front();
  return packet;
}

std::string WsClient::event() { return in_short(*packet()); }

std::vector<std::string> WsClient::events_before_now() {
  if (const std::string echoed = call("echo", "[true]"); echoed != "true") {
    throw PeerError("echo answers " + echoed);
  }
  return take_events();
}

std::string in_short(const Packet& packet) {
  std::string text = std::to_string(static_cast<int>(packet.source)) + " ";
  if (packet.channel) text += std::string(*packet.channel) + " ";
  return text + to_json(packet.data);
}

// --- what comes -------------------------------------------------------------------------------

OwnedPacket WsClient::decode(std::string_view payload) const {
  return dialect_ == Dialect::msgpack ? deserialize(as_bytes(payload)) : deserialize_json(payload);
}

void WsClient::sort(const Frame& frame) {
  if (frame.opcode == kClose) {
    close_ = close_of(frame);
    return;
  }
  if (frame.opcode == kPing) {
    peer_.send(SentFrame{.opcode = kPong, .payload = frame.payload});
    return;
  }
  const unsigned expected = !message_.empty()           ? kContinuation
                            : dialect_ == Dialect::json ? kText
                                                        : kBinary;
  if (frame.opcode != expected || frame.masked || frame.rsv != 0) {
    throw PeerError("a frame of opcode " + std::to_string(frame.opcode) + ", masked " +
                    std::to_string(frame.masked) + ", rsv " + std::to_string(frame.rsv) +
                    " where opcode " + std::to_string(expected) + " belongs");
  }
  message_ += frame.payload;
  if (!frame.fin) return;
  OwnedPacket packet = decode(message_);
  message_.clear();
  auto& queue = packet->response() != nullptr ? responses_[std::string(packet->response()->call_id)]
                                              : events_;
  queue.push_back(std::move(packet));
}

bool WsClient::absorb() {
  const bool open = peer_.absorb();
  while (auto frame = peer_.take_frame()) sort(*frame);
  return open;
}

void WsClient::need_more() {
  if (close_) {
    throw PeerError("closed with " + std::to_string(close_->code) + " '" + close_->reason + "'");
  }
  sort(peer_.read_frame());
}

std::vector<std::string> WsClient::take_events() {
  std::vector<std::string> list;
  list.reserve(events_.size());
  for (const OwnedPacket& packet : events_) list.push_back(in_short(*packet));
  events_.clear();
  return list;
}

void WsClient::close() {
  peer_.send(close_frame(1000));
  while (!close_) sort(peer_.read_frame());
  peer_.read_end();
}

// --- many -------------------------------------------------------------------------------------

Clients connect_many(std::uint16_t port, std::size_t count, std::span<const Dialect> dialects) {
  Clients clients;
  clients.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<WsClient>(port, dialects[i % dialects.size()]));
  }
  return clients;
}

void pump_until(std::span<RawPeer* const> peers, const std::function<void(std::size_t)>& absorb,
                const std::function<bool()>& done) {
  const auto until = std::chrono::steady_clock::now() + kGuard;
  std::vector<pollfd> entries;
  entries.reserve(peers.size());
  for (const RawPeer* peer : peers) entries.push_back({peer->fd(), POLLIN, 0});
  while (!done()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    if (left.count() <= 0 ||
        ::poll(entries.data(), entries.size(), static_cast<int>(left.count())) == 0) {
      throw PeerError("waited in vain for many connections");
    }
    for (std::size_t i = 0; i < peers.size(); ++i) {
      if (entries[i].revents == 0) continue;
      absorb(i);
      if (peers[i]->ended() != RawPeer::End::none) entries[i].fd = -1;
    }
  }
}

void pump_until(const Clients& clients, const std::function<bool()>& done) {
  std::vector<RawPeer*> peers;
  peers.reserve(clients.size());
  for (const auto& client : clients) peers.push_back(&client->peer());
  pump_until(
      peers, [&](std::size_t i) { clients[i]->absorb(); }, done);
}

}  // namespace webshocket::test
