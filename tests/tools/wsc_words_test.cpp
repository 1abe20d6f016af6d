#include "tools/wsc/words.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using wsc::split;
using wsc::SyntaxError;
using wsc::Word;

namespace {

std::vector<std::string> texts(std::string_view line) {
  std::vector<std::string> texts;
  for (const Word& word : split(line)) texts.push_back(word.text);
  return texts;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("words: white space separates") {
  CHECK(texts("").empty());
  CHECK(texts(" \t\r\n").empty());
  CHECK(texts("call add 1 2") == Texts{"call", "add", "1", "2"});
  CHECK(texts("  a\tb  ") == Texts{"a", "b"});
  CHECK(texts("größe ☃") == Texts{"größe", "☃"});
}

TEST_CASE("words: quotes hold together, a backslash takes the next character") {
  CHECK(texts("say 'hello big world'") == Texts{"say", "hello big world"});
  CHECK(texts(R"('a\n"b' "c\n'd" e\ f \' \" \\)") ==
        Texts{R"(a\n"b)", "c\n'd", "e f", "'", "\"", "\\"});
  CHECK(texts(R"(a'b'"c"d)") == Texts{"abcd"});
  CHECK(texts(R"("\u2603 \"x\"")") == Texts{"☃ \"x\""});
  CHECK(texts(R"('' "")") == Texts{"", ""});
}

TEST_CASE("words: what was in double quotes is text") {
  const auto words = split(R"("5" 5 a="5" '5')");
  REQUIRE(words.size() == 4);
  CHECK(words[0].is_text);
  CHECK_FALSE(words[1].is_text);
  CHECK(words[2].is_text);
  CHECK_FALSE(words[3].is_text);
}

TEST_CASE("words: the first = outside of quotes") {
  const auto words = split(R"(a=b=c "a=b" 'a=b' a\=b =b)");
  REQUIRE(words.size() == 5);
  CHECK(words[0].equals == 1);
  CHECK(words[1].equals == std::string::npos);
  CHECK(words[2].equals == std::string::npos);
  CHECK(words[3].equals == std::string::npos);
  CHECK(words[4].equals == 0);
  CHECK(Word::plain("a=\"b").equals == 1);
  CHECK(Word::plain("ab").equals == std::string::npos);
}

TEST_CASE("words: JSON goes up to its last bracket") {
  CHECK(texts(R"(call f {"a": [1, "}"], "b": {}} [1, 2] x=[ {"c": "\"]"} ] y)") ==
        Texts{"call", "f", R"({"a": [1, "}"], "b": {}})", "[1, 2]", R"(x=[ {"c": "\"]"} ])", "y"});
  // Elsewhere a bracket is a character.
  CHECK(texts("a[1 b]2 c={ }") == Texts{"a[1", "b]2", "c={ }"});
  CHECK(texts(R"(\[ x '[ y')") == Texts{"[", "x", "[ y"});
}

TEST_CASE("words: what is not closed") {
  for (const auto line : {"'a", "\"a", "a\"b", "[1, 2", "{\"a}", "x={", "a\\", "\"a\\"}) {
    CAPTURE(line);
    CHECK_THROWS_AS(split(line), SyntaxError);
  }
  CHECK_THROWS_WITH(split("don't"), "a ' is not closed; \\' stands for the character");
  CHECK_THROWS_AS(split(R"("\x")"), SyntaxError);
}
