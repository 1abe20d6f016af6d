#include "tests/fuzz/judge.hpp"

#include <zlib.h>

#include <array>
#include <utility>

#include "tests/fuzz/require.hpp"

namespace webshocket::fuzz {
namespace {

constexpr unsigned kContinuation = 0;
constexpr unsigned kText = 1;
constexpr unsigned kBinary = 2;
constexpr unsigned kPing = 9;  // 8, a CLOSE, is what is left
constexpr unsigned kPong = 10;

std::uint8_t at(std::string_view bytes, std::size_t index) {
  return static_cast<std::uint8_t>(bytes[index]);
}

bool may_be_sent(unsigned code) {
  if (code >= 3000 && code <= 4999) return true;
  return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

}  // namespace

bool is_legal_utf8(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size();) {
    const std::uint8_t first = at(text, i++);
    if (first < 0x80) continue;
    if (first < 0xC2 || first > 0xF4) return false;
    const std::size_t more = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    if (text.size() - i < more) return false;
    const std::uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const std::uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (at(text, i) < low || at(text, i) > high) return false;
    for (std::size_t k = 1; k < more; ++k) {
      if ((at(text, i + k) & 0xC0) != 0x80) return false;
    }
    i += more;
  }
  return true;
}

Inflater::Inflater(bool keeps_context)
    : stream_(std::make_unique<z_stream_s>()), keeps_context_(keeps_context) {
  require(inflateInit2(stream_.get(), -15) == Z_OK, "zlib");
}

Inflater::~Inflater() { inflateEnd(stream_.get()); }

std::string Inflater::inflate(std::string_view message) {
  std::string input(message);
  input.append("\0\0\xFF\xFF", 4);
  stream_->next_in = reinterpret_cast<Bytef*>(input.data());
  stream_->avail_in = static_cast<uInt>(input.size());
  std::string output;
  std::array<char, 16384> part;
  do {
    stream_->next_out = reinterpret_cast<Bytef*>(part.data());
    stream_->avail_out = part.size();
    const int result = ::inflate(stream_.get(), Z_SYNC_FLUSH);
    require(result == Z_OK || result == Z_BUF_ERROR, "a compressed message cannot be inflated");
    output.append(part.data(), part.size() - stream_->avail_out);
  } while (stream_->avail_out == 0);
  require(stream_->avail_in == 0, "a compressed message has bytes behind its end");
  if (!keeps_context_) inflateReset(stream_.get());
  return output;
}

void FrameJudge::take(std::string_view bytes) {
  pending_ += bytes;
  while (take_frame()) {
  }
}

bool FrameJudge::take_frame() {
  if (pending_.empty()) return false;
  require(!is_closed(), "something follows a CLOSE");
  if (pending_.size() < 2) return false;
  const std::string_view bytes = pending_;
  const bool fin = (at(bytes, 0) & 0x80) != 0;
  const bool rsv1 = (at(bytes, 0) & 0x40) != 0;
  const unsigned opcode = at(bytes, 0) & 0x0FU;
  require((at(bytes, 0) & 0x30) == 0, "a reserved bit is set");
  require(((at(bytes, 1) & 0x80) != 0) == is_masked_, "a frame is masked, or is not");
  std::uint64_t length = at(bytes, 1) & 0x7FU;
  std::size_t header = 2;
  if (length >= 126) {
    const std::size_t wide = length == 126 ? 2 : 8;
    if (bytes.size() < header + wide) return false;
    length = 0;
    for (std::size_t i = 0; i < wide; ++i) length = length << 8U | at(bytes, header + i);
    header += wide;
    require(length >= (wide == 2 ? 126U : 65536U), "a length is not written in its shortest form");
    require(length >> 63U == 0, "a length has its highest bit set");
  }
  std::array<std::uint8_t, 4> mask{};
  if (is_masked_) {
    if (bytes.size() < header + 4) return false;
    for (std::size_t i = 0; i < 4; ++i) mask[i] = at(bytes, header + i);
    header += 4;
  }
  if (opcode >= 8) {
    require(fin && length <= 125, "a control frame is fragmented, or too long");
    require(opcode <= kPong, "a reserved opcode");
  } else {
    require(opcode <= kBinary, "a reserved opcode");
    require(is_in_message_ == (opcode == kContinuation), "fragments are not nested as they should");
  }
  if (bytes.size() - header < length) return false;
  std::string payload(bytes.substr(header, length));
  for (std::size_t i = 0; i < payload.size(); ++i) {
    payload[i] = static_cast<char>(at(payload, i) ^ mask[i % 4]);
  }
  pending_.erase(0, header + length);
  if (opcode >= 8) {
    require(!rsv1, "a control frame is compressed");
    take_control(opcode, payload);
  } else {
    take_data(opcode, fin, rsv1, payload);
  }
  return true;
}

void FrameJudge::take_control(unsigned opcode, std::string_view payload) {
  if (opcode == kPing) {
    if (on_ping) on_ping(payload);
  } else if (opcode == kPong) {
    if (on_pong) on_pong(payload);
  } else if (payload.empty()) {
    close_code_ = 1005;
  } else {
    require(payload.size() >= 2, "a CLOSE with a body of one byte");
    const unsigned code = at(payload, 0) * 256U + at(payload, 1);
    require(may_be_sent(code), "a CLOSE with a code that may not be sent");
    require(is_legal_utf8(payload.substr(2)), "a CLOSE whose reason is not UTF-8");
    close_code_ = static_cast<std::uint16_t>(code);
  }
}

void FrameJudge::take_data(unsigned opcode, bool fin, bool rsv1, std::string_view payload) {
  if (opcode != kContinuation) {
    require(!rsv1 || inflater_ != nullptr, "compressed, and that was not agreed on");
    is_compressed_ = rsv1;
    message_ = {opcode == kText, {}};
  } else {
    require(!rsv1, "a continuation says that it is compressed");
  }
  message_.bytes += payload;
  is_in_message_ = !fin;
  if (!fin) return;
  if (is_compressed_) message_.bytes = inflater_->inflate(message_.bytes);
  require(!message_.is_text || is_legal_utf8(message_.bytes), "a text that is not UTF-8");
  ++messages_;
  if (on_message) on_message(message_);
}

}  // namespace webshocket::fuzz
