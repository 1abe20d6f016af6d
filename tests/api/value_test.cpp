#include <webshocket/value.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

using namespace webshocket;
using namespace std::string_literals;

namespace shop {

enum class Color : std::uint8_t { red = 1, blue = 2 };

struct Point {
  int x = 0, y = 0;
  WEBSHOCKET_FIELDS(Point, x, y)
};

struct Item {
  std::string name;
  double price = 0;
  std::optional<std::string> note;
  std::vector<Point> corners;
  Color color = Color::red;
  WEBSHOCKET_FIELDS(Item, name, price, note, corners, color)
};

/// Travels by functions of its own.
struct Money {
  std::int64_t cents = 0;
};
void webshocket_write(Sink& sink, const Money& money) {
  sink.string(std::to_string(money.cents) + "c");
}
bool webshocket_read(const Value& from, Money& to) {
  if (!from.is_string() || !from.string().ends_with('c')) return false;
  to.cents = std::stoll(std::string(from.string()));
  return true;
}

struct Unsendable {};

}  // namespace shop

namespace {

std::string told(Payload payload) { return to_string(Document::of(payload).root()); }

std::vector<std::byte> bytes(std::size_t size) { return std::vector<std::byte>(size); }

template <class T>
T back(Payload payload) {
  return Document::of(payload)->as<T>();
}
template <class T>
bool fits(Payload payload) {
  return Document::of(payload)->get<T>().has_value();
}

}  // namespace

TEST_CASE("value: what may be sent") {
  CHECK(told(nullptr) == "null");
  CHECK(told(Payload()) == "null");
  CHECK(told(std::nullopt) == "null");
  CHECK(told(std::monostate()) == "null");
  CHECK(told(true) == "true");
  CHECK(told('a') == "97");
  CHECK(told(std::int8_t{-5}) == "-5");
  CHECK(told(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(told(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
  CHECK(told(1.5F) == "1.5");
  CHECK(told(2.0) == "2.0");
  CHECK(told("literal") == "\"literal\"");
  CHECK(told("s"s) == "\"s\"");
  CHECK(told(std::string_view("sv")) == "\"sv\"");
  const char* const pointer = "p";
  CHECK(told(pointer) == "\"p\"");
  CHECK(told(bytes(3)) == "bin(3)");
  CHECK(told(std::array<std::byte, 2>{}) == "bin(2)");
  const auto data = bytes(4);
  CHECK(told(std::span<const std::byte>(data)) == "bin(4)");
  CHECK(told(shop::Color::blue) == "2");
  CHECK(told(std::optional<int>()) == "null");
  CHECK(told(std::optional(3)) == "3");
  CHECK(told(std::variant<int, std::string>("v")) == "\"v\"");
  CHECK(told(std::vector{1, 2}) == "[1, 2]");
  CHECK(told(std::vector<bool>{true, false}) == "[true, false]");
  CHECK(told(std::array{1.0, 2.5}) == "[1.0, 2.5]");
  CHECK(told(std::list<std::string>{"a"}) == "[\"a\"]");
  CHECK(told(std::set{3, 1}) == "[1, 3]");
  CHECK(told(std::tuple(1, "a", nullptr)) == "[1, \"a\", null]");
  CHECK(told(std::pair(1, 2)) == "[1, 2]");
  CHECK(told(std::map<std::string, int>{{"b", 2}, {"a", 1}}) == "{\"a\": 1, \"b\": 2}");
  CHECK(told(std::unordered_map<int, bool>{{7, true}}) == "{7: true}");
  CHECK(told(shop::Point{1, 2}) == "{\"x\": 1, \"y\": 2}");
  CHECK(told(shop::Item{"n", 1, {}, {{1, 2}}, shop::Color::blue}) ==
        "{\"name\": \"n\", \"price\": 1.0, \"note\": null, \"corners\": [{\"x\": 1, \"y\": 2}], "
        "\"color\": 2}");
  CHECK(told(shop::Money{250}) == "\"250c\"");
  CHECK(told(map("a", 1, "b", map("c", std::vector{1}), 3, nullptr)) ==
        "{\"a\": 1, \"b\": {\"c\": [1]}, 3: null}");
  CHECK(told(map()) == "{}");
  CHECK(told(Document::of(map("a", 1))) == "{\"a\": 1}");
  CHECK(told(Document::of("v").root()) == "\"v\"");
  CHECK(told(std::vector<std::vector<std::string>>{{"a"}, {}}) == "[[\"a\"], []]");

  static_assert(!Writable<shop::Unsendable>);
  static_assert(!Writable<std::vector<shop::Unsendable>>);
  static_assert(!Writable<std::optional<shop::Unsendable>>);
  static_assert(!Writable<std::map<std::string, shop::Unsendable>>);
  static_assert(!Writable<int*>);
  static_assert(!Writable<std::byte>);
  static_assert(Writable<Document>);
  static_assert(Writable<Value>);
}

TEST_CASE("value: what may be read into") {
  CHECK(back<bool>(true));
  CHECK(back<int>(-7) == -7);
  CHECK(back<std::uint8_t>(255) == 255);
  CHECK(back<std::uint64_t>(std::numeric_limits<std::uint64_t>::max()) ==
        std::numeric_limits<std::uint64_t>::max());
  CHECK(back<double>(1.5) == 1.5);
  CHECK(back<double>(3) == 3.0);
  CHECK(back<double>(std::numeric_limits<std::uint64_t>::max()) == 18446744073709551615.0);
  CHECK(back<float>(0.5) == 0.5F);
  CHECK(back<std::string>("s") == "s");
  CHECK(back<std::vector<std::byte>>(bytes(2)) == bytes(2));
  CHECK(back<shop::Color>(2) == shop::Color::blue);
  CHECK_FALSE(back<std::optional<int>>(nullptr).has_value());
  CHECK(back<std::optional<int>>(4) == 4);
  CHECK(back<std::vector<int>>(std::vector{1, 2}) == std::vector{1, 2});
  CHECK(back<std::vector<bool>>(std::vector<bool>{true, false}) == std::vector<bool>{true, false});
  CHECK(back<std::array<int, 2>>(std::vector{1, 2}) == std::array{1, 2});
  CHECK(back<std::tuple<int, std::string>>(std::tuple(1, "a")) == std::tuple(1, "a"s));
  CHECK(back<std::pair<int, int>>(std::pair(1, 2)) == std::pair(1, 2));
  CHECK(back<std::map<std::string, int>>(map("a", 1)).at("a") == 1);
  CHECK(back<std::unordered_map<std::string, std::vector<int>>>(map("a", std::vector{1}))
            .at("a")
            .size() == 1);
  CHECK(back<shop::Point>(map("y", 2, "x", 1, "z", 3)).y == 2);
  CHECK(back<shop::Money>("250c").cents == 250);
  CHECK(back<std::nullptr_t>(nullptr) == nullptr);
  CHECK(to_string(back<Document>(map("a", 1)).root()) == "{\"a\": 1}");

  const shop::Item item =
      back<shop::Item>(shop::Item{"n", 2.5, "x", {{1, 2}, {3, 4}}, shop::Color::blue});
  CHECK(item.name == "n");
  CHECK(item.price == 2.5);
  CHECK(item.note == "x");
  CHECK(item.corners.size() == 2);
  CHECK(item.corners[1].y == 4);
  CHECK(item.color == shop::Color::blue);
  // A missing field is read from null.
  CHECK_FALSE(
      back<shop::Item>(map("name", "n", "price", 1, "corners", std::vector<int>(), "color", 1))
          .note.has_value());

  const Document views = Document::of(std::tuple("text", bytes(2), std::vector{1, 2}));
  CHECK(views.root()[0].as<std::string_view>() == "text");
  CHECK(views.root()[1].as<std::span<const std::byte>>().size() == 2);
  CHECK(views.root()[2].as<std::span<const Value>>().size() == 2);
  CHECK(views.root()[2].as<Value>().is_array());
}

TEST_CASE("value: what does not fit") {
  CHECK_FALSE(fits<bool>(1));
  CHECK_FALSE(fits<int>(true));
  CHECK_FALSE(fits<int>(1.0));
  CHECK_FALSE(fits<int>("1"));
  CHECK_FALSE(fits<std::uint8_t>(256));
  CHECK_FALSE(fits<std::uint8_t>(-1));
  CHECK_FALSE(fits<std::int64_t>(std::numeric_limits<std::uint64_t>::max()));
  CHECK_FALSE(fits<std::uint64_t>(-1));
  CHECK_FALSE(fits<double>("1.0"));
  CHECK_FALSE(fits<double>(true));
  CHECK_FALSE(fits<std::string>(bytes(1)));
  CHECK_FALSE(fits<std::string>(nullptr));
  CHECK_FALSE(fits<std::vector<std::byte>>("a"));
  CHECK_FALSE(fits<std::vector<int>>(std::tuple(1, "a")));
  CHECK_FALSE(fits<std::vector<int>>(map()));
  CHECK_FALSE(fits<std::array<int, 2>>(std::vector{1}));
  CHECK_FALSE(fits<std::tuple<int, int>>(std::vector{1, 2, 3}));
  CHECK_FALSE(fits<std::map<std::string, int>>(map(1, 1)));
  CHECK_FALSE(fits<std::map<std::string, int>>(map("a", "b")));
  CHECK_FALSE(fits<shop::Point>(map("x", 1)));
  CHECK_FALSE(fits<shop::Point>(std::vector{1, 2}));
  CHECK_FALSE(fits<shop::Money>("250"));
  CHECK_FALSE(fits<std::optional<int>>("a"));
  CHECK_FALSE(fits<std::nullptr_t>(0));
  CHECK_THROWS_WITH_AS(back<int>("a"), "expected an integer, got string", PacketValidationError);
  CHECK_THROWS_WITH_AS(back<std::vector<std::string>>(1),
                       "expected a list, each a string, got integer", PacketValidationError);
}

TEST_CASE("value: access") {
  const Document document = Document::of(map("a", std::vector{1, 2}, "b", nullptr, 3, "three"));
  const Value& root = document.root();
  CHECK(root.size() == 3);
  CHECK(root["a"][1] == Value::of(std::int64_t{2}));
  CHECK(root["a"][2].is_null());
  CHECK(root["missing"].is_null());
  CHECK(root["missing"]["deeper"][5].is_null());
  CHECK(root.find("b") != nullptr);
  CHECK(root.find("c") == nullptr);
  CHECK(root["a"].find("x") == nullptr);
  CHECK(root[0].is_null());
  CHECK(document->members()[2].key.integer() == 3);
  CHECK(Value::of("a pointer is text").is_string());
  CHECK(Value::of(std::uint64_t{5}).type() == Value::Type::integer);
  CHECK(Value::of(std::uint64_t{1} << 63).type() == Value::Type::unsigned_integer);
  static_assert(Value::of(std::string_view("x")).size() == 1);
}

TEST_CASE("value: equality") {
  const auto equal = [](Payload left, Payload right) {
    const Document a = Document::of(left), b = Document::of(right);
    CHECK((a.root() == b.root()) == (b.root() == a.root()));
    return a.root() == b.root();
  };
  CHECK(equal(1, 1.0));
  CHECK(
      equal(std::numeric_limits<std::uint64_t>::max(), std::numeric_limits<std::uint64_t>::max()));
  CHECK_FALSE(equal(std::numeric_limits<std::uint64_t>::max(), -1));
  // 2^63 and 2^64 as doubles are next to integers, not equal to them.
  CHECK_FALSE(equal(std::numeric_limits<std::int64_t>::max(), 0x1p63));
  CHECK(equal(std::uint64_t{1} << 63, 0x1p63));
  CHECK_FALSE(equal(std::numeric_limits<std::uint64_t>::max(), 0x1p64));
  CHECK_FALSE(equal((std::int64_t{1} << 53) + 1, 0x1p53));
  CHECK(equal(std::numeric_limits<std::int64_t>::min(), -0x1p63));
  CHECK_FALSE(equal(1, 1.5));
  CHECK_FALSE(
      equal(std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()));
  CHECK_FALSE(equal(1, std::numeric_limits<double>::infinity()));
  CHECK_FALSE(equal(1, true));
  CHECK_FALSE(equal(0, nullptr));
  CHECK_FALSE(equal("1", 1));
  CHECK_FALSE(equal("a", bytes(1)));
  CHECK(equal(bytes(2), bytes(2)));
  CHECK(equal(map("a", 1, "b", 2), map("b", 2, "a", 1)));
  CHECK_FALSE(equal(map("a", 1, "b", 2), map("a", 1)));
  CHECK_FALSE(equal(map("a", 1), map("b", 1)));
  CHECK_FALSE(equal(map("a", 1), map("a", 2)));
  CHECK(equal(map(), map()));
  CHECK_FALSE(equal(map(), std::vector<int>()));
  CHECK(equal(std::vector{1, 2}, std::tuple(1, 2.0)));
  CHECK_FALSE(equal(std::vector{1, 2}, std::vector{2, 1}));
}

TEST_CASE("value: text for people") {
  CHECK(told("a\"\\\n\x7F") == "\"a\\\"\\\\\\u000a\\u007f\"");
  CHECK(told(std::numeric_limits<double>::infinity()) == "inf");
  CHECK(told(1e300) == "1e+300");
  CHECK(to_string(Value::of(std::int8_t{-1}, std::span<const std::byte>())) == "ext(-1, 0)");
  std::ostringstream out;
  out << *Document::of(map("a", bytes(1)));
  CHECK(out.str() == "{\"a\": bin(1)}");
  CHECK(to_string(Value::Type::unsigned_integer) == "integer");
  CHECK(to_string(Value::Type::map) == "map");
  CHECK(to_string(static_cast<Value::Type>(99)) == "invalid");
}

TEST_CASE("document: owns what it shows, also when it moves") {
  Document first;
  {
    const std::string text(3000, 'x');
    first = Document::of(map("text", text, "list", std::vector<int>(1000)));
  }
  const std::string_view view = first.root()["text"].string();
  Document second = std::move(first);
  CHECK(first->is_null());  // NOLINT(bugprone-use-after-move): that is what is tested
  CHECK(second.root()["text"].string().data() == view.data());
  const Document copy = clone(second.root());
  CHECK(copy.root() == second.root());
  CHECK(copy.root()["text"].string().data() != view.data());
  Document& self = second;
  second = std::move(self);
  CHECK(second.root()["text"].string() == view);
  // A document that was moved from can be used again.
  first = Document::of(1);
  first.clear();
  CHECK(first->is_null());
  const Document third = std::move(second);
  CHECK(second->is_null());  // NOLINT(bugprone-use-after-move)
  CHECK(second.arena().allocate(10) != nullptr);
}

TEST_CASE("document: a writer that makes no value is found out") {
  struct Nothing {
    void write(Sink&) const {}
  };
  CHECK_THROWS_AS(Document::of(Nothing{}), PacketError);
}

TEST_CASE("document: the deepest value can be copied, compared and told") {
  struct Deep {
    void write(Sink& sink) const {
      for (std::size_t i = 0; i < Sink::kMaxDepth; ++i) sink.begin_array(1);
      for (std::size_t i = 0; i < Sink::kMaxDepth; ++i) sink.end_array();
    }
  };
  const Document document = Document::of(Deep{});
  const Document copy = clone(document.root());
  CHECK(copy.root() == document.root());
  CHECK(to_string(copy.root()).size() == 2 * Sink::kMaxDepth);
}
