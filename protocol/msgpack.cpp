// The grammar that is read; what is written is the shortest form (and never ca).
//
//     null     c0
//     boolean  c2 | c3
//     integer  00…7f | e0…ff (the value itself) | cc u8 | cd u16 | ce u32 | cf u64
//                                               | d0 i8 | d1 i16 | d2 i32 | d3 i64
//     real     cb f64 | ca f32
//     string   a0…bf | d9 u8 | da u16 | db u32, then so many bytes of UTF-8
//     binary   c4 u8 | c5 u16 | c6 u32, then so many bytes
//     ext      d4…d8 (1, 2, 4, 8, 16) | c7 u8 | c8 u16 | c9 u32, then the type, then so many bytes
//     array    90…9f | dc u16 | dd u32, then so many values
//     map      80…8f | de u16 | df u32, then so many times a key (a scalar) and a value
//
// All numbers are big-endian; c1 begins nothing. A message is exactly one value.

#include "protocol/msgpack.hpp"

#include <bit>
#include <limits>
#include <msgpack/unpack.hpp>
#include <string>

#include "protocol/decode_budget.hpp"
#include "protocol/text.hpp"

namespace webshocket::protocol {
namespace {

constexpr std::size_t kLargest = std::numeric_limits<std::uint32_t>::max();

/// msgpack-cxx's events to ours. A false stops the parser.
class Visitor {
 public:
  void begin(detail::DocumentBuilder& builder, const DecodeLimits& limits) noexcept {
    builder_ = &builder;
    budget_ = DecodeBudget(limits);
    why_ = {};
    at_key_ = false;
  }
  std::string_view why() const noexcept { return why_; }

  void init() noexcept {}
  bool visit_nil() {
    if (!take()) return false;
    builder_->null();
    return true;
  }
  bool visit_boolean(bool value) {
    if (!take()) return false;
    builder_->boolean(value);
    return true;
  }
  bool visit_positive_integer(std::uint64_t value) {
    if (!take()) return false;
    builder_->unsigned_integer(value);
    return true;
  }
  bool visit_negative_integer(std::int64_t value) {
    if (!take()) return false;
    builder_->integer(value);
    return true;
  }
  bool visit_float32(float value) { return visit_float64(static_cast<double>(value)); }
  bool visit_float64(double value) {
    if (!take()) return false;
    builder_->real(value);
    return true;
  }
  bool visit_str(const char* text, std::uint32_t size) {
    if (!take()) return false;
    const std::string_view view = size == 0 ? std::string_view() : std::string_view(text, size);
    if (!is_text(view)) return stop("a string is not UTF-8");
    builder_->string(view);
    return true;
  }
  bool visit_bin(const char* bytes, std::uint32_t size) {
    if (!take()) return false;
    builder_->binary(as_bytes(bytes, size));
    return true;
  }
  bool visit_ext(const char* bytes, std::uint32_t size) {
    if (!take()) return false;
    // The type counts as the first byte.
    builder_->ext(static_cast<std::int8_t>(bytes[0]), as_bytes(bytes + 1, size - 1));
    return true;
  }
  bool start_array(std::uint32_t size) {
    if (!open(size)) return false;
    builder_->begin_array(size);
    return true;
  }
  bool start_array_item() noexcept { return true; }
  bool end_array_item() noexcept { return true; }
  bool end_array() {
    builder_->end_array();
    budget_.ascend();
    return true;
  }
  bool start_map(std::uint32_t size) {
    if (!open(std::size_t{size} * 2)) return false;
    builder_->begin_map(size);
    return true;
  }
  bool start_map_key() noexcept { return at_key_ = true; }
  bool end_map_key() noexcept {
    at_key_ = false;
    return true;
  }
  bool start_map_value() noexcept { return true; }
  bool end_map_value() noexcept { return true; }
  bool end_map() {
    builder_->end_map();
    budget_.ascend();
    return true;
  }
  void parse_error(std::size_t, std::size_t) noexcept { why_ = "a byte that begins no value"; }

 private:
  static std::span<const std::byte> as_bytes(const char* bytes, std::uint32_t size) noexcept {
    if (size == 0) return {};
    return {reinterpret_cast<const std::byte*>(bytes), size};
  }

  bool stop(std::string_view why) noexcept {
    why_ = why;
    return false;
  }
  bool take() noexcept { return budget_.take() || stop(kTooMany); }
  bool open(std::size_t elements) noexcept {
    if (at_key_) return stop("a map's key is an array or a map");
    if (!take() || !budget_.holds(elements)) return stop(kTooMany);
    return budget_.descend() || stop(kTooDeep);
  }

  detail::DocumentBuilder* builder_ = nullptr;
  DecodeBudget budget_{DecodeLimits{}};
  std::string_view why_;
  bool at_key_ = false;
};

/// The parser allocates its stack when it is made, so there is one per thread.
struct Parser {
  Visitor visitor;
  msgpack::detail::parse_helper<Visitor> helper{visitor};
};

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

bool read_msgpack(std::span<const std::byte> message, const DecodeLimits& limits,
                  detail::DocumentBuilder& builder, std::string_view& why) {
  if (message.size() > kLargest) {
    why = "the message is larger than 4 GiB";
    return false;
  }
  thread_local Parser parser;
  parser.visitor.begin(builder, limits);
  parser.helper.init();

  std::size_t read = 0;
  const auto result =
      parser.helper.execute(reinterpret_cast<const char*>(message.data()), message.size(), read);
  if (result == msgpack::PARSE_SUCCESS && read == message.size()) return true;

  why = parser.visitor.why();
  if (why.empty()) {
    why = result == msgpack::PARSE_SUCCESS ? "bytes after the value"
          : message.empty()                ? "the message is empty"
                                           : "the message ends within a value";
  }
  return false;
}

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

}  // namespace webshocket::protocol
