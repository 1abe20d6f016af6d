#include "value_text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

namespace wsc {
namespace {

namespace ws = webshocket;
using Type = ws::Value::Type;

constexpr std::size_t kBytesShown = 16;
constexpr std::size_t kTextShown = 64;
constexpr std::size_t kIndent = 2;
constexpr char32_t kMalformed = 0xFFFF'FFFF;

constexpr std::string_view kKey = "34";
constexpr std::string_view kString = "32";
constexpr std::string_view kNumber = "36";
constexpr std::string_view kWord = "35";
constexpr std::string_view kBytes = "33";

/// Takes a code point from the front, or one byte that begins none.
char32_t take_code_point(std::string_view& text) noexcept {
  const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  const std::size_t size = lead < 0x80   ? 1
                           : lead < 0xC2 ? 0
                           : lead < 0xE0 ? 2
                           : lead < 0xF0 ? 3
                                         : 4;
  char32_t point = size == 1 ? lead : lead & (0x7FU >> size);
  bool good = size > 0 && lead < 0xF5 && size <= text.size();
  for (std::size_t i = 1; good && i < size; ++i) {
    good = (byte(i) & 0xC0U) == 0x80;
    point = point << 6 | (byte(i) & 0x3FU);
  }
  good = good && !(size == 3 && point < 0x800) && !(size == 4 && point < 0x1'0000) &&
         !(point >= 0xD800 && point <= 0xDFFF) && point <= 0x10'FFFF;
  text.remove_prefix(good ? size : 1);
  return good ? point : kMalformed;
}

bool is_hidden(char32_t point) noexcept {
  return point < 0x20 || (point >= 0x7F && point <= 0x9F) || point == 0x200E || point == 0x200F ||
         (point >= 0x2028 && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069);
}

void append_escape(std::string& out, char32_t point) {
  static constexpr char kDigits[] = "0123456789abcdef";
  switch (point) {
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u";
      for (int shift = 12; shift >= 0; shift -= 4) out += kDigits[point >> shift & 15];
  }
}

void append_visible(std::string& out, std::string_view text, std::string_view escaped) {
  while (!text.empty()) {
    const std::string_view before = text;
    const char32_t point = take_code_point(text);
    if (point == kMalformed) {
      out += "\uFFFD";
    } else if (is_hidden(point)) {
      append_escape(out, point);
    } else {
      if (escaped.find(before.front()) != std::string_view::npos) out += '\\';
      out += before.substr(0, before.size() - text.size());
    }
  }
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  append_visible(out, text, "\"\\");
  return out += '"';
}

std::size_t columns_of(std::string_view text) noexcept {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
}

/// The first code points of it, and whether all of it is text that reads well.
bool reads_as_text(std::string_view text, std::string_view& start) noexcept {
  std::string_view rest = text;
  std::size_t count = 0;
  while (!rest.empty()) {
    const char32_t point = take_code_point(rest);
    if (point == kMalformed || (is_hidden(point) && (point < '\t' || point > '\r'))) return false;
    if (++count == kTextShown) start = text.substr(0, text.size() - rest.size());
  }
  if (count < kTextShown) start = text;
  return count > 0;
}

void append_bytes(std::string& out, std::span<const std::byte> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (const std::byte byte : bytes.first(std::min(bytes.size(), kBytesShown))) {
    out += ' ';
    out += kDigits[std::to_integer<unsigned>(byte) >> 4];
    out += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  if (bytes.size() > kBytesShown) out += " …";
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::string_view start;
  if (!reads_as_text(text, start)) return;
  out += ' ' + quoted(start);
  if (start.size() < text.size()) out += "…";
}

std::string scalar_text(const ws::Value& value) {
  std::string out;
  switch (value.type()) {
    case Type::string:
      return quoted(value.string());
    case Type::binary:
      out = "bytes(" + std::to_string(value.size()) + ")";
      append_bytes(out, value.bytes());
      return out;
    case Type::ext:
      out = "ext(" + std::to_string(value.ext_type()) + ", " + std::to_string(value.size()) + ")";
      append_bytes(out, value.bytes());
      return out;
    default:
      return to_string(value);
  }
}

/// JSON knows no keys but strings.
std::string key_text(const ws::Value& key) {
  return key.is_string() ? quoted(key.string()) : quoted(scalar_text(key));
}

bool is_list(const ws::Value& value) noexcept { return value.is_array() || value.is_map(); }

class Writer {
 public:
  explicit Writer(const ValueStyle& style) noexcept : style_(style) {}

  void write(const ws::Value& value, std::size_t indent, std::size_t column) {
    if (!is_list(value)) {
      write_scalar(value);
      return;
    }
    std::size_t room = style_.width - std::min(style_.width, column);
    const bool on_one_line = value.size() == 0 || take_room(value, room);
    const std::size_t inner = indent + kIndent;
    const std::string separator = on_one_line ? ", " : ",\n" + std::string(inner, ' ');
    out_ += value.is_array() ? '[' : '{';
    if (!on_one_line) out_ += separator.substr(1);
    bool first = true;
    const auto separate = [&] {
      if (!first) out_ += separator;
      first = false;
    };
    for (const ws::Value& element : elements_of(value)) {
      separate();
      // What is on one line has been measured as a whole.
      write(element, inner, on_one_line ? 0 : inner);
    }
    for (const auto& [key, mapped] : members_of(value)) {
      separate();
      const std::string name = key_text(key);
      paint(kKey, name);
      out_ += ": ";
      write(mapped, inner, on_one_line ? 0 : inner + columns_of(name) + 2);
    }
    if (!on_one_line) out_ += '\n' + std::string(indent, ' ');
    out_ += value.is_array() ? ']' : '}';
  }

  std::string take() { return std::move(out_); }

 private:
  static std::span<const ws::Value> elements_of(const ws::Value& value) noexcept {
    return value.is_array() ? value.elements() : std::span<const ws::Value>();
  }
  static std::span<const ws::Value::Member> members_of(const ws::Value& value) noexcept {
    return value.is_map() ? value.members() : std::span<const ws::Value::Member>();
  }

  static bool take(std::size_t columns, std::size_t& room) noexcept {
    if (columns > room) return false;
    room -= columns;
    return true;
  }

  /// Whether it fits into the room, which becomes less by it. Ends as soon as it does not.
  static bool take_room(const ws::Value& value, std::size_t& room) {
    // Each code point takes a column, and four bytes at most.
    if (value.is_string() && value.size() / 4 > room) return false;
    if (!is_list(value)) return take(columns_of(scalar_text(value)), room);
    if (!take(2, room)) return false;
    return std::ranges::all_of(elements_of(value),
                               [&](const ws::Value& element) {
                                 return take_room(element, room) && take(2, room);
                               }) &&
           std::ranges::all_of(members_of(value), [&](const ws::Value::Member& member) {
             return take(columns_of(key_text(member.key)) + 4, room) &&
                    take_room(member.value, room);
           });
  }

  void write_scalar(const ws::Value& value) {
    switch (value.type()) {
      case Type::string:
        return paint(kString, scalar_text(value));
      case Type::binary:
      case Type::ext:
        return paint(kBytes, scalar_text(value));
      case Type::null:
      case Type::boolean:
        return paint(kWord, scalar_text(value));
      default:
        return paint(kNumber, scalar_text(value));
    }
  }

  void paint(std::string_view code, const std::string& text) {
    out_ += style_.color ? colored(code, text) : text;
  }

  const ValueStyle& style_;
  std::string out_;
};

}  // namespace

std::string visible(std::string_view text) {
  std::string out;
  append_visible(out, text, "");
  return out;
}

std::string colored(std::string_view code, std::string_view text) {
  std::string out = "\x1b[";
  return out.append(code).append("m").append(text).append("\x1b[0m");
}

std::string text_of(const ws::Value& value, const ValueStyle& style, std::size_t column) {
  Writer writer(style);
  writer.write(value, 0, column);
  return writer.take();
}

}  // namespace wsc
