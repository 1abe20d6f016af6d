#include "tests/support/deflating_peer.hpp"

#include <zlib.h>

namespace webshocket::test {
namespace {

constexpr std::string_view kTail("\x00\x00\xff\xff", 4);

Bytef* bytes(const char* data) noexcept {
  return reinterpret_cast<Bytef*>(const_cast<char*>(data));
}

}  // namespace

void DeflatingPeer::End::operator()(z_stream_s* stream) const noexcept {
  // Whichever of the two it is: the other one refuses.
  if (deflateEnd(stream) == Z_STREAM_ERROR) inflateEnd(stream);
  delete stream;
}

DeflatingPeer::DeflatingPeer(int window_bits) : deflate_(new z_stream()), inflate_(new z_stream()) {
  deflateInit2(deflate_.get(), 6, Z_DEFLATED, -window_bits, 8, Z_DEFAULT_STRATEGY);
  inflateInit2(inflate_.get(), -window_bits);
}

DeflatingPeer::~DeflatingPeer() = default;

std::string DeflatingPeer::deflate(std::string_view message) {
  if (message.empty()) return std::string(1, '\0');  // RFC 7692, section 7.2.3.6
  std::string out(deflateBound(deflate_.get(), message.size()) + 64, '\0');
  deflate_->next_in = bytes(message.data());
  deflate_->avail_in = static_cast<uInt>(message.size());
  deflate_->next_out = bytes(out.data());
  deflate_->avail_out = static_cast<uInt>(out.size());
  if (::deflate(deflate_.get(), Z_SYNC_FLUSH) != Z_OK || deflate_->avail_out == 0) {
    throw PeerError("zlib does not deflate");
  }
  out.resize(out.size() - deflate_->avail_out - kTail.size());
  return out;
}

std::string DeflatingPeer::inflate(std::string_view payload) {
  const std::string input = std::string(payload).append(kTail);
  std::string out;
  char piece[16 * 1024];
  inflate_->next_in = bytes(input.data());
  inflate_->avail_in = static_cast<uInt>(input.size());
  do {
    inflate_->next_out = bytes(piece);
    inflate_->avail_out = sizeof piece;
    const int result = ::inflate(inflate_.get(), Z_SYNC_FLUSH);
    if (result != Z_OK && result != Z_BUF_ERROR) {
      throw PeerError(std::string("zlib does not inflate: ") +
                      (inflate_->msg == nullptr ? "" : inflate_->msg));
    }
    out.append(piece, sizeof piece - inflate_->avail_out);
  } while (inflate_->avail_out == 0 || inflate_->avail_in != 0);
  return out;
}

void DeflatingPeer::forget() {
  deflateReset(deflate_.get());
  inflateReset(inflate_.get());
}

SentFrame DeflatingPeer::frame(unsigned opcode, std::string_view message) {
  return {.opcode = opcode, .payload = deflate(message), .rsv = 4};
}

std::string DeflatingPeer::read_message(RawPeer& from, unsigned* rsv) {
  std::string payload;
  const std::vector<Frame> frames = from.read_message_frames();
  for (const Frame& frame : frames) payload += frame.payload;
  if (rsv != nullptr) *rsv = frames.front().rsv;
  return frames.front().rsv == 0 ? payload : inflate(payload);
}

std::string compressible(std::size_t size, unsigned seed) {
  std::string text;
  text.reserve(size + 64);
  for (unsigned i = seed * 1000; text.size() < size; ++i) {
    text += "{\"player\":" + std::to_string(i % 16) + ",\"x\":" + std::to_string(i * 7919 % 1000) +
            ",\"y\":" + std::to_string(i * 104729 % 1000) + "},";
  }
  text.resize(size);
  return text;
}

}  // namespace webshocket::test
