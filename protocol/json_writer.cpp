#include "protocol/json.hpp"

// Writes RFC 8259 without spaces. Strings escape `"`, `\`, and what is below 0x20 (\b \f \n \r \t,
// the others as \u001f), and nothing else.
//
// RapidJSON's writer is not used: its digits are not always the shortest, its hexadecimal ones are
// capital, and it has neither bytes nor keys that are no strings.

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "protocol/json_number.hpp"
#include "protocol/json_string.hpp"
#include "protocol/text.hpp"

namespace webshocket::protocol {
namespace {

constexpr std::size_t base64_size(std::size_t size) noexcept { return (size + 2) / 3 * 4; }

void put_base64(Buffer& out, std::span<const std::byte> bytes) {
  // OpenSSL takes an int, and adds a NUL; whole groups of three join without padding.
  constexpr std::size_t kAtOnce = 3U << 20;
  out.reserve(out.size() + base64_size(bytes.size()) + 1);
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(bytes.size(), kAtOnce));
    auto* const place = reinterpret_cast<unsigned char*>(out.extend(base64_size(part.size()) + 1));
    EVP_EncodeBlock(place, reinterpret_cast<const unsigned char*>(part.data()),
                    static_cast<int>(part.size()));
    out.resize_down(out.size() - 1);
    bytes = bytes.subspan(part.size());
  }
}

void put_escaped(Buffer& out, char c) {
  static constexpr char kHex[] = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  switch (c) {
    case '"':
      return out.append("\\\"");
    case '\\':
      return out.append("\\\\");
    case '\b':
      return out.append("\\b");
    case '\f':
      return out.append("\\f");
    case '\n':
      return out.append("\\n");
    case '\r':
      return out.append("\\r");
    case '\t':
      return out.append("\\t");
    default:
      const char escape[] = {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]};
      return out.append(std::string_view(escape, sizeof escape));
  }
}

void put_string(Buffer& out, std::string_view text) {
  std::string repaired;
  if (!is_text(text)) {
    repaired = repair_utf8(text);
    text = repaired;
  }
  out.append("\"");
  while (true) {
    const std::size_t run = plain_run(text.data(), text.size());
    out.append(text.substr(0, run));
    if (run == text.size()) break;
    put_escaped(out, text[run]);
    text.remove_prefix(run + 1);
  }
  out.append("\"");
}

template <class Integer>
std::string_view digits_of(Integer value, std::span<char> room) noexcept {
  const auto end = std::to_chars(room.data(), room.data() + room.size(), value).ptr;
  return {room.data(), static_cast<std::size_t>(end - room.data())};
}

}  // namespace

/// What stands between this event and the one before.
void JsonWriter::separate() {
  if (nesting_.at_value()) {
    out_.append(":");
  } else if (!first_) {
    out_.append(",");
  }
  first_ = false;
}

void JsonWriter::literal(std::string_view text) {
  const bool key = nesting_.at_key();
  separate();
  if (!nesting_.scalar()) return;
  if (key) out_.append("\"");
  out_.append(text);
  if (key) out_.append("\"");
}

void JsonWriter::null() { literal("null"); }

void JsonWriter::boolean(bool value) { literal(value ? "true" : "false"); }

void JsonWriter::integer(std::int64_t value) {
  char room[24];
  literal(digits_of(value, room));
}

void JsonWriter::unsigned_integer(std::uint64_t value) {
  char room[24];
  literal(digits_of(value, room));
}

void JsonWriter::real(double value) {
  char room[kRealRoom];
  literal(write_real(value, room));
}

void JsonWriter::string(std::string_view text) {
  separate();
  if (nesting_.scalar()) put_string(out_, text);
}

void JsonWriter::binary(std::span<const std::byte> bytes) {
  separate();
  if (!nesting_.scalar()) return;
  out_.append("\"");
  put_base64(out_, bytes);
  out_.append("\"");
}

void JsonWriter::ext(std::int8_t, std::span<const std::byte>) { nesting_.fail(); }

void JsonWriter::begin(bool map, std::size_t size) {
  separate();
  first_ = true;
  if (nesting_.open(map, size)) out_.append(map ? "{" : "[");
}

void JsonWriter::end(bool map) {
  first_ = false;
  if (nesting_.close(map)) out_.append(map ? "}" : "]");
}

void JsonWriter::begin_array(std::size_t size) { begin(false, size); }

void JsonWriter::end_array() { end(false); }

void JsonWriter::begin_map(std::size_t size) { begin(true, size); }

void JsonWriter::end_map() { end(true); }

bool JsonWriter::take_encoded(Format format, std::span<const std::byte> bytes, std::size_t height) {
  if (format != Format::json) return false;
  separate();
  if (nesting_.whole(height)) out_.append(bytes);
  return true;
}

}  // namespace webshocket::protocol
