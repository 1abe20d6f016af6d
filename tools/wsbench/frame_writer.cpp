#include "frame_writer.hpp"

#include <bit>
#include <cstddef>
#include <cstring>
#include <span>

#include "protocol/mask.hpp"

namespace wsbench {

void FrameWriter::append(std::string& out, std::uint8_t opcode, std::string_view payload) {
  const std::size_t size = payload.size();
  out.push_back(static_cast<char>(0x80U | opcode));
  const auto append_length = [&](unsigned marker, int bytes) {
    out.push_back(static_cast<char>(0x80U | marker));
    for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(size >> (8 * i)));
  };
  if (size < 126) {
    append_length(static_cast<unsigned>(size), 0);
  } else if (size < 65'536) {
    append_length(126, 2);
  } else {
    append_length(127, 8);
  }
  const auto key = std::bit_cast<webshocket::protocol::MaskKey>(next_key());
  out.append(reinterpret_cast<const char*>(key.data()), key.size());
  const std::size_t begin = out.size();
  out.append(payload);
  webshocket::protocol::apply_mask(std::as_writable_bytes(std::span(out).subspan(begin)), key);
}

std::uint32_t FrameWriter::next_key() noexcept {
  state_ ^= state_ << 13;
  state_ ^= state_ >> 17;
  state_ ^= state_ << 5;
  return state_;
}

}  // namespace wsbench
