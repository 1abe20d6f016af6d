#include "protocol/text.hpp"

#include <cstddef>

namespace webshocket::protocol {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Lead {
  unsigned length;            ///< of the whole character; 0: no character begins so
  unsigned char low = 0x80;   ///< the least second byte
  unsigned char high = 0xBF;  ///< the greatest second byte
};

constexpr Lead lead(unsigned char byte) noexcept {
  if (byte < 0x80) return {1};
  if (byte >= 0xC2 && byte <= 0xDF) return {2};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0};
}

}  // namespace

std::string repair_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size() + kReplacement.size());
  while (!text.empty()) {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const Lead begin = lead(at(0));
    // What fits the pattern so far is one wrong part, however many bytes it has.
    std::size_t good = 1;
    while (good < begin.length && good < text.size() &&
           at(good) >= (good == 1 ? begin.low : 0x80) &&
           at(good) <= (good == 1 ? begin.high : 0xBF)) {
      ++good;
    }
    out += good == begin.length ? text.substr(0, good) : kReplacement;
    text.remove_prefix(good);
  }
  return out;
}

}  // namespace webshocket::protocol
