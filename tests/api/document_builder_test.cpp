#include "api/document_builder.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

using namespace webshocket;
using detail::DocumentBuilder;
using Strings = DocumentBuilder::Strings;

namespace {

template <class Events>
bool builds(Events events, Strings strings = Strings::copy) {
  Document document;
  DocumentBuilder builder(document, strings);
  events(static_cast<Sink&>(builder));
  return builder.finish();
}

}  // namespace

TEST_CASE("document builder: strings are copied or borrowed") {
  const std::string text = "text";
  const std::vector<std::byte> bytes(3);
  for (const Strings strings : {Strings::copy, Strings::borrow}) {
    Document document;
    DocumentBuilder builder(document, strings);
    builder.begin_array(3);
    builder.string(text);
    builder.binary(bytes);
    builder.ext(7, bytes);
    builder.end_array();
    REQUIRE(builder.finish());
    const bool borrowed = strings == Strings::borrow;
    CHECK((document->elements()[0].string().data() == text.data()) == borrowed);
    CHECK((document->elements()[1].bytes().data() == bytes.data()) == borrowed);
    CHECK((document->elements()[2].bytes().data() == bytes.data()) == borrowed);
    CHECK(document->elements()[2].ext_type() == 7);
    CHECK(to_string(*document) == "[\"text\", bin(3), ext(7, 3)]");
  }
}

TEST_CASE("document builder: of equal keys the last value counts, at the first's place") {
  // Few members are compared each with each, many are sorted: both must agree.
  for (const int repeats : {1, 2, 3, 50}) {
    CAPTURE(repeats);
    Document document;
    DocumentBuilder builder(document, Strings::copy);
    builder.begin_map(Sink::kUnknownSize);
    for (int i = 0; i < repeats; ++i) {
      for (const auto key : {"b", "a", "cc"}) {
        builder.string(key);
        builder.integer(i);
      }
    }
    builder.end_map();
    REQUIRE(builder.finish());
    const std::string last = std::to_string(repeats - 1);
    CHECK(to_string(*document) ==
          "{\"b\": " + last + ", \"a\": " + last + ", \"cc\": " + last + "}");
  }
}

TEST_CASE("document builder: keys of another type are other keys") {
  for (const int filler : {0, 30}) {
    Document document;
    DocumentBuilder builder(document, Strings::copy);
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::vector<std::byte> one(1, std::byte{'1'});
    builder.begin_map(Sink::kUnknownSize);
    const auto pair = [&](auto write_key) {
      for (int i = 0; i < 2; ++i) {
        write_key();
        builder.integer(i);
      }
    };
    pair([&] { builder.null(); });
    pair([&] { builder.boolean(true); });
    pair([&] { builder.boolean(false); });
    pair([&] { builder.integer(1); });
    pair([&] { builder.real(1.0); });
    pair([&] { builder.real(nan); });
    pair([&] { builder.unsigned_integer(UINT64_MAX); });
    pair([&] { builder.string("1"); });
    pair([&] { builder.string(""); });
    pair([&] { builder.binary(one); });
    pair([&] { builder.ext(1, one); });
    pair([&] { builder.ext(2, one); });
    for (int i = 0; i < filler; ++i) {
      builder.integer(100 + i);
      builder.integer(1);
    }
    builder.end_map();
    REQUIRE(builder.finish());
    CHECK(document->size() == static_cast<std::size_t>(12 + filler));
    for (const auto& [key, value] : document->members()) CHECK(value == Value::of(std::int64_t{1}));
  }
}

TEST_CASE("document builder: what is not one value") {
  CHECK_FALSE(builds([](Sink&) {}));
  CHECK_FALSE(builds([](Sink& sink) { sink.null(), sink.null(); }));
  CHECK_FALSE(builds([](Sink& sink) { sink.begin_array(0); }));
  CHECK_FALSE(builds([](Sink& sink) { sink.end_array(); }));
  CHECK_FALSE(builds([](Sink& sink) { sink.end_map(), sink.null(); }));
  CHECK_FALSE(builds([](Sink& sink) { sink.begin_array(0), sink.end_map(); }));
  CHECK_FALSE(builds([](Sink& sink) { sink.begin_map(0), sink.end_array(); }));
  CHECK_FALSE(builds([](Sink& sink) { sink.begin_map(1), sink.null(), sink.end_map(); }));
  CHECK_FALSE(builds([](Sink& sink) {
    sink.begin_map(1), sink.begin_array(0), sink.end_array(), sink.null(), sink.end_map();
  }));
  CHECK(builds([](Sink& sink) { sink.begin_map(1), sink.null(), sink.null(), sink.end_map(); }));
}

TEST_CASE("document builder: depth") {
  for (const std::size_t depth : {Sink::kMaxDepth, Sink::kMaxDepth + 1}) {
    CHECK(builds([depth](Sink& sink) {
            for (std::size_t i = 0; i < depth; ++i) sink.begin_array(1);
            for (std::size_t i = 0; i < depth; ++i) sink.end_array();
          }) == (depth == Sink::kMaxDepth));
  }
}

TEST_CASE("document builder: a document that is filled again needs no new memory") {
  Document document;
  const auto fill = [&document] {
    DocumentBuilder builder(document, Strings::copy);
    builder.begin_array(Sink::kUnknownSize);
    for (int i = 0; i < 500; ++i) {
      builder.begin_map(1);
      builder.string("key " + std::to_string(i));
      builder.real(i);
      builder.end_map();
    }
    builder.end_array();
    REQUIRE(builder.finish());
    CHECK(document->size() == 500);
    CHECK(document->elements()[499]["key 499"] == Value::of(499.0));
  };
  fill();
  const std::size_t capacity = document.arena().capacity();
  CHECK(capacity > 0);
  for (int i = 0; i < 10; ++i) fill();
  CHECK(document.arena().capacity() == capacity);
}

TEST_CASE("arena: keeps no more than it should") {
  detail::Arena arena;
  for (int i = 0; i < 100; ++i) arena.allocate(100'000);
  CHECK(arena.capacity() >= 10'000'000);
  arena.reset(500'000);
  CHECK(arena.capacity() <= 500'000);
  arena.reset(0);
  CHECK(arena.capacity() == 0);
  auto* const small = arena.allocate(1, 1);
  auto* const aligned = arena.allocate(8, 8);
  CHECK(small != nullptr);
  CHECK(reinterpret_cast<std::uintptr_t>(aligned) % 8 == 0);
}
