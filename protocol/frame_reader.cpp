#include "protocol/frame_reader.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "protocol/text.hpp"
#include "protocol/whole_message.hpp"

namespace webshocket::protocol {
namespace {

constexpr std::size_t kKeptMemory = 16 * 1024;
constexpr std::string_view kNoText = "Text is not valid UTF-8";

// What a peer may send: RFC 6455, section 7.4, with the registry's 1012 to 1014.
bool may_be_sent(unsigned code) noexcept {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

std::span<std::byte> take(std::span<std::byte>& input, std::size_t count) noexcept {
  const std::span<std::byte> taken = input.first(count);
  input = input.subspan(count);
  return taken;
}

}  // namespace

FrameReader::FrameReader(Role role) noexcept : role_(role) {}

FrameEvent FrameReader::read(std::span<std::byte>& input, std::size_t max_message,
                             PerMessageDeflate* deflate) {
  FrameEvent event;
  if (idle()) {
    if (const auto whole = take_whole(input, role_, max_message)) {
      hand_out(whole->opcode, whole->payload, event);
      return event;
    }
  }
  max_message_ = max_message;
  deflate_ = deflate;
  inflated_.release(kKeptMemory);
  if (delivered_) {
    message_.clear();
    delivered_ = false;
  }
  for (;;) {
    bool done = false;
    switch (stage_) {
      case Stage::header:
        done = take_header(input, event);
        break;
      case Stage::data:
        done = take_data(input, event);
        break;
      case Stage::control:
        done = take_control(input, event);
        break;
      case Stage::finished:
        input = input.last(0);
        done = true;
        break;
    }
    if (done) return event;
  }
}

bool FrameReader::take_header(std::span<std::byte>& input, FrameEvent& event) {
  if (header_size_ == 0 && input.size() >= FrameHeader::kMinSize) {
    const std::size_t size = FrameHeader::size(input);
    if (input.size() >= size) return start_frame(take(input, size), event);
  }
  for (;;) {
    const std::size_t size = header_size_ < FrameHeader::kMinSize
                                 ? FrameHeader::kMinSize
                                 : FrameHeader::size(std::span(header_));
    if (header_size_ == size) break;
    const std::size_t count = std::min(size - header_size_, input.size());
    if (count == 0) return true;
    std::memcpy(header_.data() + header_size_, take(input, count).data(), count);
    header_size_ = static_cast<std::uint8_t>(header_size_ + count);
  }
  return start_frame(std::span(header_).first(std::exchange(header_size_, std::uint8_t{0})), event);
}

bool FrameReader::start_frame(std::span<const std::byte> header, FrameEvent& event) {
  frame_ = FrameHeader::parse(header);
  received_ = 0;
  // Between two messages nothing can be wrong with a plain header, and the judge, who would be as
  // after it as before, need not be asked.
  if (open_ || !FrameHeader::is_plain(header, role_)) {
    if (judge_ == nullptr) judge_ = HeaderJudge::create(role_);
    if (judge_ == nullptr) return fail(event, CloseCode::internal_error, "Out of memory");
    if (!judge_->accepts(frame_, deflate_ != nullptr)) {
      return fail(event, CloseCode::protocol_error, header_fault(frame_, role_, open_));
    }
  }
  if (frame_.length >> 63 != 0) {
    return fail(event, CloseCode::protocol_error, "Frame length with its top bit set");
  }
  if (!frame_.minimal) {
    return fail(event, CloseCode::protocol_error, "Frame length is not in its shortest form");
  }
  if (frame_.control()) {
    stage_ = Stage::control;
    return false;
  }
  if (!open_) {
    open_ = true;
    opcode_ = frame_.opcode;
    compressed_ = frame_.reserved != 0;
    valid_text_ = 0;
  }
  // What does not get smaller is stored in blocks with a few bytes around each, and the blocks are
  // small where the compressor may use little memory.
  const std::size_t overhead = compressed_ ? max_message_ / 16 + 64 : 0;
  if (max_message_ != 0 && message_.size() + frame_.length > max_message_ + overhead) {
    return fail_as_too_big(event);
  }
  stage_ = Stage::data;
  return false;
}

bool FrameReader::take_data(std::span<std::byte>& input, FrameEvent& event) {
  const std::uint64_t left = frame_.length - received_;
  if (frame_.fin && received_ == 0 && message_.empty() && input.size() >= left) {
    const std::span<std::byte> payload = take(input, static_cast<std::size_t>(left));
    if (frame_.masked) apply_mask(payload, frame_.key);
    return finish_message(payload, event);
  }

  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, input.size()));
  if (count != 0) {
    const std::span<std::byte> place(message_.extend(count), count);
    std::memcpy(place.data(), take(input, count).data(), count);
    if (frame_.masked) apply_mask(place, frame_.key, received_);
    received_ += count;
  }
  const bool ended = received_ == frame_.length;
  if (opcode_ == Opcode::text && !compressed_ && !check_text(ended && frame_.fin)) {
    return fail(event, CloseCode::invalid_data, kNoText);
  }
  if (!ended) return true;
  stage_ = Stage::header;
  if (!frame_.fin) return false;
  delivered_ = true;
  return finish_message(message_.span(), event);
}

bool FrameReader::take_control(std::span<std::byte>& input, FrameEvent& event) {
  const auto length = static_cast<std::size_t>(frame_.length);
  std::span<std::byte> payload;
  if (received_ == 0 && input.size() >= length) {
    payload = take(input, length);
  } else {
    const std::size_t count = std::min(length - static_cast<std::size_t>(received_), input.size());
    if (count == 0) return true;
    std::memcpy(control_.data() + received_, take(input, count).data(), count);
    received_ += count;
    if (received_ < frame_.length) return true;
    payload = std::span(control_).first(length);
  }
  if (frame_.masked) apply_mask(payload, frame_.key);
  stage_ = Stage::header;
  if (frame_.opcode == Opcode::close) return finish_close(payload, event);
  event.kind = frame_.opcode == Opcode::ping ? FrameEvent::Kind::ping : FrameEvent::Kind::pong;
  event.opcode = frame_.opcode;
  event.payload = payload;
  return true;
}

bool FrameReader::finish_message(std::span<std::byte> payload, FrameEvent& event) {
  stage_ = Stage::header;
  open_ = false;
  const bool is_checked = delivered_ && !compressed_;
  if (compressed_) {
    event.compressed_size = payload.size();
    if (!inflate(payload, event)) return true;
  }
  if (opcode_ == Opcode::text && !is_checked && !is_text(as_text(payload))) {
    return fail(event, CloseCode::invalid_data, kNoText);
  }
  hand_out(opcode_, payload, event);
  return true;
}

void FrameReader::hand_out(Opcode opcode, std::span<std::byte> payload,
                           FrameEvent& event) noexcept {
  event.kind = FrameEvent::Kind::message;
  event.opcode = opcode;
  event.payload = payload;
}

bool FrameReader::inflate(std::span<std::byte>& payload, FrameEvent& event) {
  switch (deflate_->inflater().inflate(payload, inflated_, max_message_)) {
    case Inflater::Status::ok:
      payload = inflated_.span();
      return true;
    case Inflater::Status::too_big:
      fail_as_too_big(event);
      break;
    case Inflater::Status::no_memory:
      fail(event, CloseCode::internal_error, "Out of memory");
      break;
    case Inflater::Status::corrupt:
      fail(event, CloseCode::invalid_data, "Compressed message cannot be inflated");
      break;
  }
  return false;
}

bool FrameReader::fail_as_too_big(FrameEvent& event) noexcept {
  return fail(event, CloseCode::message_too_big, "Message is larger than ", max_message_,
              " bytes (max_message)");
}

bool FrameReader::finish_close(std::span<const std::byte> body, FrameEvent& event) noexcept {
  event.kind = FrameEvent::Kind::close;
  event.opcode = Opcode::close;
  if (body.size() == 1) {
    return fail(event, CloseCode::protocol_error, "Close frame with a body of 1 byte");
  }
  if (!body.empty()) {
    const unsigned code =
        std::to_integer<unsigned>(body[0]) << 8 | std::to_integer<unsigned>(body[1]);
    if (!may_be_sent(code)) {
      return fail(event, CloseCode::protocol_error, "Close code ", code, " is not allowed");
    }
    event.code = static_cast<CloseCode>(code);
    event.reason = as_text(body.subspan(2));
    if (!is_text(event.reason)) {
      return fail(event, CloseCode::invalid_data, "Close reason is not valid UTF-8");
    }
  }
  stage_ = Stage::finished;
  return true;
}

// Each byte is looked at once, however small the pieces are: what is unfinished at the end of one
// waits for the next.
bool FrameReader::check_text(bool complete) noexcept {
  const std::string_view text = message_.text().substr(valid_text_);
  const std::size_t size = text.size() - (complete ? 0 : incomplete_utf8_tail(text));
  if (!is_text(text.substr(0, size))) return false;
  valid_text_ += size;
  return true;
}

bool FrameReader::fail(FrameEvent& event, CloseCode code, std::string_view reason) noexcept {
  stage_ = Stage::finished;
  message_.release(kKeptMemory);
  inflated_.release(kKeptMemory);
  event = FrameEvent();
  event.kind = FrameEvent::Kind::error;
  event.code = code;
  event.reason = reason;
  return true;
}

bool FrameReader::fail(FrameEvent& event, CloseCode code, std::string_view before,
                       std::uint64_t number, std::string_view after) noexcept {
  char* at = std::copy(before.begin(), before.end(), reason_.data());
  at = std::to_chars(at, reason_.data() + reason_.size(), number).ptr;
  at = std::copy(after.begin(), after.end(), at);
  return fail(event, code, {reason_.data(), static_cast<std::size_t>(at - reason_.data())});
}

void FrameReader::reset() noexcept {
  // A judge cannot be brought back from the middle of a message.
  if (!idle()) judge_.reset();
  message_.release(kKeptMemory);
  inflated_.release(kKeptMemory);
  stage_ = Stage::header;
  open_ = false;
  delivered_ = false;
  header_size_ = 0;
}

}  // namespace webshocket::protocol
