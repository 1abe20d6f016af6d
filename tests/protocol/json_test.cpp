#include "protocol/json.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <string>

#include "protocol/json_number.hpp"
#include "tests/protocol/codec_support.hpp"

using namespace webshocket;
using namespace webshocket::test;

namespace {

std::string refusal(std::string_view text, const DecodeLimits& limits = {}) {
  return test::refusal(Format::json, bytes(text), limits);
}

/// Read, and written again.
std::string again(std::string_view text) { return to_json(from_json(text)); }

/// The one string that the text is.
std::string text_of(std::string_view text) { return std::string(from_json(text)->string()); }

struct Ext {
  void write(Sink& sink) const { sink.ext(1, {}); }
};

using namespace std::string_literals;

}  // namespace

TEST_CASE("json: reals are written with the shortest digits, laid out as the original does") {
  for (const auto& line : fixture("json_reals.txt")) {
    CAPTURE(line[1]);
    const double value = real_of_bits(line[0]);
    CHECK(to_json(value) == line[1]);
    const Document document = from_json(line[1]);
    REQUIRE(document->type() == Value::Type::real);
    CHECK(document->real() == value);
    CHECK(std::signbit(document->real()) == std::signbit(value));
  }
}

TEST_CASE("json: reals are read exactly, however they are spelled") {
  for (const auto& line : fixture("json_spellings.txt")) {
    CAPTURE(line[1]);
    const Document document = from_json(line[1]);
    REQUIRE(document->type() == Value::Type::real);
    CHECK(std::bit_cast<std::uint64_t>(document->real()) ==
          std::bit_cast<std::uint64_t>(real_of_bits(line[0])));
  }
}

TEST_CASE("json: a number is as large as it is, whatever its exponent") {
  CHECK(again("0e400") == "0.0");
  CHECK(again("-0.0E+999") == "-0.0");
  CHECK(again("0." + repeat("0", 399) + "15e401") == "15.0");
  CHECK(again("1" + repeat("0", 400) + "e-400") == "1.0");
  CHECK(again("1e-400") == "0.0");
}

TEST_CASE("json: integers stay integers while 64 bits hold them") {
  for (const auto text : {"0", "-1", "9223372036854775807", "-9223372036854775808",
                          "12345678901234567890", "18446744073709551615"}) {
    CHECK(again(text) == text);
    CHECK(from_json(text)->type() != Value::Type::real);
  }
  CHECK(from_json("12345678901234567890")->unsigned_integer() == 12345678901234567890U);
  CHECK(from_json("-0")->type() == Value::Type::integer);
  CHECK(again("18446744073709551616") == "1.8446744073709552e19");
  CHECK(again("-9223372036854775809") == "-9.223372036854776e18");
  CHECK(again("1.0") == "1.0");
  CHECK(again("1e3") == "1000.0");
  CHECK(again("-0.0") == "-0.0");
}

TEST_CASE("json: numbers that are none, or too large") {
  for (const auto text : {"01", "-", "+1", "1.", ".5", "1e", "1e+", "0x10", "NaN", "nan",
                          "Infinity", "-Infinity", "1_000", "--1", "1.e3", "- 1", "00", "-01"}) {
    CAPTURE(text);
    CHECK_FALSE(refusal(text).empty());
  }
  for (const auto& text : {"1e400"s, "-1e400"s, "1e309"s, "1"s + repeat("0", 400),
                           "1e99999999999999999999"s, "1.7976931348623159e308"s}) {
    CAPTURE(text);
    CHECK(refusal(text) == "a number is too large");
  }
  // CVE-2024-38517: an exponent that underflows an int.
  for (const auto& text : {"1e-2147483648"s, "1.5e-2147483647"s, "0.01e-99999999999999999999"s,
                           "1"s + repeat("0", 50) + ".5e-2147483640"s}) {
    CAPTURE(text);
    CHECK(again(text) == "0.0");
  }
}

TEST_CASE("json: every kind of value") {
  CHECK(
      again(
          " { \"a\" : [ 1 , -2.5 , true , false , null , \"x\" ] , \"b\" : { } , \"c\" : [ ] } ") ==
      R"({"a":[1,-2.5,true,false,null,"x"],"b":{},"c":[]})");
  CHECK(again("\t\r\n [\n]\r\n") == "[]");
  CHECK(again("\"\"") == "\"\"");
  CHECK(again("[[[[]]],{\"a\":{\"b\":[{}]}}]") == "[[[[]]],{\"a\":{\"b\":[{}]}}]");
  CHECK(again(R"({"a":1,"b":2,"a":3})") == R"({"a":3,"b":2})");
  CHECK(again(R"({"a":1,"\u0061":3})") == R"({"a":3})");
}

TEST_CASE("json: what is malformed") {
  CHECK(refusal("") == "the message is empty");
  CHECK(refusal("  \n") == "the message is empty");
  CHECK(refusal("1 2") == "text after the value");
  CHECK(refusal("[] []") == "text after the value");
  CHECK(refusal("{}\0"s) == "text after the value");
  CHECK(refusal("\0"s) == "the message is empty");
  CHECK(refusal("[1,\0]"s) == "not JSON");
  for (const auto text : {"not json",
                          "nul",
                          "nulll",
                          "tru",
                          "True",
                          "'a'",
                          "[1,]",
                          "[,1]",
                          "[1 2]",
                          "[",
                          "]",
                          "{",
                          "{\"a\"}",
                          "{\"a\":}",
                          "{\"a\":1,}",
                          "{a:1}",
                          "{1:1}",
                          "{\"a\":1 \"b\":2}",
                          "\"",
                          "\"\\\"",
                          "\"a\nb\"",
                          "\"\x01\"",
                          "\"\\x\"",
                          "\"\\u12\"",
                          "\"\\u12g4\"",
                          "\"\\",
                          "\"\\u",
                          "// c\n1",
                          "/* c */ 1",
                          "[1}",
                          "{\"a\":1]",
                          "undefined",
                          "\f1",
                          "\xEF\xBB\xBF"
                          "1"}) {
    CAPTURE(text);
    CHECK_FALSE(refusal(text).empty());
  }
}

TEST_CASE("json: strings") {
  CHECK(text_of(R"("\"\\\/\b\f\n\r\t")") == "\"\\/\b\f\n\r\t");
  CHECK(text_of(R"("a\u0041\u00e9\u20AC\ud83d\ude00z")") == "aAé€😀z");
  CHECK(text_of("\"\\u0000\"") == "\0"s);
  CHECK(text_of("\"a\\u0000b\"") == "a\0b"s);
  CHECK(text_of("\"é😀\x7F\"") == "é😀\x7F");
  for (std::size_t before = 0; before < 20; ++before) {
    for (std::size_t after = 0; after < 20; ++after) {
      const std::string head(before, 'h'), tail(after, 't');
      CHECK(text_of('"' + head + tail + '"') == head + tail);
      CHECK(text_of('"' + head + "\\n" + tail + '"') == head + '\n' + tail);
      CHECK(text_of('"' + head + "\\\"" + tail + "\\\\\"") == head + '"' + tail + '\\');
      CHECK(text_of('"' + head + "\\ud83d\\ude00" + tail + '"') == head + "😀" + tail);
      CHECK(to_json(head + "\"\n" + tail) == '"' + head + "\\\"\\n" + tail + '"');
    }
  }
}

TEST_CASE("json: text must be UTF-8, and no half of a surrogate pair") {
  CHECK(refusal("\"\xFF\"") == "the message is not UTF-8");
  CHECK(refusal("\"\xED\xA0\x80\"") == "the message is not UTF-8");
  CHECK(refusal("\"\xC3\"") == "the message is not UTF-8");
  for (const auto text :
       {R"("\ud800")", R"("\ud800x")", R"("\ud800\n")", R"("\ud800\ud800")", R"("\udc00")",
        R"("\udc00\ud800")", R"("a\udfff")", R"({"\udc00":1})", R"("\ud83d\u0041")"}) {
    CAPTURE(text);
    CHECK(refusal(text) == "half a surrogate pair");
  }
}

TEST_CASE("json: strings without escapes stay where they are") {
  const Bytes message = bytes(R"({"a":"plain","b":"esc\naped"})");
  const auto inside = [&](std::string_view text) {
    const auto* const at = reinterpret_cast<const std::byte*>(text.data());
    return at >= message.data() && at < message.data() + message.size();
  };
  Document document;
  detail::DocumentBuilder builder(document, detail::DocumentBuilder::Strings::borrow);
  std::string_view why;
  REQUIRE(protocol::read_json(message, {}, builder, why));
  REQUIRE(builder.finish());
  CHECK(inside(document.root()["a"].string()));
  CHECK_FALSE(inside(document.root()["b"].string()));
  CHECK(document.root()["b"].string() == "esc\naped");
}

TEST_CASE("json: an array or an object that would be written as it came in is copied") {
  const auto copied = [](std::string_view text, Format to = Format::json) {
    return what_is_copied(Format::json, bytes(text), to);
  };
  for (const auto same :
       {"[null,true,false]", "[0,-1,18446744073709551615,-9223372036854775808]",
        R"({"a":{"b":[1]},"c":[],"d":{}})", "[\"\xC3\xA9 \x7F /\"]", "[0.0,-0.0,1.0,100.0,-2.5]",
        "[0.1,0.00001,123456789.12345,99999999999999.0]"}) {
    CAPTURE(same);
    CHECK(copied(same) == 1);
    CHECK(copied(" " + std::string(same) + " ") == 1);
  }
  for (const auto other : {"[ 1]",
                           "[1 ]",
                           "[1, 2]",
                           "[1 ,2]",
                           "{\"a\": 1}",
                           "{ \"a\":1}",
                           "[ ]",
                           "[1\n]",
                           "[\t1]",
                           R"(["\u0061"])",
                           R"(["\n"])",
                           R"({"\u0061":1})",
                           "[-0]",
                           "[1e3]",
                           "[1E3]",
                           "[1.50]",
                           "[1.00]",
                           "[-0.00]",
                           "[0.000001]",
                           "[0.3000000000000000444]",
                           "[123456789012345678901]",
                           R"({"a":1,"a":2})",
                           "[]",
                           "{}",
                           "1"}) {
    CAPTURE(other);
    CHECK(copied(other) == 0);
  }
  CHECK(copied("[[1], {\"a\":1},[ 2]]") == 2);
  CHECK(copied(R"([[1],{"a":1,"a":2}])") == 1);
  CHECK(copied("[1]", Format::msgpack) == 0);
  CHECK(copied(repeat("[", 1024) + "1" + repeat("]", 1024)) == 1);
}

TEST_CASE("json: how a real number is spelled is known without spelling it") {
  std::mt19937_64 engine(11);
  std::size_t same = 0;
  for (int i = 0; i < 200'000; ++i) {
    // Of few digits, as people write them, and of many.
    const int digits = static_cast<int>(engine() % 17) + 1;
    std::string text = engine() % 2 == 0 ? "-" : "";
    text += std::to_string(engine() % 2 == 0 ? 0 : engine() % 100'000) + ".";
    for (int j = 0; j < digits; ++j) {
      text += engine() % 3 == 0 ? '0' : static_cast<char>('0' + engine() % 10);
    }
    double value = 0;
    REQUIRE(protocol::read_real(text, value));
    char room[protocol::kRealRoom];
    const bool is_same = protocol::write_real(value, room) == text;
    CAPTURE(text);
    if (protocol::is_spelled_shortest(text)) {
      REQUIRE(is_same);
      ++same;
    } else if (text.size() <= 15) {
      REQUIRE_FALSE(is_same);
    }
  }
  CHECK(same > 20'000);
}

TEST_CASE("json: limits") {
  CHECK(refusal(repeat("[", 100'000)) == "nested too deep");
  CHECK(refusal(repeat("{\"a\":", 100'000)) == "nested too deep");
  CHECK(refusal(repeat("[", 128) + repeat("]", 128)).empty());
  CHECK(refusal(repeat("[", 129) + repeat("]", 129)) == "nested too deep");
  CHECK(refusal(repeat("[", 1024) + repeat("]", 1024), {.depth = 0}).empty());
  CHECK(refusal(repeat("[", 1025) + repeat("]", 1025), {.depth = 0}) == "nested too deep");
  CHECK(refusal("[[]]", {.depth = 1}) == "nested too deep");
  CHECK(refusal("[[],[]]", {.depth = 2}).empty());
  CHECK(refusal("[1,2,3]", {.elements = 4}).empty());
  CHECK(refusal("[1,2,3,4]", {.elements = 4}) == "too many values");
  CHECK(refusal("{\"a\":1,\"b\":2}", {.elements = 4}) == "too many values");
  CHECK(refusal("[" + repeat("1,", 1'000'000) + "1]") == "too many values");
  CHECK(refusal("[" + repeat("1,", 1'000'000) + "1]", {.elements = 0}).empty());
}

TEST_CASE("json: what is written escapes no more than it must") {
  std::string all;
  for (char c = 0; c < 0x20; ++c) all += c;
  CHECK(
      to_json(all) ==
      R"("\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e\u000f)"
      R"(\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001f")");
  CHECK(from_json(to_json(all))->string() == all);
  CHECK(to_json("\"\\/\x7F\u2028é😀") == "\"\\\"\\\\/\x7F\u2028é😀\"");
}

TEST_CASE("json: bytes are base64, not numbers are null") {
  const auto base64 = [](std::string_view text) { return to_json(bytes(text)); };
  CHECK(base64("") == "\"\"");
  CHECK(base64("f") == "\"Zg==\"");
  CHECK(base64("fo") == "\"Zm8=\"");
  CHECK(base64("foo") == "\"Zm9v\"");
  CHECK(base64("not json") == "\"bm90IGpzb24=\"");
  CHECK(to_json(hex("0001020304")) == "\"AAECAwQ=\"");
  CHECK(to_json(hex("fbff")) == "\"+/8=\"");
  const std::string large = to_json(Bytes(10'000'000));
  CHECK(large.size() == 13'333'338);
  CHECK(large.find_first_not_of('A', 1) == large.size() - 3);
  CHECK(to_json(std::numeric_limits<double>::quiet_NaN()) == "null");
  CHECK(to_json(std::numeric_limits<double>::infinity()) == "null");
  CHECK(to_json(-std::numeric_limits<double>::infinity()) == "null");
}

TEST_CASE("json: keys of any type are strings") {
  CHECK(
      to_json(map(1, 1, -5, 2, bytes("ab"), 3, true, 4, nullptr, 5, 1.5, 6, 2.0, 7,
                  12345678901234567890U, 8, "s", 9)) ==
      R"({"1":1,"-5":2,"YWI=":3,"true":4,"null":5,"1.5":6,"2.0":7,"12345678901234567890":8,"s":9})");
  CHECK(to_json(map("v", 1, "w", true, "x", nullptr)) == R"({"v":1,"w":true,"x":null})");
}

TEST_CASE("json: what cannot be written") {
  CHECK_THROWS_AS(to_json(Ext{}), PacketError);
  CHECK_THROWS_AS(to_json(map("a", Ext{})), PacketError);
  CHECK_THROWS_AS(to_json(map(Ext{}, 1)), PacketError);
  CHECK_THROWS_AS(to_json(map(std::vector<int>{}, 1)), PacketError);
}

TEST_CASE("json: containers whose size is not announced") {
  protocol::Buffer out;
  protocol::JsonWriter writer(out);
  writer.begin_map(Sink::kUnknownSize);
  writer.string("a");
  writer.begin_array(Sink::kUnknownSize);
  writer.null();
  writer.null();
  writer.end_array();
  writer.string("b");
  writer.begin_array(Sink::kUnknownSize);
  writer.end_array();
  CHECK_FALSE(writer.complete());
  writer.end_map();
  CHECK(writer.complete());
  CHECK(out.text() == R"({"a":[null,null],"b":[]})");

  protocol::Buffer odd;
  protocol::JsonWriter half(odd);
  half.begin_map(Sink::kUnknownSize);
  half.string("a");
  half.end_map();
  CHECK_FALSE(half.complete());
}

TEST_CASE("json: text that is not UTF-8 is mended") {
  CHECK(to_json(std::string("a\xFFz")) == "\"a\uFFFDz\"");
  CHECK(to_json(std::string("\xE2\x82")) == "\"\uFFFD\"");
  CHECK(to_json(std::string("\xED\xA0\x80")) == "\"\uFFFD\uFFFD\uFFFD\"");
  CHECK(to_json(std::string("\xF0\x9F\x98\"")) == "\"\uFFFD\\\"\"");
}

TEST_CASE("json: random values come back equal") {
  for (std::uint32_t seed = 0; seed < 1000; ++seed) {
    CAPTURE(seed);
    const Document document = random_document(Format::json, seed);
    const std::string message = to_json(document);
    const Document decoded = from_json(message);
    CHECK(decoded.root() == document.root());
    CHECK(to_json(decoded) == message);
    if (message.size() < 300 && !document->is_number()) {
      for (std::size_t size = 0; size < message.size(); ++size) {
        CHECK_FALSE(refusal(std::string_view(message).substr(0, size)).empty());
      }
    }
  }
}

TEST_CASE("json: any single byte changed is read or refused") {
  std::mt19937 engine(4);
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    std::string message = to_json(random_document(Format::json, seed));
    message[engine() % message.size()] = static_cast<char>(engine());
    if (!refusal(message).empty()) continue;
    const std::string once = again(message);
    CHECK(again(once) == once);
  }
}
