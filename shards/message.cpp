#include "shards/message.hpp"

#include "protocol/frame_writer.hpp"
#include "protocol/packet_codec.hpp"

namespace webshocket::shards {
namespace {

constexpr std::size_t kScratchKept = 256 * 1024;

// Forms that share an encoding differ in their frames' opcode only.
constexpr std::array kMsgpack{Form::msgpack};
constexpr std::array kJson{Form::json_text, Form::json_binary};
constexpr std::array kRaw{Form::raw};
constexpr std::array<std::span<const Form>, 3> kEncodings{kMsgpack, kJson, kRaw};

}  // namespace

std::optional<Opcode> encode(PacketSource source, std::optional<std::string_view> channel,
                             const Content& content, Form form, protocol::Buffer& out) noexcept {
  if (form == Form::raw) {
    return protocol::encode_raw(
        content.packet != nullptr ? Payload(content.packet->data) : content.data, out);
  }
  const Format format = webshocket::detail::format_of(form);
  const bool ok = content.packet != nullptr
                      ? protocol::encode_packet(format, *content.packet, out)
                      : protocol::encode_data(format, source, channel, content.data, out);
  if (!ok) return std::nullopt;
  return opcode_of(form);
}

std::shared_ptr<const Message> Message::freeze(PacketSource source,
                                               std::optional<std::string_view> channel,
                                               const Content& content, Forms forms,
                                               std::size_t fragment_size) {
  static thread_local protocol::Buffer scratch;
  auto message = std::make_shared<Message>();
  // A packet that is handed in names no channel of its own: it gets the one it is published to.
  Packet addressed;
  Content addressed_content = content;
  if (content.packet != nullptr && channel) {
    addressed = *content.packet;
    addressed.channel = channel;
    addressed_content.packet = &addressed;
  }
  for (const std::span<const Form> twins : kEncodings) {
    scratch.clear();
    std::optional<Opcode> opcode;
    bool encoded = false;
    for (const Form form : twins) {
      if (!forms.has(form)) continue;
      if (!encoded) opcode = encode(source, channel, addressed_content, form, scratch);
      encoded = true;
      if (!opcode) {
        message->lacks_.add(form);
        continue;
      }
      protocol::Buffer& frames = message->frames_[static_cast<std::size_t>(form)];
      frames.reserve(protocol::framed_size(scratch.size(), fragment_size));
      protocol::write_message(frames, form == Form::raw ? *opcode : opcode_of(form), scratch.span(),
                              fragment_size);
      message->size_ += frames.size();
    }
  }
  scratch.release(kScratchKept);
  if (message->size_ == 0) return nullptr;
  return message;
}

}  // namespace webshocket::shards
