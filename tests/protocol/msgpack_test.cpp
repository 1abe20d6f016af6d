#include "protocol/msgpack.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <new>

#include "tests/protocol/codec_support.hpp"

using namespace webshocket;
using namespace webshocket::test;

namespace {

std::string refusal(std::span<const std::byte> message, const DecodeLimits& limits = {}) {
  return test::refusal(Format::msgpack, message, limits);
}

std::string refusal(std::string_view digits, const DecodeLimits& limits = {}) {
  return refusal(std::span<const std::byte>(hex(digits)), limits);
}

std::string written(Payload payload) { return to_hex(to_msgpack(payload)); }
std::string read(std::string_view digits) { return to_string(from_msgpack(hex(digits)).root()); }
/// Read, and written again.
std::string again(std::string_view digits) { return written(from_msgpack(hex(digits))); }

struct Ext {
  std::int8_t type;
  std::size_t size;
  void write(Sink& sink) const { sink.ext(type, Bytes(size, std::byte{'x'})); }
};

struct Wrong {
  void (*events)(Sink&);
  void write(Sink& sink) const { events(sink); }
};

}  // namespace

TEST_CASE("msgpack: integers take the shortest form, at every boundary") {
  for (const auto& line : fixture("msgpack_integers.txt")) {
    CAPTURE(line[0]);
    if (line[0].front() == '-') {
      const std::int64_t value = std::stoll(line[0]);
      CHECK(written(value) == line[1]);
      CHECK(from_msgpack(hex(line[1]))->integer() == value);
    } else {
      const std::uint64_t value = std::stoull(line[0]);
      CHECK(written(value) == line[1]);
      CHECK(from_msgpack(hex(line[1])).root() == Value::of(value));
    }
    CHECK(again(line[1]) == line[1]);
  }
}

TEST_CASE("msgpack: lengths take the shortest header, at every boundary") {
  for (const auto& line : fixture("msgpack_lengths.txt")) {
    CAPTURE(line[0]);
    CAPTURE(line[1]);
    const std::size_t size = std::stoul(line[1]);
    std::string out;
    if (line[0] == "string") out = written(std::string(size, 'x'));
    if (line[0] == "binary") out = written(Bytes(size, std::byte{'x'}));
    if (line[0] == "ext") out = written(Ext{5, size});
    if (line[0] == "array") out = written(std::vector<std::nullptr_t>(size));
    if (line[0] == "map") {
      std::map<std::uint32_t, std::nullptr_t> map;
      for (std::uint32_t i = 0; i < size; ++i) map.emplace(i, nullptr);
      out = written(map);
    }
    CHECK(out.substr(0, line[2].size()) == line[2]);
    CHECK(again(out) == out);
    CHECK(from_msgpack(hex(out))->size() == size);
  }
}

TEST_CASE("msgpack: long forms are read, and written short") {
  CHECK(again("cc05") == "05");
  CHECK(again("cd0005") == "05");
  CHECK(again("ce00000005") == "05");
  CHECK(again("cf0000000000000005") == "05");
  CHECK(again("d005") == "05");
  CHECK(again("d0ff") == "ff");
  CHECK(again("d1ffff") == "ff");
  CHECK(again("d2ffffffff") == "ff");
  CHECK(again("d3ffffffffffffffff") == "ff");
  CHECK(again("d37fffffffffffffff") == "cf7fffffffffffffff");
  CHECK(again("d90161") == "a161");
  CHECK(again("da000161") == "a161");
  CHECK(again("db0000000161") == "a161");
  CHECK(again("c5000161") == "c40161");
  CHECK(again("c60000000161") == "c40161");
  CHECK(again("c7010561") == "d40561");
  CHECK(again("c800010561") == "d40561");
  CHECK(again("c9000000010561") == "d40561");
  CHECK(again("dc0001c0") == "91c0");
  CHECK(again("dd00000001c0") == "91c0");
  CHECK(again("de0001c0c3") == "81c0c3");
  CHECK(again("df00000001c0c3") == "81c0c3");
  for (const auto empty : {"d900", "da0000", "db00000000", "a0"}) CHECK(again(empty) == "a0");
  for (const auto empty : {"c400", "c50000", "c600000000"}) CHECK(again(empty) == "c400");
  for (const auto empty : {"c70005", "c8000005", "c90000000005"}) CHECK(again(empty) == "c70005");
  for (const auto empty : {"90", "dc0000", "dd00000000"}) CHECK(again(empty) == "90");
  for (const auto empty : {"80", "de0000", "df00000000"}) CHECK(again(empty) == "80");
}

TEST_CASE("msgpack: reals are 64 bits wide, float 32 is widened") {
  CHECK(written(1.0) == "cb3ff0000000000000");
  CHECK(written(1.5F) == "cb3ff8000000000000");
  CHECK(written(-0.0) == "cb8000000000000000");
  CHECK(written(std::numeric_limits<double>::infinity()) == "cb7ff0000000000000");
  CHECK(again("ca3fc00000") == "cb3ff8000000000000");
  CHECK(again("ca00000001") == "cb36a0000000000000");
  CHECK(again("caff800000") == "cbfff0000000000000");
  CHECK(again("cb7ff8000000000001") == "cb7ff8000000000001");
  CHECK(from_msgpack(hex("cb3ff0000000000000"))->type() == Value::Type::real);
}

TEST_CASE("msgpack: every kind of value") {
  CHECK(read("c0") == "null");
  CHECK(read("92c2c3") == "[false, true]");
  CHECK(read("a26869") == "\"hi\"");
  CHECK(read("c4030001ff") == "bin(3)");
  CHECK(read("d6ff00000001") == "ext(-1, 4)");
  CHECK(again("d6ff00000001") == "d6ff00000001");
  CHECK(read("82a16101a1629102") == "{\"a\": 1, \"b\": [2]}");
  CHECK(read("85c001c30203a161cb3ff000000000000004c40100a0") ==
        "{null: 1, true: 2, 3: \"a\", 1.0: 4, bin(1): \"\"}");
  CHECK(read("81d4056101") == "{ext(5, 1): 1}");
}

TEST_CASE("msgpack: strings and binary data stay where they are") {
  const Bytes message = hex("82a161a26869a162c403010203");
  Document document;
  detail::DocumentBuilder builder(document, detail::DocumentBuilder::Strings::borrow);
  std::string_view why;
  REQUIRE(protocol::read_msgpack(message, {}, builder, why));
  REQUIRE(builder.finish());
  CHECK(static_cast<const void*>(document.root()["a"].string().data()) == message.data() + 4);
  CHECK(document.root()["b"].bytes().data() == message.data() + 10);
}

TEST_CASE("msgpack: of equal keys the last value counts, at the first's place") {
  CHECK(read("83a16101a16202a16103") == "{\"a\": 3, \"b\": 2}");
  CHECK(read("83c001c202c003") == "{null: 3, false: 2}");
  std::string many = "de0040";
  for (unsigned i = 0; i < 64; ++i) many += to_hex(to_msgpack(i % 16)) + to_hex(to_msgpack(i));
  const Document document = from_msgpack(hex(many));
  REQUIRE(document->size() == 16);
  for (std::size_t i = 0; i < 16; ++i) {
    CHECK(document->members()[i].key == Value::of(static_cast<std::uint64_t>(i)));
    CHECK(document->members()[i].value == Value::of(static_cast<std::uint64_t>(48 + i)));
  }
}

TEST_CASE("msgpack: what is malformed") {
  CHECK(refusal("") == "the message is empty");
  CHECK(refusal("c1") == "a byte that begins no value");
  CHECK(refusal("92c0c1") == "a byte that begins no value");
  CHECK(refusal("c0c0") == "bytes after the value");
  CHECK(refusal("90c0") == "bytes after the value");
  CHECK(refusal("93c0c0") == "the message ends within a value");
  CHECK(refusal("81a161") == "the message ends within a value");
  CHECK(refusal("8190c0") == "a map's key is an array or a map");
  CHECK(refusal("8180c0") == "a map's key is an array or a map");
  CHECK(refusal("a1ff") == "a string is not UTF-8");
  CHECK(refusal("a3eda080") == "a string is not UTF-8");
  CHECK(refusal("a2c0af") == "a string is not UTF-8");
  CHECK(refusal("a4f4908080") == "a string is not UTF-8");
  CHECK(refusal("a1c3") == "a string is not UTF-8");
  CHECK(refusal("81a1ffc0") == "a string is not UTF-8");
  CHECK(refusal("d9c8" + repeat("61", 199) + "80") == "a string is not UTF-8");
  CHECK(refusal("c401ff").empty());
}

TEST_CASE("msgpack: limits") {
  CHECK(refusal(repeat("91", 100'000)) == "nested too deep");
  CHECK(refusal(repeat("81c0", 100'000)) == "nested too deep");
  CHECK(refusal(repeat("91", 128) + "c0").empty());
  CHECK(refusal(repeat("91", 129) + "c0") == "nested too deep");
  CHECK(refusal(repeat("91", 4) + "c0", {.depth = 4}).empty());
  CHECK(refusal(repeat("91", 5) + "c0", {.depth = 4}) == "nested too deep");
  CHECK(refusal(repeat("91", 1024) + "c0", {.depth = 0}).empty());
  CHECK(refusal(repeat("91", 1025) + "c0", {.depth = 0}) == "nested too deep");
  CHECK(refusal("93c0c0c0", {.elements = 4}).empty());
  CHECK(refusal("94c0c0c0c0", {.elements = 4}) == "too many values");
  CHECK(refusal("82c0c0c2c0", {.elements = 4}) == "too many values");
  CHECK(refusal("9190", {.elements = 1}) == "too many values");
  CHECK(refusal("929090", {.elements = 0}).empty());
}

TEST_CASE("msgpack: a length that is announced costs nothing") {
  for (const auto header : {"ddffffffff", "dfffffffff"}) {
    CAPTURE(header);
    const Bytes message = hex(header);
    Document document;
    for (const std::size_t elements : {std::size_t{1'000'000}, std::size_t{0}}) {
      detail::DocumentBuilder builder(document, detail::DocumentBuilder::Strings::borrow);
      std::string_view why;
      CHECK_FALSE(protocol::read_msgpack(message, {.elements = elements}, builder, why));
      CHECK(document.arena().capacity() == 0);
    }
  }
  for (const auto header :
       {"dbffffffff", "c6ffffffff", "c9ffffffff", "c9fffffffe05", "dbffffffff61"}) {
    CAPTURE(header);
    CHECK(refusal(header) == "the message ends within a value");
  }
}

TEST_CASE("msgpack: an array or a map that would be written as it came in is copied") {
  const auto copied = [](std::string_view digits, Format to = Format::msgpack) {
    return what_is_copied(Format::msgpack, hex(digits), to);
  };
  CHECK(copied("91c0") == 1);
  CHECK(copied("93 01 cc80 cd0100") == 1);
  CHECK(copied("92 ce00010000 cf0000000100000000") == 1);
  CHECK(copied("94 ff d0df d1ff7f d2ffff7fff") == 1);
  CHECK(copied("91 d3ffffffff7fffffff") == 1);
  CHECK(copied("92 cb3ff8000000000000 c403010203") == 1);
  CHECK(copied("82 a161 91c0 a162 80") == 1);
  CHECK(copied("93 d40561 c703050a0b0c c70005") == 1);
  CHECK(copied("91 d920" + repeat("61", 32)) == 1);
  CHECK(copied("91 da0100" + repeat("61", 256)) == 1);
  CHECK(copied("91 c50100" + repeat("61", 256)) == 1);
  CHECK(copied("91 c8010005" + repeat("61", 256)) == 1);
  CHECK(copied("dc0010" + repeat("c0", 16)) == 1);
  CHECK(copied("de0010" + [] {
          std::string members;
          for (unsigned i = 0; i < 16; ++i) members += to_hex(to_msgpack(i)) + "c0";
          return members;
        }()) == 1);
  CHECK(copied(repeat("91", 1024) + "05") == 1);
  // What is written otherwise, and what is too small to matter.
  for (const auto other : {"91 cc05",
                           "91 cd0080",
                           "91 ce00000100",
                           "91 cf0000000000000001",
                           "91 d005",
                           "91 d0e0",
                           "91 d1ff80",
                           "91 d2ffff8000",
                           "91 d3ffffffff80000000",
                           "91 ca3fc00000",
                           "91 d90161",
                           "91 da000161",
                           "91 db0000000161",
                           "91 c5000161",
                           "91 c60000000161",
                           "91 c7010561",
                           "91 c800010561",
                           "91 c9000000010561",
                           "dc0001c0",
                           "dd00000001c0",
                           "de0001c0c0",
                           "df00000001c0c0",
                           "82a16101a16102",
                           "81 cc05 c0",
                           "90",
                           "80",
                           "05"}) {
    CAPTURE(other);
    CHECK(copied(other) == 0);
  }
  // The parts that can be are, however the rest came in.
  CHECK(copied("93 cc05 91c0 81c0c0") == 2);
  CHECK(copied("92 91cc05 91 91c0") == 1);
  CHECK(copied("82 a161 91c0 a161 91c0") == 1);
  CHECK(copied("91c0", Format::json) == 0);
}

TEST_CASE("msgpack: what is copied stands where a value may stand, and no deeper") {
  const auto complete = [](std::string_view digits, int around, bool as_key = false) {
    const Bytes message = hex(digits);
    Document document;
    detail::DocumentBuilder builder(document, detail::DocumentBuilder::Strings::borrow);
    std::string_view why;
    REQUIRE(protocol::read_msgpack(message, {.depth = 0}, builder, why));
    REQUIRE(builder.finish());
    protocol::Buffer out;
    protocol::MsgpackWriter writer(out);
    for (int i = 0; i < around; ++i) as_key ? writer.begin_map(1) : writer.begin_array(1);
    document.root().write(writer);
    if (as_key) writer.null();
    for (int i = 0; i < around; ++i) as_key ? writer.end_map() : writer.end_array();
    return writer.complete();
  };
  CHECK(complete("91c0", 0));
  CHECK(complete("91c0", 1023));
  CHECK_FALSE(complete("91c0", 1024));
  CHECK(complete(repeat("91", 1023) + "05", 1));
  CHECK_FALSE(complete(repeat("91", 1024) + "05", 1));
  CHECK_FALSE(complete("91c0", 1, true));
}

TEST_CASE("msgpack: writing what is not one value") {
  const auto complete = [](void (*events)(Sink&)) {
    protocol::Buffer out;
    protocol::MsgpackWriter writer(out);
    events(writer);
    return writer.complete();
  };
  CHECK_FALSE(complete([](Sink&) {}));
  CHECK_FALSE(complete([](Sink& sink) { sink.null(), sink.null(); }));
  CHECK_FALSE(complete([](Sink& sink) { sink.begin_array(1); }));
  CHECK_FALSE(complete([](Sink& sink) { sink.begin_array(1), sink.end_array(); }));
  CHECK_FALSE(complete([](Sink& sink) { sink.begin_array(0), sink.null(), sink.end_array(); }));
  CHECK_FALSE(complete([](Sink& sink) { sink.begin_array(0), sink.end_map(); }));
  CHECK_FALSE(complete([](Sink& sink) { sink.begin_map(1), sink.null(), sink.end_map(); }));
  CHECK_FALSE(complete([](Sink& sink) { sink.end_array(); }));
  CHECK_FALSE(complete([](Sink& sink) { sink.begin_array(Sink::kUnknownSize), sink.end_array(); }));
  CHECK_FALSE(complete([](Sink& sink) {
    sink.begin_map(1), sink.begin_array(0), sink.end_array(), sink.null(), sink.end_map();
  }));
  CHECK_FALSE(complete([](Sink& sink) {
    for (int i = 0; i < 2000; ++i) sink.begin_array(1);
    sink.null();
    for (int i = 0; i < 2000; ++i) sink.end_array();
  }));
  CHECK(complete([](Sink& sink) { sink.begin_map(1), sink.null(), sink.null(), sink.end_map(); }));
  CHECK_THROWS_AS(to_msgpack(Wrong{[](Sink&) {}}), PacketError);
}

TEST_CASE("msgpack: text that is not UTF-8 is mended") {
  CHECK(written(std::string("a\xFFz")) == "a561efbfbd7a");
  CHECK(written(std::map<std::string, int>{{"\x80", 1}}) == "81a3efbfbd01");
}

TEST_CASE("msgpack: random values come back equal") {
  for (std::uint32_t seed = 0; seed < 1000; ++seed) {
    CAPTURE(seed);
    const Document document = random_document(Format::msgpack, seed);
    const Bytes message = to_msgpack(document);
    const Document decoded = from_msgpack(message);
    CHECK(decoded.root() == document.root());
    CHECK(to_msgpack(decoded) == message);
    const bool has_parts = (decoded->is_array() || decoded->is_map()) && decoded->size() != 0;
    CHECK(what_is_copied(Format::msgpack, message, Format::msgpack) == (has_parts ? 1 : 0));
    if (message.size() < 300) {
      for (std::size_t size = 0; size < message.size(); ++size) {
        CHECK_FALSE(refusal(std::span(message).first(size)).empty());
      }
    }
  }
}

TEST_CASE("msgpack: any single byte changed is read or refused") {
  std::mt19937 engine(3);
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    Bytes message = to_msgpack(random_document(Format::msgpack, seed));
    message[engine() % message.size()] = static_cast<std::byte>(engine());
    if (!refusal(message).empty()) continue;
    const Document document = from_msgpack(message);
    what_is_copied(Format::msgpack, message, Format::msgpack);
    CHECK(to_msgpack(from_msgpack(to_msgpack(document))) == to_msgpack(document));
  }
}
