#include "shards/message.hpp"

#include "protocol/deflate.hpp"
#include "protocol/frame_writer.hpp"
#include "protocol/packet_codec.hpp"

namespace webshocket::shards {
namespace {

using webshocket::detail::is_deflate;
using webshocket::detail::plain;
using webshocket::detail::with_deflate;

constexpr std::size_t kScratchKept = 256 * 1024;

// Forms that share an encoding differ in their frames' opcode only.
constexpr std::array kMsgpack{Form::msgpack};
constexpr std::array kJson{Form::json_text, Form::json_binary};
constexpr std::array kRaw{Form::raw};
constexpr std::array<std::span<const Form>, 3> kEncodings{kMsgpack, kJson, kRaw};

}  // namespace

std::optional<Opcode> encode(PacketSource source, std::optional<std::string_view> channel,
                             const Content& content, Form form, protocol::Buffer& out) noexcept {
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
  for (protocol::Buffer& frames : frames_) frames.release(kMemoryKept);
  size_ = 0;
  lacks_ = {};
  deflated_ = {};
}

bool Message::encode(PacketSource source, std::optional<std::string_view> channel,
                     const Content& content, Forms forms, const Framing& framing) {
  static thread_local protocol::Buffer scratch;
  static thread_local protocol::Buffer deflated;
  clear();
  // A packet that is handed in names no channel of its own: it gets the one it is published to.
  std::optional<Packet> addressed;
  Content addressed_content = content;
  if (content.packet != nullptr && channel) {
    addressed = *content.packet;
    addressed->channel = channel;
    addressed_content.packet = &*addressed;
  }
  for (const std::span<const Form> twins : kEncodings) {
    Forms wanted;
    bool deflate = false;
    for (const Form form : twins) {
      if (forms.has(form)) wanted.add(form);
      if (!forms.has(with_deflate(form))) continue;
      wanted.add(with_deflate(form));
      deflate = true;
    }
    if (wanted.empty()) continue;
    const auto frame_all = [&](Opcode opcode, std::span<const std::byte> payload) {
      deflate = deflate &&
                protocol::is_worth_deflating(framing.compression, content.compress, payload.size());
      if (deflate) {
        deflated.clear();
        deflate = protocol::Deflater::shared(framing.compression).deflate(payload, deflated);
      }
      if (deflate) {
        deflated_.messages += 1;
        deflated_.bytes_in += payload.size();
        deflated_.bytes_out += deflated.size();
      }
      for (const Form form : twins) {
        const Opcode shown = form == Form::raw ? opcode : opcode_of(form);
        const bool wants_deflated = wanted.has(with_deflate(form));
        if (wanted.has(form) || (wants_deflated && !deflate)) {
          frame(form, shown, payload, framing.fragment_size, false);
        }
        if (wants_deflated && deflate) {
          frame(with_deflate(form), shown, deflated.span(), framing.fragment_size, true);
        }
      }
    };
    std::optional<Opcode> opcode;
    if (twins.front() == Form::raw && content.packet == nullptr) {
      opcode = protocol::raw_as_it_lies(content.data);
    }
    if (opcode) {
      frame_all(*opcode, content.data.bytes());
      continue;
    }
    scratch.clear();
    opcode = shards::encode(source, channel, addressed_content, twins.front(), scratch);
    if (opcode) {
      frame_all(*opcode, scratch.span());
    } else {
      lacks_ |= wanted;
    }
  }
  scratch.release(kScratchKept);
  deflated.release(kScratchKept);
  return size_ != 0;
}

void Message::frame(Form form, Opcode opcode, std::span<const std::byte> payload,
                    std::size_t fragment_size, bool compressed) {
  protocol::Buffer& frames = frames_[static_cast<std::size_t>(form)];
  frames.reserve(protocol::framed_size(payload.size(), fragment_size));
  protocol::write_message(frames, opcode, payload, fragment_size, {}, compressed);
  size_ += frames.size();
}

}  // namespace webshocket::shards
