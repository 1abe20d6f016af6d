#include <webshocket/rpc.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <webshocket/testing.hpp>

namespace ws = webshocket;
using namespace std::chrono_literals;

namespace {

struct Point {
  int x = 0;
  std::optional<int> y;
  WEBSHOCKET_FIELDS(Point, x, y)
};

enum class Color : std::uint8_t { red = 1 };

int twice(int number) { return 2 * number; }
int thrice(int number) noexcept { return 3 * number; }

/// The arguments as a sum, the keywords as text.
std::string all(int first, const ws::Values& values, const ws::KeywordValues& keywords) {
  int sum = first;
  for (const ws::Value& value : values) sum += value.as<int>();
  std::string text = std::to_string(sum);
  for (const auto& [name, value] : keywords) {
    text += " " + std::string(name.string()) + "=" + ws::to_string(value);
  }
  return text;
}

class Methods : public ws::Handler {
 public:
  Methods() {
    rpc("add", &Methods::add).params("a", {"b", 5});
    rpc("sub", &Methods::sub);
    rpc("strict", &Methods::strict).params("a", "b");
    rpc("maybe", &Methods::maybe).params("a", "b");
    rpc("all", &all).params("first");
    rpc("twice", &twice);
    rpc("thrice", &thrice);
    rpc("peek", &Methods::peek);
    rpc("who", &Methods::who);
    rpc("nothing", [] {});
    rpc("count", [n = 0]() mutable { return ++n; });
    rpc("point", [](const Point& point) { return point.x + point.y.value_or(100); });
    rpc("color", [](Color color) { return color; });
    rpc("view", [](std::string_view text) { return std::string(text) + "!"; });
    rpc("small", [](std::uint8_t number) { return number; }).params("n");
    rpc("real", [](double number) { return number; }).params("x");
    rpc("lists", [](std::vector<int> list, std::map<std::string, int> map,
                    std::tuple<int, std::string> pair) {
      return list.size() + map.size() + std::get<1>(pair).size();
    }).params("list", "map", "pair");
    rpc("any", [](ws::Document value) { return value; });
    rpc("only_first_named", [](int a, int b) { return a - b; }).params("a");
    rpc("defaults", [](const std::string& text, std::vector<int> list) {
      return text + std::to_string(list.size());
    }).params({"text", "none"}, {"list", std::vector<int>{1, 2}});
  }

 private:
  int add(int a, int b) { return a + b; }
  int sub(ws::Connection&, int a, int b) const { return a - b; }
  int strict(int a, int b) noexcept { return a * b; }
  std::string maybe(std::string a, std::optional<int> b) const noexcept {
    return a + (b ? std::to_string(*b) : "-");
  }
  int peek() const { return 7; }
  std::string who(ws::Connection& connection) { return connection.uid().to_string(); }
};

struct Shard : ws::FakeShard<Methods> {
  ws::FakeConnection& ann = connect();

  template <class... Args>
  std::string refusal(std::string_view method, const Args&... args) {
    return text_of(call(ann, method, args...));
  }
  template <class Args, class Keywords>
  ws::FakeReply named(std::string_view method, const Args& args, const Keywords& keywords) {
    return call_with(ann, method, ws::Document::of(args), ws::Document::of(keywords));
  }
  /// Without the words that every one has.
  static std::string text_of(const ws::FakeReply& reply) {
    REQUIRE(reply.error() == ws::RpcErrorCode::invalid_params);
    CHECK(reply.responses() == 1);
    constexpr std::string_view kStart = "Server error (TypeError): ";
    REQUIRE(reply.error_text().starts_with(kStart));
    return reply.error_text().substr(kStart.size());
  }
};

using List = std::vector<int>;
using Map = std::map<std::string, int>;

}  // namespace

TEST_CASE("rpc: anything callable") {
  Shard shard;
  auto& ann = shard.ann;
  CHECK(shard.call(ann, "add", 1, 2).as<int>() == 3);
  CHECK(shard.call(ann, "sub", 1, 2).as<int>() == -1);
  CHECK(shard.call(ann, "strict", 3, 4).as<int>() == 12);
  CHECK(shard.call(ann, "twice", 4).as<int>() == 8);
  CHECK(shard.call(ann, "thrice", 4).as<int>() == 12);
  CHECK(shard.call(ann, "peek").as<int>() == 7);
  CHECK(shard.call(ann, "who").as<std::string>() == ann.uid().to_string());
  CHECK(shard.call(ann, "nothing").values().front()->is_null());
  CHECK(shard.call(ann, "count").as<int>() == 1);
  CHECK(shard.call(ann, "count").as<int>() == 2);
}

TEST_CASE("rpc: arguments of many types") {
  Shard shard;
  auto& ann = shard.ann;
  CHECK(shard.call(ann, "point", ws::map("x", 1, "y", 2)).as<int>() == 3);
  CHECK(shard.call(ann, "point", ws::map("x", 1)).as<int>() == 101);
  CHECK(shard.call(ann, "color", 1).as<int>() == 1);
  CHECK(shard.call(ann, "view", "hi").as<std::string>() == "hi!");
  CHECK(shard.call(ann, "small", 255).as<int>() == 255);
  CHECK(shard.call(ann, "real", 1).as<double>() == 1.0);
  CHECK(shard.call(ann, "lists", List{1, 2}, Map{{"a", 1}}, std::tuple(1, "abc")).as<int>() == 6);
  CHECK(shard.call(ann, "any", ws::map("k", List{1}))
            .values()
            .front()
            ->find("k")
            ->elements()[0]
            .integer() == 1);
}

TEST_CASE("rpc: names, defaults and optional parameters") {
  Shard shard;
  auto& ann = shard.ann;
  CHECK(shard.call(ann, "add", 1).as<int>() == 6);
  CHECK(shard.named("add", List{1}, Map{{"b", 2}}).as<int>() == 3);
  CHECK(shard.named("add", List{}, Map{{"b", 2}, {"a", 1}}).as<int>() == 3);
  CHECK(shard.named("add", List{}, Map{{"a", 1}}).as<int>() == 6);
  CHECK(shard.call(ann, "maybe", "x").as<std::string>() == "x-");
  CHECK(shard.call(ann, "maybe", "x", nullptr).as<std::string>() == "x-");
  CHECK(shard.call(ann, "maybe", "x", 5).as<std::string>() == "x5");
  CHECK(shard.named("only_first_named", List{5, 3}, Map{}).as<int>() == 2);
  CHECK(shard.call(ann, "defaults").as<std::string>() == "none2");
  CHECK(shard.call(ann, "defaults", "x", List{}).as<std::string>() == "x0");
}

TEST_CASE("rpc: *args and **kwargs take the rest") {
  Shard shard;
  auto& ann = shard.ann;
  CHECK(shard.call(ann, "all", 1).as<std::string>() == "1");
  CHECK(shard.call(ann, "all", 1, 2, 3).as<std::string>() == "6");
  CHECK(shard.named("all", List{1, 2}, Map{{"x", 7}, {"y", 8}}).as<std::string>() == "3 x=7 y=8");
  CHECK(shard.named("all", List{}, Map{{"first", 1}, {"y", 8}}).as<std::string>() == "1 y=8");
}

TEST_CASE("rpc: every complaint, in Python's words") {
  Shard shard;
  CHECK(shard.refusal("strict") == "missing a required argument: 'a'");
  CHECK(shard.refusal("strict", 1) == "missing a required argument: 'b'");
  CHECK(shard.refusal("sub", 1) == "missing a required argument: argument 2");
  CHECK(shard.refusal("strict", 1, 2, 3) == "too many positional arguments");
  CHECK(shard.refusal("peek", 1) == "too many positional arguments");
  CHECK(Shard::text_of(shard.named("strict", List{1}, Map{{"a", 1}, {"b", 2}})) ==
        "multiple values for argument 'a'");
  CHECK(Shard::text_of(shard.named("strict", List{1, 2}, Map{{"x", 1}})) ==
        "got an unexpected keyword argument 'x'");
  CHECK(Shard::text_of(shard.named("sub", List{1, 2}, Map{{"b", 1}})) ==
        "got an unexpected keyword argument 'b'");
  CHECK(Shard::text_of(shard.named("all", List{1}, Map{{"first", 1}})) ==
        "multiple values for argument 'first'");
  CHECK(shard.refusal("strict", "x", 2) == "argument 'a': expected an integer, got string");
  CHECK(shard.refusal("strict", 1, 2.0) == "argument 'b': expected an integer, got real");
  CHECK(shard.refusal("strict", 1, nullptr) == "argument 'b': expected an integer, got null");
  CHECK(shard.refusal("twice", "x") == "argument 1: expected an integer, got string");
  CHECK(shard.refusal("small", 256) == "argument 'n': expected an integer, got integer");
  CHECK(shard.refusal("real", true) == "argument 'x': expected a number, got boolean");
  CHECK(shard.refusal("maybe", "x", "y") ==
        "argument 'b': expected an integer or null, got string");
  CHECK(shard.refusal("lists", 1, 2, 3) ==
        "argument 'list': expected a list, each an integer, got integer");
  CHECK(shard.refusal("point", 1) == "argument 1: expected a map, got integer");
}

TEST_CASE("rpc: rules are checked when they are made") {
  ws::RpcMethod method([](int, int) {});
  CHECK_THROWS_WITH_AS(method.params("a", "b", "c"), "RpcMethod::params: 3 names for 2 parameters",
                       ws::UsageError);
  CHECK_THROWS_WITH_AS(method.params("a", "a"), "RpcMethod::params: the name 'a' stands twice",
                       ws::UsageError);
  CHECK_THROWS_WITH_AS(method.params("", "a"), "RpcMethod::params: name 1 is empty",
                       ws::UsageError);
  CHECK(method.params().empty());
  CHECK_THROWS_WITH_AS(method.rate_limit(0, 1s),
                       "RpcMethod::rate_limit: limit is 0, it must be at least 1", ws::UsageError);
  CHECK_THROWS_AS(method.rate_limit(1, 0s), ws::UsageError);
  CHECK_THROWS_AS(method.rate_limit(1, -1s), ws::UsageError);
  CHECK_FALSE(method.rate_limit());

  method.params("a", {"b", 1}).require(ws::Has("x")).rate_limit(3, "1m").doc("what it does");
  CHECK(method.params().size() == 2);
  CHECK(method.params()[1].fallback->root().integer() == 1);
  CHECK(method.predicate() == ws::Has("x"));
  CHECK(method.rate_limit()->limit == 3);
  CHECK(method.rate_limit()->period == 1min);
  CHECK_FALSE(method.rate_limit()->disconnect);
  CHECK(method.doc() == "what it does");

  ws::RpcMethod limited([] {});
  limited.rate_limit(2, 1s, {.disconnect = true});
  CHECK(limited.rate_limit()->disconnect);
  limited.rate_limit(2);
  CHECK(limited.rate_limit()->period == 1s);

  ws::RpcMethod specials([](int, const ws::Values&, const ws::KeywordValues&) {});
  CHECK_THROWS_AS(specials.params("a", "args"), ws::UsageError);
}

TEST_CASE("rpc: periods as words") {
  CHECK(ws::parse_period("10s") == 10s);
  CHECK(ws::parse_period("1m") == 1min);
  CHECK(ws::parse_period("1h") == 1h);
  CHECK(ws::parse_period("2d") == 48h);
  CHECK_THROWS_WITH_AS(ws::parse_period("10x"),
                       "bad period \"10x\": write a number and a unit, \"10s\", \"1m\", \"1h\" or "
                       "\"2d\"",
                       ws::UsageError);
  for (const char* text : {"", "s", "10", "0s", "-1s", "+1s", " 1s", "1s ", "1 s", "1.5s", "1ms",
                           "1S", "99999999999999999999s", "200000000d"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(ws::parse_period(text), ws::UsageError);
  }
  CHECK_THROWS_AS(ws::parse_period(std::string_view()), ws::UsageError);
}
