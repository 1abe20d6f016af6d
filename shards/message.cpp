#include "shards/message.hpp"

#include "protocol/deflate.hpp"
#include "protocol/frame_writer.hpp"
#include "protocol/packet_codec.hpp"

namespace webshocket::shards {
namespace {

using webshocket::detail::is_deflate;
using webshocket::detail::plain;

constexpr std::size_t kScratchKept = 256 * 1024;

// Forms that share an encoding differ in their frames only.
constexpr Forms kMsgpack{Form::msgpack, Form::msgpack_deflate};
constexpr Forms kJson{Form::json_text, Form::json_binary, Form::json_text_deflate,
                      Form::json_binary_deflate};
constexpr Forms kRaw{Form::raw, Form::raw_deflate};

}  // namespace

std::optional<Opcode> encode(PacketSource source, std::optional<std::string_view> channel,
                             const Content& content, Form form, protocol::Buffer& out) {
  if (plain(form) == Form::raw) {
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
                                               const Framing& framing) {
  auto message = std::make_shared<Message>();
  if (!message->encode(source, channel, content, forms, framing)) return nullptr;
  return message;
}

void Message::clear() noexcept {
  made_.for_each([this](Form form) { buffer(form).release(kMemoryKept); });
  made_ = {};
  size_ = 0;
  lacks_ = {};
  deflated_ = {};
}

bool Message::encode(PacketSource source, std::optional<std::string_view> channel,
                     const Content& content, Forms forms, const Framing& framing) {
  clear();
  if (content.packet == nullptr) {
    const Forms raw = forms & kRaw;
    if (const auto opcode = raw.empty() ? std::nullopt : protocol::raw_as_it_lies(content.data)) {
      frame_all(raw, *opcode, content.data.bytes(), content.compress, framing);
      forms = forms.without(raw);
    }
  }
  if (!forms.empty()) encode_packet(source, channel, content, forms, framing);
  return size_ != 0;
}

// Not inlined into what raw messages run through.
[[gnu::noinline]] void Message::encode_packet(PacketSource source,
                                              std::optional<std::string_view> channel,
                                              const Content& content, Forms forms,
                                              const Framing& framing) {
  // A packet that is handed in names no channel of its own: it gets the one it is published to.
  std::optional<Packet> addressed;
  Content addressed_content = content;
  if (content.packet != nullptr && channel) {
    addressed = *content.packet;
    addressed->channel = channel;
    addressed_content.packet = &*addressed;
  }
  static thread_local protocol::Buffer scratch;
  for (const Forms twins : {kMsgpack, kJson, kRaw}) {
    const Forms wanted = forms & twins;
    if (wanted.empty()) continue;
    scratch.clear();
    const auto opcode = shards::encode(source, channel, addressed_content, wanted.first(), scratch);
    if (opcode) {
      frame_all(wanted, *opcode, scratch.span(), content.compress, framing);
    } else {
      lacks_ |= wanted;
    }
  }
  scratch.release(kScratchKept);
}

void Message::frame_all(Forms wanted, Opcode opcode, std::span<const std::byte> payload,
                        Compress compress, const Framing& framing) {
  Forms uncompressed = wanted;
  if (const Forms deflated = wanted.deflated(); !deflated.empty()) {
    const bool is_deflated = deflate_all(deflated, opcode, payload, compress, framing);
    uncompressed = is_deflated ? wanted.without(deflated) : wanted.as_plain();
  }
  uncompressed.for_each([&](Form form) { frame(form, opcode, payload, framing.fragment_size); });
}

bool Message::deflate_all(Forms wanted, Opcode opcode, std::span<const std::byte> payload,
                          Compress compress, const Framing& framing) {
  if (!protocol::is_worth_deflating(framing.compression, compress, payload.size())) return false;
  static thread_local protocol::Buffer deflated;
  deflated.clear();
  const bool is_smaller =
      protocol::Deflater::shared(framing.compression).deflate(payload, deflated);
  if (is_smaller) {
    deflated_.messages += 1;
    deflated_.bytes_in += payload.size();
    deflated_.bytes_out += deflated.size();
    wanted.for_each(
        [&](Form form) { frame(form, opcode, deflated.span(), framing.fragment_size); });
  }
  deflated.release(kScratchKept);
  return is_smaller;
}

void Message::frame(Form form, Opcode opcode, std::span<const std::byte> payload,
                    std::size_t fragment_size) {
  if (plain(form) != Form::raw) opcode = opcode_of(form);
  made_.add(form);
  protocol::Buffer& frames = buffer(form);
  frames.reserve(protocol::framed_size(payload.size(), fragment_size));
  protocol::write_message(frames, opcode, payload, fragment_size, {}, is_deflate(form));
  size_ += frames.size();
}

}  // namespace webshocket::shards
