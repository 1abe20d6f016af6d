#include "protocol/json.hpp"

// The grammar is RFC 8259's, and nothing beside it: no comments, no NaN, no trailing commas, no
// byte order mark.
//
//     value  := null | true | false | number | string | array | object
//     number := -? (0 | 1-9 digits) [. digits] [e|E [+|-] digits]
//     string := " (any byte from 0x20 on but " and \ | \" \\ \/ \b \f \n \r \t | \uXXXX)* "
//
// with spaces, tabs, carriage returns and newlines around values and punctuation.

#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <system_error>

#include "protocol/decode_budget.hpp"
#include "protocol/json_number.hpp"
#include "protocol/json_string.hpp"
#include "protocol/text.hpp"

namespace webshocket::protocol {
namespace {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

class Reader {
 public:
  Reader(std::string_view message, const DecodeLimits& limits,
         detail::DocumentBuilder& builder) noexcept
      : at_(message.data()), end_(at_ + message.size()), budget_(limits), builder_(builder) {}

  bool read() {
    skip_space();
    for (;;) {
      bool has_ended = true;
      if (!begin_value(has_ended)) return false;
      while (has_ended) {
        skip_space();
        if (depth_ == 0) return at_ == end_;
        if (next_is(',')) {
          skip_space();
          if (is_map() && !key()) return false;
          has_ended = false;
        } else if (!end_container()) {
          return false;
        }
      }
    }
  }

 private:
  bool is_map() const noexcept { return is_map_[depth_ - 1]; }
  std::size_t rest() const noexcept { return static_cast<std::size_t>(end_ - at_); }
  const std::byte* place() const noexcept { return reinterpret_cast<const std::byte*>(at_); }

  bool next_is(char c) noexcept {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  void skip_space() noexcept {
    const auto is_at_space = [this] {
      return at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t');
    };
    if (!is_at_space()) return;
    do ++at_;
    while (is_at_space());
    builder_.forget_bytes();
  }

  /// `has_ended`: it is whole, and not an array or an object whose first value comes next.
  bool begin_value(bool& has_ended) {
    if (at_ == end_ || !budget_.take()) return false;
    switch (*at_) {
      case '"':
        ++at_;
        return string();
      case '{':
      case '[':
        if (!begin_container(*at_ == '{')) return false;
        has_ended = is_at_end_of_container();
        return has_ended || !is_map() || key();
      case 'n':
        if (!literal("null")) return false;
        builder_.null();
        return true;
      case 't':
        if (!literal("true")) return false;
        builder_.boolean(true);
        return true;
      case 'f':
        if (!literal("false")) return false;
        builder_.boolean(false);
        return true;
      default:
        return number();
    }
  }
  bool begin_container(bool is_map) {
    if (!budget_.descend()) return false;
    is_map ? builder_.begin_map_at(place()) : builder_.begin_array_at(place());
    is_map_[depth_++] = is_map;
    ++at_;
    skip_space();
    return true;
  }
  bool is_at_end_of_container() const noexcept {
    return at_ != end_ && *at_ == (is_map() ? '}' : ']');
  }
  bool end_container() {
    if (!is_at_end_of_container()) return false;
    ++at_;
    is_map() ? builder_.end_map_at(place(), Format::json)
             : builder_.end_array_at(place(), Format::json);
    budget_.ascend();
    --depth_;
    return true;
  }
  bool key() {
    if (!next_is('"') || !budget_.take() || !string()) return false;
    skip_space();
    if (!next_is(':')) return false;
    skip_space();
    return true;
  }

  bool literal(std::string_view text) noexcept {
    if (rest() < text.size() || std::memcmp(at_, text.data(), text.size()) != 0) return false;
    at_ += text.size();
    return true;
  }

  bool number() {
    const char* const begin = at_;
    next_is('-');
    const char* const whole = at_;
    std::uint64_t value = 0;
    if (!next_is('0')) {
      for (; at_ != end_ && is_digit(*at_); ++at_) {
        value = value * 10 + static_cast<std::uint64_t>(*at_ - '0');  // of 20 digits not the value
      }
      if (at_ == whole) return false;
    }
    const auto digits = static_cast<std::size_t>(at_ - whole);
    bool is_whole = true;
    if (next_is('.')) {
      is_whole = false;
      if (!skip_digits()) return false;
    }
    if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
      is_whole = false;
      ++at_;
      if (!next_is('+')) next_is('-');
      if (!skip_digits()) return false;
    }
    const std::string_view text(begin, static_cast<std::size_t>(at_ - begin));
    if (!is_whole) return real(text);
    if (digits <= std::numeric_limits<std::int64_t>::digits10) {
      const bool is_negative = begin != whole;
      if (is_negative && value == 0) builder_.forget_bytes();
      const auto as_signed = static_cast<std::int64_t>(value);
      builder_.integer(is_negative ? -as_signed : as_signed);
      return true;
    }
    return read_integer(text, builder_) || real(text);
  }
  bool skip_digits() noexcept {
    const char* const begin = at_;
    while (at_ != end_ && is_digit(*at_)) ++at_;
    return at_ != begin;
  }
  bool real(std::string_view text) {
    double value = 0;
    if (!read_real(text, value)) return false;
    if (!is_spelled_shortest(text)) builder_.forget_bytes();
    builder_.real(value);
    return true;
  }

  /// Behind its first quote. Without escapes it stays where it is.
  bool string() {
    const char* const begin = at_;
    const std::size_t run = plain_run(at_, rest());
    at_ += run;
    if (next_is('"')) {
      builder_.string({begin, run});
      return true;
    }
    return at_ != end_ && *at_ == '\\' && escaped_string(begin);
  }
  // Not inlined into what most strings run through.
  [[gnu::noinline]] bool escaped_string(const char* begin) {
    // Decoded, it is never longer than it was.
    const auto room = static_cast<std::size_t>(end_of_string(at_, end_) - begin);
    auto* const copy = reinterpret_cast<char*>(builder_.arena().allocate(room, 1));
    char* out = copy;
    for (const char* from = begin;; from = at_) {
      at_ = from + plain_run(from, static_cast<std::size_t>(end_ - from));
      std::memcpy(out, from, static_cast<std::size_t>(at_ - from));
      out += at_ - from;
      if (next_is('"')) break;
      if (!next_is('\\') || !escape(out)) return false;
    }
    builder_.forget_bytes();
    builder_.string({copy, static_cast<std::size_t>(out - copy)});
    return true;
  }
  /// Behind the backslash.
  bool escape(char*& out) noexcept {
    if (at_ == end_) return false;
    switch (*at_++) {
      case '"':
        *out++ = '"';
        return true;
      case '\\':
        *out++ = '\\';
        return true;
      case '/':
        *out++ = '/';
        return true;
      case 'b':
        *out++ = '\b';
        return true;
      case 'f':
        *out++ = '\f';
        return true;
      case 'n':
        *out++ = '\n';
        return true;
      case 'r':
        *out++ = '\r';
        return true;
      case 't':
        *out++ = '\t';
        return true;
      case 'u':
        return code_point(out);
      default:
        return false;
    }
  }
  bool hexadecimal(std::uint32_t& unit) noexcept {
    if (rest() < 4) return false;
    const auto [end, error] = std::from_chars(at_, at_ + 4, unit, 16);
    if (error != std::errc() || end != at_ + 4) return false;
    at_ += 4;
    return true;
  }
  bool code_point(char*& out) noexcept {
    std::uint32_t unit = 0;
    if (!hexadecimal(unit)) return false;
    if (unit >= 0xD800 && unit <= 0xDFFF) {
      std::uint32_t low = 0;
      if (unit >= 0xDC00 || !next_is('\\') || !next_is('u') || !hexadecimal(low)) return false;
      if (low < 0xDC00 || low > 0xDFFF) return false;
      unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    }
    const auto put = [&out](std::uint32_t byte) { *out++ = static_cast<char>(byte); };
    const auto put_rest = [&](unsigned shift) { put(0x80 | ((unit >> shift) & 0x3F)); };
    if (unit < 0x80) {
      put(unit);
    } else if (unit < 0x800) {
      put(0xC0 | (unit >> 6));
      put_rest(0);
    } else if (unit < 0x10000) {
      put(0xE0 | (unit >> 12));
      put_rest(6);
      put_rest(0);
    } else {
      put(0xF0 | (unit >> 18));
      put_rest(12);
      put_rest(6);
      put_rest(0);
    }
    return true;
  }

  const char* at_;
  const char* const end_;
  std::size_t depth_ = 0;
  DecodeBudget budget_;
  detail::DocumentBuilder& builder_;
  std::array<bool, Sink::kMaxDepth> is_map_;  // left uninitialised: only what is open is touched
};

}  // namespace

bool read_well_formed_json(std::span<const std::byte> message, const DecodeLimits& limits,
                           detail::DocumentBuilder& builder) {
  const std::string_view text = as_text(message);
  return text.size() <= kLargestMessage && is_utf8(text) && Reader(text, limits, builder).read();
}

bool read_json(std::span<const std::byte> message, const DecodeLimits& limits,
               detail::DocumentBuilder& builder, std::string_view& why) {
  if (read_well_formed_json(message, limits, builder)) return true;
  builder.restart();
  return judge_json(message, limits, builder, why);
}

}  // namespace webshocket::protocol
