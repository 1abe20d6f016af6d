#include "api/glob.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

using webshocket::Glob;
using webshocket::is_pattern;

namespace {

bool matches(std::string_view pattern, std::string_view name) {
  return Glob(pattern).matches(name);
}

std::string unescape(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      bytes += static_cast<char>(std::stoi(std::string(text.substr(i + 2, 2)), nullptr, 16));
      i += 3;
    } else {
      bytes += text[i];
    }
  }
  return bytes;
}

}  // namespace

TEST_CASE("whatever Python's fnmatch says") {
  const std::string path = WEBSHOCKET_SOURCE_DIR "/tests/api/fixtures/fnmatch.txt";
  std::ifstream file(path);
  REQUIRE(file);
  int cases = 0;
  for (std::string line; std::getline(file, line); ++cases) {
    const std::size_t tab = line.find('\t', 2);
    REQUIRE(tab != std::string::npos);
    const std::string pattern = line.substr(2, tab - 2);
    const std::string name = line.substr(tab + 1);
    CAPTURE(pattern);
    CAPTURE(name);
    const Glob glob(unescape(pattern));
    const std::string bytes = unescape(name);
    CHECK(glob.matches(bytes) == (line[0] == '1'));
    if (line[0] == '1') CHECK(bytes.starts_with(glob.literal_prefix()));
  }
  CHECK(cases > 3000);
}

TEST_CASE("a name with any of * ? [ ] is a pattern") {
  CHECK(is_pattern("*"));
  CHECK(is_pattern("a?"));
  CHECK(is_pattern("a[b"));
  CHECK(is_pattern("a]"));
  CHECK_FALSE(is_pattern(""));
  CHECK_FALSE(is_pattern("room.1/a-b!^\\{}"));
}

TEST_CASE("the literal prefix ends at the first metacharacter") {
  CHECK(Glob("room.*").literal_prefix() == "room.");
  CHECK(Glob("room?").literal_prefix() == "room");
  CHECK(Glob("room[12]x").literal_prefix() == "room");
  CHECK(Glob("*.x").literal_prefix().empty());
  CHECK(Glob("").literal_prefix().empty());
  CHECK(Glob("\xC3\xA9*").literal_prefix() == "\xC3\xA9");

  SUBCASE("a bracket that stands for itself is none") {
    CHECK(Glob("a[b").literal_prefix() == "a[b");
    CHECK(Glob("a]*").literal_prefix() == "a]");
  }
  SUBCASE("a byte that is not UTF-8 ends it, too") {
    CHECK(Glob("ab\xC3*").literal_prefix() == "ab");
  }
}

TEST_CASE("a character is a code point") {
  CHECK(matches("?", "\xF0\x9F\x98\x80"));
  CHECK(matches("caf?", "caf\xC3\xA9"));
  CHECK_FALSE(matches("caf??", "caf\xC3\xA9"));
  CHECK(matches("[\xC3\xA8-\xC3\xAA]", "\xC3\xA9"));
  CHECK_FALSE(matches("[\xC3\xA8-\xC3\xAA]", "\xC3"));
}

TEST_CASE("a byte outside valid UTF-8 is a character of its own") {
  CHECK(matches("?", "\xFF"));
  CHECK(matches("??", "\xC3\xC3"));
  CHECK(matches("\xFF", "\xFF"));
  CHECK_FALSE(matches("\xFF", "\xFE"));
  CHECK_FALSE(matches("\xC3*", "\xC3\xA9"));
  CHECK_FALSE(matches("*\xA9", "\xC3\xA9"));
  CHECK(matches("???", "\xED\xA0\x80"));       // a surrogate
  CHECK(matches("??", "\xC0\x80"));            // overlong
  CHECK(matches("????", "\xF4\x90\x80\x80"));  // above U+10FFFF
  CHECK(matches("??", "\xE2\x82"));            // cut off
  CHECK(matches("[\xFE-\xFF]", "\xFF"));
}

TEST_CASE("a zero byte is a character") {
  using namespace std::string_view_literals;
  CHECK(matches("a?b"sv, "a\0b"sv));
  CHECK(matches("a\0*"sv, "a\0b"sv));
  CHECK_FALSE(matches("a\0*"sv, "a"sv));
}

TEST_CASE("copies and moved globs keep working") {
  Glob first("ab*[c-e]");
  Glob copy = first;
  Glob moved = std::move(first);
  CHECK(copy.matches("abxd"));
  CHECK(moved.matches("abxd"));
  CHECK(moved.literal_prefix() == "ab");
  CHECK(moved.pattern() == "ab*[c-e]");
}

TEST_CASE("no pattern makes matching or compiling explode") {
  // With exponential or cubic cost none of these would end; there is no clock to look at.
  std::string stars;
  for (int i = 0; i < 5000; ++i) stars += "*a";
  CHECK_FALSE(matches(stars + "*b", std::string(10000, 'a')));
  std::string questions;
  for (int i = 0; i < 100; ++i) questions += "*?[!b]";
  CHECK_FALSE(matches(questions + "c", std::string(2000, 'a')));
  CHECK(matches(questions + "*", std::string(2000, 'a')));

  CHECK(matches(std::string(1000000, '['), std::string(1000000, '[')));
  CHECK(matches(std::string(1000000, '*'), "a"));
  std::string reversed = "[z-";
  for (int i = 0; i < 300000; ++i) reversed += "az-";
  CHECK(matches(reversed + "a" + std::string(300000, 'b') + "]", "b"));
}
