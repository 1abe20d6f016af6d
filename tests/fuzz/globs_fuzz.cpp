// Input: PATTERN newline NAME. The compiled matcher against a naive one that follows the text of
// Python's fnmatch.translate(), chunk by chunk, and tries every way to match.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/glob.hpp"

namespace {

using Text = std::u32string;

// Written apart from the matcher's decoder, by table of the Unicode standard (3-7).
Text decode(std::string_view bytes) {
  Text text;
  const auto at = [&](std::size_t i) -> unsigned {
    return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0x100U;
  };
  const auto within = [](unsigned byte, unsigned low, unsigned high) {
    return byte >= low && byte <= high;
  };
  for (std::size_t i = 0; i < bytes.size();) {
    const unsigned a = at(i), b = at(i + 1), c = at(i + 2), d = at(i + 3);
    if (a < 0x80) {
      text += static_cast<char32_t>(a);
      i += 1;
    } else if (within(a, 0xC2, 0xDF) && within(b, 0x80, 0xBF)) {
      text += static_cast<char32_t>((a & 0x1FU) << 6 | (b & 0x3FU));
      i += 2;
    } else if (within(a, 0xE0, 0xEF) &&
               within(b, a == 0xE0 ? 0xA0 : 0x80, a == 0xED ? 0x9F : 0xBF) &&
               within(c, 0x80, 0xBF)) {
      text += static_cast<char32_t>((a & 0x0FU) << 12 | (b & 0x3FU) << 6 | (c & 0x3FU));
      i += 3;
    } else if (within(a, 0xF0, 0xF4) &&
               within(b, a == 0xF0 ? 0x90 : 0x80, a == 0xF4 ? 0x8F : 0xBF) &&
               within(c, 0x80, 0xBF) && within(d, 0x80, 0xBF)) {
      text += static_cast<char32_t>((a & 0x07U) << 18 | (b & 0x3FU) << 12 | (c & 0x3FU) << 6 |
                                    (d & 0x3FU));
      i += 4;
    } else {
      text += static_cast<char32_t>(0xDC00 + a);
      i += 1;
    }
  }
  return text;
}

// A set as translate() leaves it to the regular expression, whose hyphens are escaped unless they
// join.
bool set_holds(Text set, char32_t character) {
  struct Token {
    char32_t code;
    bool escaped;
  };
  std::vector<Text> chunks;
  std::size_t i = 0;
  std::size_t k = set[0] == U'!' ? 2 : 1;
  for (;;) {
    k = set.find(U'-', k);
    if (k == Text::npos) break;
    chunks.push_back(set.substr(i, k - i));
    i = k + 1;
    k += 3;
  }
  if (const Text rest = set.substr(i); !rest.empty()) {
    chunks.push_back(rest);
  } else {
    chunks.back() += U'-';
  }
  for (k = chunks.size() - 1; k > 0; --k) {
    if (chunks[k - 1].back() > chunks[k].front()) {
      chunks[k - 1] = chunks[k - 1].substr(0, chunks[k - 1].size() - 1) + chunks[k].substr(1);
      chunks.erase(chunks.begin() + static_cast<std::ptrdiff_t>(k));
    }
  }
  std::vector<Token> tokens;
  for (std::size_t c = 0; c < chunks.size(); ++c) {
    if (c > 0) tokens.push_back({U'-', false});
    for (const char32_t code : chunks[c]) tokens.push_back({code, true});
  }

  if (tokens.empty()) return false;
  const bool negated = tokens[0].code == U'!';
  bool found = false;
  for (std::size_t t = negated ? 1 : 0; t < tokens.size();) {
    if (t + 2 < tokens.size() && !tokens[t + 1].escaped) {
      found |= tokens[t].code <= character && character <= tokens[t + 2].code;
      t += 3;
    } else {
      found |= tokens[t].code == character;
      t += 1;
    }
  }
  return found != negated;
}

constexpr int kSteps = 200000;

// Nothing if the steps ran out.
std::optional<bool> naive(const Text& pattern, std::size_t p, const Text& name, std::size_t n,
                          int& steps) {
  if (--steps < 0) return std::nullopt;
  if (p == pattern.size()) return n == name.size();
  if (pattern[p] == U'*') {
    for (std::size_t next = n; next <= name.size(); ++next) {
      const auto result = naive(pattern, p + 1, name, next, steps);
      if (!result || *result) return result;
    }
    return false;
  }
  std::size_t after = p + 1;
  bool matched = false;
  if (pattern[p] == U'?') {
    matched = n < name.size();
  } else {
    matched = n < name.size() && pattern[p] == name[n];
    if (pattern[p] == U'[') {
      std::size_t end = p + 1;
      if (end < pattern.size() && pattern[end] == U'!') ++end;
      if (end < pattern.size() && pattern[end] == U']') ++end;
      end = pattern.find(U']', end);
      if (end != Text::npos) {
        matched = n < name.size() && set_holds(pattern.substr(p + 1, end - p - 1), name[n]);
        after = end + 1;
      }
    }
  }
  if (!matched) return false;
  return naive(pattern, after, name, n + 1, steps);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t split = std::min(input.find('\n'), input.size());
  const std::string_view pattern = input.substr(0, split);
  const std::string_view name = input.substr(std::min(split + 1, input.size()));

  const webshocket::Glob glob(pattern);
  const bool matched = glob.matches(name);
  if (glob.pattern() != pattern || (matched && !name.starts_with(glob.literal_prefix()))) {
    std::cerr << "the prefix is not the name's\n";
    std::abort();
  }
  if (!webshocket::is_pattern(pattern) && matched != (pattern == name)) {
    std::cerr << "plain names match only themselves\n";
    std::abort();
  }

  int steps = kSteps;
  const auto expected = naive(decode(pattern), 0, decode(name), 0, steps);
  if (expected && *expected != matched) {
    std::cerr << "matched: " << matched << '\n';
    std::abort();
  }
  return 0;
}
