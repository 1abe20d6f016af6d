#include <webshocket/detail/request.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include <webshocket/value.hpp>

namespace ws = webshocket;

namespace {

template <class... A>
std::string told(const A&... arguments) {
  const ws::detail::CallArguments<A...> call(arguments...);
  const ws::detail::Request request = call.request("method");
  CHECK(request.method == "method");
  return to_string(*ws::Document::of(request.args)) + " " +
         to_string(*ws::Document::of(request.kwargs));
}

template <class T>
concept Spreadable = requires(const T& value) {
  ws::spread(value);
};

template <class T>
concept NamesValues = requires(const T& value) {
  ws::kwargs(value);
};

}  // namespace

TEST_CASE("request: arguments by place and by name") {
  CHECK(told() == "[] {}");
  CHECK(told(1, "two", ws::map("a", 3)) == R"([1, "two", {"a": 3}] {})");
  CHECK(told(ws::kwargs()) == "[] {}");
  CHECK(told(1, ws::kwargs("a", 2, "b", "c")) == R"([1] {"a": 2, "b": "c"})");
  CHECK(told(ws::kwargs("a", 2), 1) == R"([1] {"a": 2})");
}

TEST_CASE("request: a list is spread over places, a map over names") {
  CHECK(told(ws::spread(std::vector<int>{})) == "[] {}");
  CHECK(told(0, ws::spread(std::array{1, 2}), 3, ws::spread(std::vector<bool>{true, false})) ==
        "[0, 1, 2, 3, true, false] {}");
  CHECK(told(ws::spread(std::vector<std::vector<int>>{{1, 2}, {}})) == "[[1, 2], []] {}");

  std::map<std::string, ws::Document> names;
  CHECK(told(ws::kwargs(names)) == "[] {}");
  names["b"] = ws::Document::of(ws::map("c", 1));
  names["a"] = ws::Document::of(nullptr);
  CHECK(told(ws::spread(std::span<const int>()), ws::kwargs(names), "last") ==
        R"(["last"] {"a": null, "b": {"c": 1}})");
}

TEST_CASE("request: what a call can take apart") {
  CHECK(Spreadable<std::vector<ws::Document>>);
  CHECK(Spreadable<ws::Values>);
  CHECK_FALSE(Spreadable<int>);
  CHECK_FALSE(Spreadable<std::string>);
  CHECK_FALSE(Spreadable<std::vector<std::byte>>);
  CHECK_FALSE(Spreadable<std::map<std::string, int>>);
  CHECK(NamesValues<std::map<std::string, int>>);
  CHECK_FALSE(NamesValues<std::map<int, int>>);
  CHECK_FALSE(NamesValues<std::vector<int>>);
  CHECK_FALSE(NamesValues<std::string>);
}
