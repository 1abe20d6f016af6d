#include "protocol/frame_writer.hpp"

#include <wslay/wslay.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <memory>
#include <new>

#include "protocol/frame_header.hpp"
#include "protocol/utf8.hpp"

namespace webshocket::protocol {
namespace {

constexpr std::size_t kMaxReason = FrameHeader::kMaxControlPayload - 2;

/// wslay's writer of frames, one per thread: making one costs kilobytes.
///
/// wslay masks byte by byte through a small buffer, so it is told that nothing is masked; the bit
/// and the key are put in behind it, and the payload is masked where it was written to.
class Framer {
 public:
  static Framer& of_this_thread() {
    thread_local Framer framer;
    return framer;
  }

  /// REQUIRES: room for the whole frame. Returns the end of what was written.
  std::byte* write(std::byte* place, Opcode opcode, bool fin, std::span<const std::byte> payload,
                   MaskSource mask, bool compressed = false) noexcept {
    place_ = place;
    header_next_ = true;
    mask_ = mask;
    wslay_frame_iocb frame{};
    frame.fin = fin ? 1 : 0;
    frame.rsv = compressed ? WSLAY_RSV1_BIT : WSLAY_RSV_NONE;
    frame.opcode = static_cast<std::uint8_t>(opcode);
    frame.payload_length = payload.size();
    frame.data = reinterpret_cast<const std::uint8_t*>(payload.data());
    frame.data_length = payload.size();
    [[maybe_unused]] const ssize_t sent = wslay_frame_send(context_.get(), &frame);
    assert(sent == static_cast<ssize_t>(payload.size()));
    return place_;
  }

 private:
  struct Deleter {
    void operator()(wslay_frame_context* context) const noexcept {
      wslay_frame_context_free(context);
    }
  };

  Framer() {
    wslay_frame_callbacks callbacks{};
    callbacks.send_callback = &Framer::send;
    wslay_frame_context* context = nullptr;
    if (wslay_frame_context_init(&context, &callbacks, this) != 0) throw std::bad_alloc();
    context_.reset(context);
  }

  static ssize_t send(const std::uint8_t* data, std::size_t size, int, void* opaque) noexcept {
    auto& framer = *static_cast<Framer*>(opaque);
    std::byte* place = framer.place_;
    std::memcpy(place, data, size);
    framer.place_ += size;
    if (!framer.mask_) {
      // nothing to mask
    } else if (framer.header_next_) {
      framer.header_next_ = false;
      framer.key_ = framer.mask_.next();
      place[1] |= std::byte{0x80};
      std::memcpy(framer.place_, framer.key_.data(), framer.key_.size());
      framer.place_ += framer.key_.size();
    } else {
      apply_mask({place, size}, framer.key_);
    }
    return static_cast<ssize_t>(size);
  }

  std::unique_ptr<wslay_frame_context, Deleter> context_;
  std::byte* place_ = nullptr;
  MaskSource mask_;
  MaskKey key_{};
  bool header_next_ = true;
};

// What nobody masks needs no more than a header in front of it: wslay would copy it through its own
// memory.
void write_unmasked(Buffer& out, const FrameHeader& header, const std::byte* payload) {
  const auto size = static_cast<std::size_t>(header.length);
  std::byte* place = out.extend(framed_size(size, 0));
  place += header.write(place);
  if (size != 0) std::memcpy(place, payload, size);
}

// Not for each: those in one frame are the most.
[[gnu::noinline]] void write_unmasked_fragments(Buffer& out, Opcode opcode,
                                                std::span<const std::byte> payload,
                                                std::size_t fragment_size, bool compressed) {
  out.reserve(out.size() + framed_size(payload.size(), fragment_size));
  for (bool is_first = true; !payload.empty(); is_first = false) {
    const std::size_t size = std::min(payload.size(), fragment_size);
    const bool is_last = size == payload.size();
    write_unmasked(out, FrameHeader::of_message(opcode, is_first, is_last, compressed, size),
                   payload.data());
    payload = payload.subspan(size);
  }
}

void write_control(Buffer& out, Opcode opcode, std::span<const std::byte> body, MaskSource mask) {
  Framer& framer = Framer::of_this_thread();
  framer.write(out.extend(framed_size(body.size(), 0, bool{mask})), opcode, true, body, mask);
}

}  // namespace

void write_message(Buffer& out, Opcode opcode, std::span<const std::byte> payload,
                   std::size_t fragment_size, MaskSource mask, bool compressed) {
  assert(opcode == Opcode::text || opcode == Opcode::binary);
  const bool fits = fragment_size == 0 || payload.size() <= fragment_size;
  if (!mask && fits) {
    const auto header = FrameHeader::of_message(opcode, true, true, compressed, payload.size());
    return write_unmasked(out, header, payload.data());
  }
  if (!mask) return write_unmasked_fragments(out, opcode, payload, fragment_size, compressed);
  Framer& framer = Framer::of_this_thread();
  std::byte* place = out.extend(framed_size(payload.size(), fragment_size, bool{mask}));
  while (fragment_size != 0 && payload.size() > fragment_size) {
    place = framer.write(place, opcode, false, payload.first(fragment_size), mask, compressed);
    payload = payload.subspan(fragment_size);
    opcode = Opcode::continuation;
    compressed = false;  // is said of the message, on its first frame
  }
  framer.write(place, opcode, true, payload, mask, compressed);
}

void write_close(Buffer& out, CloseCode code, std::string_view reason, MaskSource mask) {
  if (code == CloseCode::no_status || code == CloseCode::abnormal) {
    return write_control(out, Opcode::close, {}, mask);
  }
  reason = cut_utf8(reason, kMaxReason);
  if (!is_utf8(reason)) reason = {};
  std::array<std::byte, FrameHeader::kMaxControlPayload> body;
  body[0] = static_cast<std::byte>(static_cast<unsigned>(code) >> 8);
  body[1] = static_cast<std::byte>(static_cast<unsigned>(code) & 0xFFU);
  if (!reason.empty()) std::memcpy(body.data() + 2, reason.data(), reason.size());
  write_control(out, Opcode::close, std::span(body).first(2 + reason.size()), mask);
}

void write_ping(Buffer& out, std::span<const std::byte> payload, MaskSource mask) {
  write_control(out, Opcode::ping,
                payload.first(std::min(payload.size(), FrameHeader::kMaxControlPayload)), mask);
}

void write_pong(Buffer& out, std::span<const std::byte> payload, MaskSource mask) {
  write_control(out, Opcode::pong,
                payload.first(std::min(payload.size(), FrameHeader::kMaxControlPayload)), mask);
}

}  // namespace webshocket::protocol
