#include <webshocket/value.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ostream>
#include <utility>

#include "api/document_builder.hpp"

namespace webshocket {
namespace {

// Exact: a double next to 2^63 is not equal to the integer that it would be rounded to.
bool equal(std::int64_t integer, double real) noexcept {
  return real >= -0x1p63 && real < 0x1p63 && static_cast<std::int64_t>(real) == integer &&
         static_cast<double>(static_cast<std::int64_t>(real)) == real;
}

bool equal(std::uint64_t integer, double real) noexcept {
  return real >= 0 && real < 0x1p64 && static_cast<std::uint64_t>(real) == integer &&
         static_cast<double>(static_cast<std::uint64_t>(real)) == real;
}

bool equal_numbers(const Value& left, const Value& right) noexcept {
  using Type = Value::Type;
  if (left.type() == Type::real && right.type() == Type::real) return left.real() == right.real();
  if (left.type() == Type::real) return equal_numbers(right, left);
  if (right.type() == Type::real) {
    return left.type() == Type::integer ? equal(left.integer(), right.real())
                                        : equal(left.unsigned_integer(), right.real());
  }
  if (left.type() != right.type()) return false;  // an unsigned_integer is beyond every integer
  return left.type() == Type::integer ? left.integer() == right.integer()
                                      : left.unsigned_integer() == right.unsigned_integer();
}

bool equal_maps(const Value& left, const Value& right) noexcept {
  const auto members = right.members();
  if (left.size() != members.size()) return false;
  // Where maps have the same order, which is nearly always, each search ends at its first look.
  std::size_t next = 0;
  for (const auto& [key, value] : left.members()) {
    std::size_t looked = 0;
    while (looked < members.size() && !(members[next].key == key)) {
      next = next + 1 == members.size() ? 0 : next + 1;
      ++looked;
    }
    if (looked == members.size() || !(members[next].value == value)) return false;
    next = next + 1 == members.size() ? 0 : next + 1;
  }
  return true;
}

template <class Number>
void append_number(std::string& out, Number number) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

void append_quoted(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

void append(std::string& out, const Value& value) {
  using Type = Value::Type;
  switch (value.type()) {
    case Type::null:
      out += "null";
      break;
    case Type::boolean:
      out += value.boolean() ? "true" : "false";
      break;
    case Type::integer:
      append_number(out, value.integer());
      break;
    case Type::unsigned_integer:
      append_number(out, value.unsigned_integer());
      break;
    case Type::real: {
      const std::size_t start = out.size();
      append_number(out, value.real());
      if (out.find_first_not_of("-0123456789", start) == std::string::npos) out += ".0";
      break;
    }
    case Type::string:
      append_quoted(out, value.string());
      break;
    case Type::binary:
      out += "bin(" + std::to_string(value.size()) + ')';
      break;
    case Type::ext:
      out += "ext(" + std::to_string(value.ext_type()) + ", " + std::to_string(value.size()) + ')';
      break;
    case Type::array: {
      std::string_view separator;
      out += '[';
      for (const Value& element : value.elements()) {
        out += std::exchange(separator, ", ");
        append(out, element);
      }
      out += ']';
      break;
    }
    case Type::map: {
      std::string_view separator;
      out += '{';
      for (const auto& [key, mapped] : value.members()) {
        out += std::exchange(separator, ", ");
        append(out, key);
        out += ": ";
        append(out, mapped);
      }
      out += '}';
      break;
    }
  }
}

}  // namespace

Value Value::operator[](std::size_t index) const noexcept {
  return type_ == Type::array && index < size_ ? elements_[index] : Value();
}

Value Value::operator[](std::string_view key) const noexcept {
  const Value* const found = find(key);
  return found != nullptr ? *found : Value();
}

const Value* Value::find(std::string_view key) const noexcept {
  if (type_ != Type::map) return nullptr;
  for (const Member& member : members()) {
    if (member.key.is_string() && std::ranges::equal(member.key.string(), key)) {
      return &member.value;
    }
  }
  return nullptr;
}

void Value::write(Sink& sink) const {
  if (has_origin_) {
    const auto& [data, size, height, format] = origin();
    if (sink.take_encoded(format, {data, size}, height)) return;
  }
  switch (type_) {
    case Type::null:
      return sink.null();
    case Type::boolean:
      return sink.boolean(boolean_);
    case Type::integer:
      return sink.integer(integer_);
    case Type::unsigned_integer:
      return sink.unsigned_integer(unsigned_);
    case Type::real:
      return sink.real(real_);
    case Type::string:
      return sink.string(string());
    case Type::binary:
      return sink.binary(bytes());
    case Type::ext:
      return sink.ext(ext_type_, bytes());
    case Type::array:
      sink.begin_array(size_);
      for (const Value& element : elements()) element.write(sink);
      return sink.end_array();
    case Type::map:
      sink.begin_map(size_);
      for (const Member& member : members()) {
        member.key.write(sink);
        member.value.write(sink);
      }
      return sink.end_map();
  }
}

bool operator==(const Value& left, const Value& right) noexcept {
  using Type = Value::Type;
  if (left.is_number() && right.is_number()) return equal_numbers(left, right);
  if (left.type() != right.type()) return false;
  switch (left.type()) {
    case Type::null:
      return true;
    case Type::boolean:
      return left.boolean() == right.boolean();
    case Type::string:
      return left.string() == right.string();
    case Type::ext:
      if (left.ext_type() != right.ext_type()) return false;
      [[fallthrough]];
    case Type::binary:
      return std::ranges::equal(left.bytes(), right.bytes());
    case Type::array:
      return std::ranges::equal(left.elements(), right.elements());
    case Type::map:
      return equal_maps(left, right);
    case Type::integer:
    case Type::unsigned_integer:
    case Type::real:
      break;  // numbers were compared above
  }
  return false;
}

std::string_view to_string(Value::Type type) noexcept {
  switch (type) {
    case Value::Type::null:
      return "null";
    case Value::Type::boolean:
      return "boolean";
    case Value::Type::integer:
    case Value::Type::unsigned_integer:
      return "integer";
    case Value::Type::real:
      return "real";
    case Value::Type::string:
      return "string";
    case Value::Type::binary:
      return "binary";
    case Value::Type::ext:
      return "ext";
    case Value::Type::array:
      return "array";
    case Value::Type::map:
      return "map";
  }
  return "invalid";
}

std::string to_string(const Value& value) {
  std::string out;
  append(out, value);
  return out;
}

std::ostream& operator<<(std::ostream& out, const Value& value) { return out << to_string(value); }

Document::Document(Document&& other) noexcept
    : arena_(std::move(other.arena_)), root_(std::exchange(other.root_, Value())) {
  other.arena_.reset();
}

Document& Document::operator=(Document&& other) noexcept {
  if (this != &other) {
    arena_ = std::move(other.arena_);
    root_ = std::exchange(other.root_, Value());
    other.arena_.reset();
  }
  return *this;
}

Document Document::of(Payload payload) {
  Document document;
  detail::DocumentBuilder builder(document, detail::DocumentBuilder::Strings::copy);
  payload.write(builder);
  if (!builder.finish()) {
    throw PacketError("a webshocket_write did not make exactly one value");
  }
  return document;
}

void Document::clear() noexcept {
  root_ = Value();
  arena_.reset();
}

Document clone(const Value& value) { return Document::of(value); }

}  // namespace webshocket
