#include <webshocket/upgrade.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>

#include <webshocket/error.hpp>

namespace ws = webshocket;

TEST_CASE("http request: header names in any case, the first of equals") {
  ws::HttpRequest request;
  request.headers = {{"Host", "a"}, {"X-Token", "one"}, {"x-token", "two"}, {"Empty", ""}};
  REQUIRE(request.header("host") != nullptr);
  CHECK(*request.header("HOST") == "a");
  CHECK(*request.header("x-TOKEN") == "one");
  CHECK(request.header("Empty")->empty());
  CHECK(request.header("Hos") == nullptr);
  CHECK(request.header("") == nullptr);
}

TEST_CASE("http request: query values are decoded") {
  ws::HttpRequest request;
  CHECK(request.query_value("a") == std::nullopt);

  request.query = "room=1&name=J%c3%B6rg+K&empty=&flag&room=2&&=none&na%6De2=x=y";
  CHECK(request.query_value("room") == "1");
  CHECK(request.query_value("name") == "J\xc3\xb6rg K");
  CHECK(request.query_value("empty") == "");
  CHECK(request.query_value("flag") == "");
  CHECK(request.query_value("") == "none");
  CHECK(request.query_value("name2") == "x=y");
  CHECK(request.query_value("roo") == std::nullopt);
}

TEST_CASE("http request: a bad percent code stands for itself") {
  ws::HttpRequest request;
  request.query = "a=100%&b=%zz&c=%4&d=%41";
  CHECK(request.query_value("a") == "100%");
  CHECK(request.query_value("b") == "%zz");
  CHECK(request.query_value("c") == "%4");
  CHECK(request.query_value("d") == "A");
}

TEST_CASE("upgrade: says what was said") {
  const auto answer = ws::Upgrade::accept()
                          .header("Set-Cookie", "a=b; Path=/")
                          .session("user", "ann")
                          .session("level", 3)
                          .pin("ann")
                          .raw();
  CHECK(answer.rejected_status == 0);
  REQUIRE(answer.headers.size() == 1);
  CHECK(answer.headers[0].second == "a=b; Path=/");
  REQUIRE(answer.session_values.size() == 2);
  CHECK(answer.session_values[1].second == ws::Scalar(3));
  CHECK(answer.pin_key == "ann");
  CHECK(answer.is_raw);

  const auto rejected = ws::Upgrade::reject(401, "who are you?");
  CHECK(rejected.rejected_status == 401);
  CHECK(rejected.rejected_body == "who are you?");
}

TEST_CASE("upgrade: refuses what would be no HTTP") {
  CHECK_THROWS_WITH_AS(static_cast<void>(ws::Upgrade::reject(200)),
                       "Upgrade::reject: status is 200, it must be 300 to 599", ws::UsageError);
  CHECK_THROWS_AS(static_cast<void>(ws::Upgrade::reject(600)), ws::UsageError);
  for (const char* value : {"a\r\nEvil: 1", "a\nb", "a\x7f", "\x01"}) {
    CHECK_THROWS_AS(static_cast<void>(ws::Upgrade::accept().header("X", value)), ws::UsageError);
  }
  for (const char* name : {"", "a b", "a:", "a\n", "\xc3\xb6"}) {
    CHECK_THROWS_AS(static_cast<void>(ws::Upgrade::accept().header(name, "x")), ws::UsageError);
  }
  CHECK_NOTHROW(static_cast<void>(ws::Upgrade::accept().header("X-A_1", "\xc3\xb6\tok")));
}

TEST_CASE("an answer may be built in steps") {
  webshocket::Upgrade answer = webshocket::Upgrade::accept();
  answer = std::move(answer).header("X-One", "1");
  answer = std::move(answer).session("user", "ann").pin("ann");
  answer = std::move(answer).raw();
  REQUIRE(answer.headers.size() == 1);
  CHECK(answer.headers[0].second == "1");
  CHECK(answer.session_values.size() == 1);
  CHECK(answer.pin_key == "ann");
  CHECK(answer.is_raw);
}
