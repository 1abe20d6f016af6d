#include "protocol/msgpack.hpp"

// The grammar:
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

#include <array>
#include <bit>
#include <type_traits>

#include "protocol/decode_budget.hpp"
#include "protocol/text.hpp"

namespace webshocket::protocol {
namespace {

class Reader {
 public:
  Reader(std::span<const std::byte> message, const DecodeLimits& limits,
         detail::DocumentBuilder& builder) noexcept
      : at_(message.data()), end_(at_ + message.size()), budget_(limits), builder_(builder) {}

  bool read() {
    for (;;) {
      while (left_ == 0) {
        if (depth_ == 0) return at_ == end_;
        close();
      }
      if (at_ == end_ || !budget_.take()) return false;
      --left_;
      const std::byte* const begin = at_++;
      if (!value(std::to_integer<unsigned>(*begin), begin)) return false;
    }
  }

 private:
  struct Level {
    std::uint64_t left;
    bool is_map;
  };

  bool value(unsigned first, const std::byte* begin) {
    if (first <= 0x7F || first >= 0xE0) return add(static_cast<std::int8_t>(first));
    if (first >= 0xA0 && first <= 0xBF) return string(first & 0x1FU);
    if (first <= 0x8F) return open(begin, true, first & 0x0FU);
    if (first <= 0x9F) return open(begin, false, first & 0x0FU);
    switch (first) {
      case 0xC0:
        builder_.null();
        return true;
      case 0xC2:
      case 0xC3:
        builder_.boolean(first == 0xC3);
        return true;
      case 0xC4:
        return sized<std::uint8_t>(&Reader::binary, 0);
      case 0xC5:
        return sized<std::uint16_t>(&Reader::binary, 0x100);
      case 0xC6:
        return sized<std::uint32_t>(&Reader::binary, 0x10000);
      case 0xC7:
        return sized<std::uint8_t>(&Reader::ext_of_any_size, 0);
      case 0xC8:
        return sized<std::uint16_t>(&Reader::ext_of_any_size, 0x100);
      case 0xC9:
        return sized<std::uint32_t>(&Reader::ext_of_any_size, 0x10000);
      case 0xCA:
        return real<float, std::uint32_t>();
      case 0xCB:
        return real<double, std::uint64_t>();
      case 0xCC:
        return integer<std::uint8_t>(0x80);
      case 0xCD:
        return integer<std::uint16_t>(0x100);
      case 0xCE:
        return integer<std::uint32_t>(0x10000);
      case 0xCF:
        return integer<std::uint64_t>(0x100000000);
      case 0xD0:
        return integer<std::int8_t>(-32);
      case 0xD1:
        return integer<std::int16_t>(-0x80);
      case 0xD2:
        return integer<std::int32_t>(-0x8000);
      case 0xD3:
        return integer<std::int64_t>(-0x80000000LL);
      case 0xD4:
      case 0xD5:
      case 0xD6:
      case 0xD7:
      case 0xD8:
        return ext(std::size_t{1} << (first - 0xD4));
      case 0xD9:
        return sized<std::uint8_t>(&Reader::string, 32);
      case 0xDA:
        return sized<std::uint16_t>(&Reader::string, 0x100);
      case 0xDB:
        return sized<std::uint32_t>(&Reader::string, 0x10000);
      case 0xDC:
        return opened<std::uint16_t>(begin, false, 16);
      case 0xDD:
        return opened<std::uint32_t>(begin, false, 0x10000);
      case 0xDE:
        return opened<std::uint16_t>(begin, true, 16);
      case 0xDF:
        return opened<std::uint32_t>(begin, true, 0x10000);
      default:
        return false;
    }
  }

  std::size_t rest() const noexcept { return static_cast<std::size_t>(end_ - at_); }

  template <class Number>
  bool number(Number& value) noexcept {
    if (rest() < sizeof value) return false;
    std::make_unsigned_t<Number> bits = 0;
    for (std::size_t i = 0; i < sizeof value; ++i) {
      bits = static_cast<decltype(bits)>(std::uint64_t{bits} << 8 |
                                         std::to_integer<std::uint64_t>(at_[i]));
    }
    at_ += sizeof value;
    value = static_cast<Number>(bits);
    return true;
  }

  /// Else it would be written otherwise.
  void check_shortest(bool is_shortest) noexcept {
    if (!is_shortest) builder_.forget_bytes();
  }

  /// Shorter forms go up to `bound`, or down to it.
  template <class Number>
  bool integer(Number bound) {
    Number value = 0;
    if (!number(value)) return false;
    check_shortest(std::is_signed_v<Number> ? value < bound : value >= bound);
    return add(value);
  }
  template <class Number>
  bool add(Number value) {
    if constexpr (std::is_signed_v<Number>) {
      builder_.integer(value);
    } else {
      builder_.unsigned_integer(value);
    }
    return true;
  }
  template <class Real, class Bits>
  bool real() {
    Bits bits = 0;
    if (!number(bits)) return false;
    check_shortest(sizeof(Real) == sizeof(double));
    builder_.real(static_cast<double>(std::bit_cast<Real>(bits)));
    return true;
  }

  /// Of a size that is told first, and that a shorter form tells below `bound`.
  template <class Size>
  bool sized(bool (Reader::*take)(std::size_t), std::size_t bound) {
    Size size = 0;
    if (!number(size)) return false;
    check_shortest(size >= bound);
    return (this->*take)(size);
  }
  const std::byte* skip(std::size_t size) noexcept {
    const std::byte* const begin = at_;
    at_ += size;
    return begin;
  }
  bool string(std::size_t size) {
    if (size > rest()) return false;
    const std::string_view text = as_text({skip(size), size});
    if (!is_text(text)) return false;
    builder_.string(text);
    return true;
  }
  bool binary(std::size_t size) {
    if (size > rest()) return false;
    builder_.binary({skip(size), size});
    return true;
  }
  bool ext_of_any_size(std::size_t size) {
    check_shortest(size > 16 || !std::has_single_bit(size));
    return ext(size);
  }
  bool ext(std::size_t size) {
    std::int8_t type = 0;
    if (!number(type) || size > rest()) return false;
    builder_.ext(type, {skip(size), size});
    return true;
  }

  template <class Size>
  bool opened(const std::byte* begin, bool is_map, std::size_t bound) {
    Size size = 0;
    return number(size) && open(size < bound ? nullptr : begin, is_map, size);
  }
  bool open(const std::byte* begin, bool is_map, std::size_t size) {
    // One more of a map than was taken is to come: this is a key.
    if (is_map_ && left_ % 2 != 0) return false;
    const std::uint64_t values = is_map ? std::uint64_t{size} * 2 : size;
    if (!budget_.holds(values) || !budget_.descend()) return false;
    is_map ? builder_.begin_map_at(begin) : builder_.begin_array_at(begin);
    levels_[depth_++] = {left_, is_map_};
    left_ = values;
    is_map_ = is_map;
    return true;
  }
  void close() {
    is_map_ ? builder_.end_map_at(at_, Format::msgpack)
            : builder_.end_array_at(at_, Format::msgpack);
    budget_.ascend();
    left_ = levels_[--depth_].left;
    is_map_ = levels_[depth_].is_map;
  }

  const std::byte* at_;
  const std::byte* const end_;
  std::uint64_t left_ = 1;  ///< values and keys of the innermost container that are still to come
  bool is_map_ = false;
  std::size_t depth_ = 0;
  DecodeBudget budget_;
  detail::DocumentBuilder& builder_;
  std::array<Level, Sink::kMaxDepth> levels_;  // left uninitialised: only what is open is touched
};

}  // namespace

bool read_well_formed_msgpack(std::span<const std::byte> message, const DecodeLimits& limits,
                              detail::DocumentBuilder& builder) {
  return message.size() <= kLargestMessage && Reader(message, limits, builder).read();
}

bool read_msgpack(std::span<const std::byte> message, const DecodeLimits& limits,
                  detail::DocumentBuilder& builder, std::string_view& why) {
  if (read_well_formed_msgpack(message, limits, builder)) return true;
  builder.restart();
  return judge_msgpack(message, limits, builder, why);
}

}  // namespace webshocket::protocol
