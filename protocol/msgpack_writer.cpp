// Writes the shortest form of everything, and reals always with 64 bits: the grammar is in
// msgpack_reader.cpp.

#include "protocol/msgpack.hpp"

#include <bit>
#include <limits>
#include <string>

#include "protocol/text.hpp"

namespace webshocket::protocol {
namespace {

constexpr std::size_t kLargest = std::numeric_limits<std::uint32_t>::max();

template <class Number>
void put(Buffer& out, unsigned header, Number value) {
  std::byte* const place = out.extend(1 + sizeof value);
  place[0] = static_cast<std::byte>(header);
  for (std::size_t i = 0; i < sizeof value; ++i) {
    place[1 + i] = static_cast<std::byte>(value >> (8 * (sizeof value - 1 - i)));
  }
}

void put(Buffer& out, unsigned header) { out.push_back(static_cast<std::byte>(header)); }

/// The shortest of the headers for a length: below `fixed`, one byte that holds it; then 8, 16, 32
/// bits. There is no 8-bit form of arrays and maps: pass 0.
void put_length(Buffer& out, std::size_t length, unsigned fixed_header, std::size_t fixed,
                unsigned header8, unsigned header16, unsigned header32) {
  if (length < fixed) {
    put(out, fixed_header | static_cast<unsigned>(length));
  } else if (header8 != 0 && length <= 0xFF) {
    put(out, header8, static_cast<std::uint8_t>(length));
  } else if (length <= 0xFFFF) {
    put(out, header16, static_cast<std::uint16_t>(length));
  } else {
    put(out, header32, static_cast<std::uint32_t>(length));
  }
}

void put_unsigned(Buffer& out, std::uint64_t value) {
  if (value <= 0x7F) {
    put(out, static_cast<unsigned>(value));
  } else if (value <= 0xFF) {
    put(out, 0xCC, static_cast<std::uint8_t>(value));
  } else if (value <= 0xFFFF) {
    put(out, 0xCD, static_cast<std::uint16_t>(value));
  } else if (value <= 0xFFFFFFFF) {
    put(out, 0xCE, static_cast<std::uint32_t>(value));
  } else {
    put(out, 0xCF, value);
  }
}

void put_negative(Buffer& out, std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  if (value >= -32) {
    put(out, static_cast<unsigned>(bits & 0xFF));
  } else if (value >= std::numeric_limits<std::int8_t>::min()) {
    put(out, 0xD0, static_cast<std::uint8_t>(bits));
  } else if (value >= std::numeric_limits<std::int16_t>::min()) {
    put(out, 0xD1, static_cast<std::uint16_t>(bits));
  } else if (value >= std::numeric_limits<std::int32_t>::min()) {
    put(out, 0xD2, static_cast<std::uint32_t>(bits));
  } else {
    put(out, 0xD3, bits);
  }
}

}  // namespace

void MsgpackWriter::null() {
  if (nesting_.scalar()) put(out_, 0xC0);
}

void MsgpackWriter::boolean(bool value) {
  if (nesting_.scalar()) put(out_, value ? 0xC3 : 0xC2);
}

void MsgpackWriter::integer(std::int64_t value) {
  if (!nesting_.scalar()) return;
  if (value < 0) {
    put_negative(out_, value);
  } else {
    put_unsigned(out_, static_cast<std::uint64_t>(value));
  }
}

void MsgpackWriter::unsigned_integer(std::uint64_t value) {
  if (nesting_.scalar()) put_unsigned(out_, value);
}

void MsgpackWriter::real(double value) {
  if (nesting_.scalar()) put(out_, 0xCB, std::bit_cast<std::uint64_t>(value));
}

void MsgpackWriter::string(std::string_view text) {
  if (text.size() > kLargest) nesting_.fail();
  if (!nesting_.scalar()) return;
  std::string repaired;
  if (!is_text(text)) {
    repaired = repair_utf8(text);
    text = repaired;
    if (text.size() > kLargest) {
      nesting_.fail();
      return;
    }
  }
  put_length(out_, text.size(), 0xA0, 32, 0xD9, 0xDA, 0xDB);
  out_.append(text);
}

void MsgpackWriter::binary(std::span<const std::byte> bytes) {
  if (bytes.size() > kLargest) nesting_.fail();
  if (!nesting_.scalar()) return;
  put_length(out_, bytes.size(), 0, 0, 0xC4, 0xC5, 0xC6);
  out_.append(bytes);
}

void MsgpackWriter::ext(std::int8_t type, std::span<const std::byte> bytes) {
  if (bytes.size() > kLargest) nesting_.fail();
  if (!nesting_.scalar()) return;
  const std::size_t size = bytes.size();
  if (size <= 16 && std::has_single_bit(size)) {
    put(out_, 0xD4 + static_cast<unsigned>(std::countr_zero(size)));
  } else {
    put_length(out_, size, 0, 0, 0xC7, 0xC8, 0xC9);
  }
  out_.push_back(static_cast<std::byte>(type));
  out_.append(bytes);
}

void MsgpackWriter::begin_array(std::size_t size) {
  if (size == kUnknownSize) nesting_.fail();
  if (nesting_.open(false, size)) put_length(out_, size, 0x90, 16, 0, 0xDC, 0xDD);
}

void MsgpackWriter::end_array() { nesting_.close(false); }

void MsgpackWriter::begin_map(std::size_t size) {
  if (size == kUnknownSize) nesting_.fail();
  if (nesting_.open(true, size)) put_length(out_, size, 0x80, 16, 0, 0xDE, 0xDF);
}

void MsgpackWriter::end_map() { nesting_.close(true); }

bool MsgpackWriter::take_encoded(Format format, std::span<const std::byte> bytes,
                                 std::size_t height) {
  if (format != Format::msgpack) return false;
  if (nesting_.whole(height)) out_.append(bytes);
  return true;
}

}  // namespace webshocket::protocol
