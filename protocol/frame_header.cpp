#include "protocol/frame_header.hpp"

#include <wslay/wslay.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

namespace webshocket::protocol {
namespace {

constexpr std::uint8_t kFin = 0x80;
constexpr std::uint8_t kMask = 0x80;

}  // namespace

std::size_t frame_end(std::span<const std::byte> frames, std::size_t offset) noexcept {
  std::size_t end = 0;
  while (end < offset) {
    const std::span<const std::byte> frame = frames.subspan(end);
    end += FrameHeader::size(frame) + static_cast<std::size_t>(FrameHeader::parse(frame).length);
  }
  return end;
}

struct HeaderJudge::Callbacks {
  static ssize_t receive(wslay_event_context* context, std::uint8_t* place, std::size_t size, int,
                         void* opaque) noexcept {
    auto& judge = *static_cast<HeaderJudge*>(opaque);
    if (judge.feed_.empty()) {
      wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
      return -1;
    }
    const std::size_t count = std::min(size, judge.feed_.size());
    std::memcpy(place, judge.feed_.data(), count);
    judge.feed_ = judge.feed_.subspan(count);
    return static_cast<ssize_t>(count);
  }

  // wslay calls this when it has nothing left to object to.
  static void start(wslay_event_context*, const wslay_event_on_frame_recv_start_arg*,
                    void* opaque) noexcept {
    static_cast<HeaderJudge*>(opaque)->accepted_ = true;
  }
};

std::unique_ptr<HeaderJudge> HeaderJudge::create(Role role) noexcept {
  std::unique_ptr<HeaderJudge> judge(new (std::nothrow) HeaderJudge);
  if (judge == nullptr) return nullptr;
  wslay_event_callbacks callbacks{};
  callbacks.recv_callback = &Callbacks::receive;
  callbacks.on_frame_recv_start_callback = &Callbacks::start;
  const auto init =
      role == Role::server ? &wslay_event_context_server_init : &wslay_event_context_client_init;
  if (init(&judge->context_, &callbacks, judge.get()) != 0) return nullptr;
  wslay_event_config_set_no_buffering(judge->context_, 1);
  // It would queue a pong for every ping, and a close for every fault; those are the shard's to
  // send.
  wslay_event_shutdown_write(judge->context_);
  return judge;
}

HeaderJudge::~HeaderJudge() {
  if (context_ != nullptr) wslay_event_context_free(context_);
}

bool HeaderJudge::accepts(const FrameHeader& header, bool compression) noexcept {
  wslay_event_config_set_allowed_rsv_bits(context_, compression ? WSLAY_RSV1_BIT : WSLAY_RSV_NONE);
  const bool too_long = header.control() && header.length > FrameHeader::kMaxControlPayload;
  const unsigned length = too_long ? 126U : 0U;
  std::array<std::byte, 6> bytes{};
  bytes[0] = static_cast<std::byte>((header.fin ? kFin : 0U) | unsigned{header.reserved} << 4 |
                                    static_cast<unsigned>(header.opcode));
  bytes[1] = static_cast<std::byte>((header.masked ? kMask : 0U) | length);
  feed_ = std::span(bytes).first(header.masked ? 6 : 2);
  accepted_ = false;
  wslay_event_recv(context_);
  return accepted_;
}

std::string_view header_fault(const FrameHeader& header, Role role, bool open) noexcept {
  if (header.reserved != 0) return "Reserved bits are set";
  if (role == Role::server && !header.masked) return "Unmasked frame from a client";
  if (role == Role::client && header.masked) return "Masked frame from a server";
  switch (header.opcode) {
    case Opcode::continuation:
      return "Continuation frame without a message to continue";
    case Opcode::text:
    case Opcode::binary:
      if (open) return "New message inside a fragmented one";
      break;
    case Opcode::close:
    case Opcode::ping:
    case Opcode::pong:
      if (!header.fin) return "Fragmented control frame";
      if (header.length > FrameHeader::kMaxControlPayload) {
        return "Control frame with more than 125 bytes";
      }
      break;
    default:
      return "Reserved opcode";
  }
  return "Malformed frame";
}

}  // namespace webshocket::protocol
