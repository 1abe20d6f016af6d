#include <webshocket/packet.hpp>

#include <utility>

namespace webshocket {
namespace {

/// All that a packet borrows, as one array, so that one Document can hold it.
struct Borrowed {
  const Packet& packet;

  void write(Sink& sink) const {
    sink.begin_array(5);
    packet.data.write(sink);
    packet.timestamp.write(sink);
    detail::write(sink, packet.channel);
    detail::write(sink, packet.correlation_id);
    if (const RpcRequest* const request = packet.request()) {
      sink.begin_array(4);
      sink.string(request->method);
      sink.string(request->call_id);
      Value::of(request->args).write(sink);
      Value::of(request->kwargs).write(sink);
      sink.end_array();
    } else if (const RpcResponse* const response = packet.response()) {
      sink.begin_array(2);
      sink.string(response->call_id);
      response->response.write(sink);
      sink.end_array();
    } else {
      sink.null();
    }
    sink.end_array();
  }
};

void replace(std::optional<std::string_view>& text, const Value& copy) {
  if (text) text = copy.string();
}

}  // namespace

OwnedPacket::OwnedPacket(const Packet& packet)
    : document_(Document::of(Borrowed{packet})), packet_(packet) {
  const auto parts = document_->elements();
  packet_.data = parts[0];
  packet_.timestamp = parts[1];
  replace(packet_.channel, parts[2]);
  replace(packet_.correlation_id, parts[3]);
  const auto rpc = parts[4].elements();
  if (auto* const request = std::get_if<RpcRequest>(&packet_.rpc)) {
    request->method = rpc[0].string();
    request->call_id = rpc[1].string();
    request->args = rpc[2].elements();
    request->kwargs = rpc[3].members();
  } else if (auto* const response = std::get_if<RpcResponse>(&packet_.rpc)) {
    response->call_id = rpc[0].string();
    response->response = rpc[1];
  }
}

OwnedPacket::OwnedPacket(PacketSource source, Payload data) : document_(Document::of(data)) {
  packet_.source = source;
  packet_.data = document_.root();
}

OwnedPacket::OwnedPacket(Packet packet, Document document,
                         std::unique_ptr<std::byte[]> bytes) noexcept
    : document_(std::move(document)), bytes_(std::move(bytes)), packet_(packet) {}

}  // namespace webshocket
