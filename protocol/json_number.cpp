#include "protocol/json_number.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <system_error>

namespace webshocket::protocol {
namespace {

// Both as in the original's encoder.
constexpr int kMostWholeDigits = 16;
constexpr int kMostLeadingZeros = 4;

/// Whether a number that does not fit is too small, and not too large: by where its first digit
/// other than 0 stands.
bool is_tiny(std::string_view text) noexcept {
  const std::size_t mark = std::min(text.find_first_of("eE"), text.size());
  const std::string_view digits = text.substr(0, mark);
  const std::size_t first = digits.find_first_of("123456789");
  if (first == std::string_view::npos) return true;
  const std::size_t point = std::min(digits.find('.'), digits.size());
  const auto place = first < point ? static_cast<long long>(point - first) - 1
                                   : static_cast<long long>(point) - static_cast<long long>(first);
  if (mark == text.size()) return place < 0;

  std::string_view exponent = text.substr(mark + 1);
  const bool negative = exponent.front() == '-';
  if (negative || exponent.front() == '+') exponent.remove_prefix(1);
  long long size = 0;
  const auto result = std::from_chars(exponent.data(), exponent.data() + exponent.size(), size);
  // Beyond any length that a message can have.
  if (result.ec != std::errc() || size > (1LL << 40)) size = 1LL << 40;
  return place + (negative ? -size : size) < 0;
}

template <class Integer>
bool convert(std::string_view text, Integer& value) noexcept {
  return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
}

}  // namespace

std::string_view write_real(double value, std::span<char, kRealRoom> room) noexcept {
  if (!std::isfinite(value)) return "null";

  // d.ddde±x: the digits and the place of the point.
  char scientific[kRealRoom];
  const char* const end =
      std::to_chars(scientific, scientific + kRealRoom, value, std::chars_format::scientific).ptr;
  const char* in = scientific;
  char* out = room.data();
  if (*in == '-') *out++ = *in++;
  const char* const mark = std::find(in, end, 'e');
  int exponent = 0;
  std::from_chars(mark + (mark[1] == '+' ? 2 : 1), end, exponent);

  char digits[kRealRoom];
  int count = 0;
  for (; in != mark; ++in) {
    if (*in != '.') digits[count++] = *in;
  }
  const auto put = [&out](const char* from, int size) {
    std::memcpy(out, from, static_cast<std::size_t>(size));
    out += size;
  };
  const auto put_zeros = [&out](int size) {
    std::memset(out, '0', static_cast<std::size_t>(size));
    out += size;
  };

  const int whole = exponent + 1;  // digits in front of the point
  if (whole > 0 && whole <= kMostWholeDigits) {
    put(digits, std::min(count, whole));
    put_zeros(std::max(whole - count, 0));
    *out++ = '.';
    if (count > whole) {
      put(digits + whole, count - whole);
    } else {
      *out++ = '0';
    }
  } else if (whole <= 0 && whole >= -kMostLeadingZeros) {
    put("0.", 2);
    put_zeros(-whole);
    put(digits, count);
  } else {
    *out++ = digits[0];
    if (count > 1) {
      *out++ = '.';
      put(digits + 1, count - 1);
    }
    *out++ = 'e';
    out = std::to_chars(out, room.data() + room.size(), exponent).ptr;
  }
  return {room.data(), static_cast<std::size_t>(out - room.data())};
}

bool is_spelled_shortest(std::string_view text) noexcept {
  if (text.front() == '-') text.remove_prefix(1);
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos || text.find_first_of("eE") != std::string_view::npos) {
    return false;
  }
  // Of so many digits each number is another double: so none but these spell it.
  if (text.size() - 1 > std::numeric_limits<double>::digits10) return false;
  const std::string_view fraction = text.substr(point + 1);
  if (fraction == "0") return true;
  if (fraction.back() == '0') return false;
  return text.front() != '0' || fraction.find_first_not_of('0') <= kMostLeadingZeros;
}

bool read_integer(std::string_view text, Sink& to) {
  if (text.front() == '-') {
    std::int64_t value = 0;
    if (!convert(text, value)) return false;
    to.integer(value);
  } else {
    std::uint64_t value = 0;
    if (!convert(text, value)) return false;
    to.unsigned_integer(value);
  }
  return true;
}

bool read_real(std::string_view text, double& value) noexcept {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec == std::errc()) return std::isfinite(value);
  if (!is_tiny(text)) return false;
  value = text.front() == '-' ? -0.0 : 0.0;
  return true;
}

}  // namespace webshocket::protocol
