#include "api/describe.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <webshocket/value.hpp>

namespace ws = webshocket;
using namespace std::chrono_literals;

namespace {

struct Line {
  std::string from;
  std::optional<int> number;
  WEBSHOCKET_FIELDS(Line, from, number)
};

class Methods : public ws::Handler {
 public:
  Methods() {
    rpc("say", &Methods::say)
        .params("text", {"times", 2}, "mood")
        .require(ws::Has("name"))
        .rate_limit(5, 1500ms, {.disconnect = true})
        .doc("Says it.");
    rpc("history", &Methods::history);
    rpc("any", [](const ws::Values&, const ws::KeywordValues&) {});
  }

 private:
  bool say(ws::Connection&, std::string, int, std::optional<std::string>) { return true; }
  ws::Stream<Line> history(int) { co_return; }
};

}  // namespace

TEST_CASE("describe: names, types and rules") {
  const Methods handler;
  const ws::Document all = ws::Document::of(ws::detail::MethodList(handler));
  REQUIRE(all->size() == 3);

  const ws::Value any = all->elements()[0];
  CHECK(any["name"].string() == "any");
  CHECK(any["doc"].string().empty());
  CHECK(any["params"].size() == 0);
  CHECK(any["args"].boolean());
  CHECK(any["kwargs"].boolean());
  CHECK(any["result"].string() == "null");
  CHECK_FALSE(any["stream"].boolean());
  CHECK(any["requires"].is_null());
  CHECK(any["rate_limit"].is_null());

  const ws::Value history = all->elements()[1];
  CHECK(history["stream"].boolean());
  CHECK(history["result"].string() == "{ from: string; number?: number | null }");
  CHECK(history["params"][0]["name"].is_null());
  CHECK(history["params"][0]["type"].string() == "number");
  CHECK_FALSE(history["params"][0]["optional"].boolean());

  const ws::Value say = all->elements()[2];
  CHECK(say["doc"].string() == "Says it.");
  CHECK_FALSE(say["args"].boolean());
  CHECK(say["requires"].string() == "Has(\"name\")");
  CHECK(say["rate_limit"]["limit"].integer() == 5);
  CHECK(say["rate_limit"]["period"].real() == 1.5);
  CHECK(say["rate_limit"]["disconnect"].boolean());
  REQUIRE(say["params"].size() == 3);
  CHECK(say["params"][0]["name"].string() == "text");
  CHECK(say["params"][0].find("default") == nullptr);
  CHECK(say["params"][1]["optional"].boolean());
  CHECK(say["params"][1]["default"].integer() == 2);
  CHECK(say["params"][2]["optional"].boolean());
  CHECK(say["params"][2]["type"].string() == "string | null");
}

TEST_CASE("describe: a server's routes") {
  const Methods handler;
  ws::detail::Description description;
  for (const char* path : {"", "/game"}) {
    ws::detail::RouteDescription route;
    route.path = path;
    route.methods = ws::Document::of(ws::detail::MethodList(handler));
    description.routes.push_back(std::move(route));
  }
  const ws::Document all = ws::Document::of(description);
  CHECK((*all)["routes"][1]["path"].string() == "/game");
  CHECK((*all)["routes"][1]["methods"].size() == 3);
}
