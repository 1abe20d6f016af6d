#include <webshocket/session.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/value.hpp>

namespace ws = webshocket;

namespace {

ws::Scalar::Bytes bytes(std::size_t count) { return ws::Scalar::Bytes(count, std::byte{7}); }

struct Member {
  std::string name;
  int seen = 0;
};

/// Notes the order in which states end.
template <int kNumber>
struct Ending {
  std::vector<int>* order = nullptr;
  ~Ending() {
    if (order != nullptr) order->push_back(kNumber);
  }
};

}  // namespace

TEST_CASE("scalar: holds what the wire has, integers as narrow as they can be") {
  CHECK(ws::Scalar().is_null());
  CHECK(ws::Scalar(nullptr).is_null());
  CHECK(*ws::Scalar(true).get<bool>());
  CHECK(*ws::Scalar(7).get<std::int64_t>() == 7);
  CHECK(*ws::Scalar(7U).get<std::int64_t>() == 7);
  constexpr auto kHuge = std::numeric_limits<std::uint64_t>::max();
  CHECK(*ws::Scalar(kHuge).get<std::uint64_t>() == kHuge);
  CHECK(*ws::Scalar(1.5F).get<double>() == 1.5);
  CHECK(*ws::Scalar("red").get<std::string>() == "red");
  CHECK(*ws::Scalar(std::string_view("red")).get<std::string>() == "red");
  CHECK(ws::Scalar(bytes(2)).get<ws::Scalar::Bytes>()->size() == 2);
  CHECK(ws::Scalar(7).get<double>() == nullptr);
}

TEST_CASE("scalar: truth is Python's") {
  for (const ws::Scalar& value : {ws::Scalar(), ws::Scalar(false), ws::Scalar(0), ws::Scalar(0.0),
                                  ws::Scalar(-0.0), ws::Scalar(""), ws::Scalar(bytes(0))}) {
    CAPTURE(value.to_string());
    CHECK_FALSE(value.truthy());
  }
  for (const ws::Scalar& value :
       {ws::Scalar(true), ws::Scalar(-1), ws::Scalar(0.1), ws::Scalar("0"), ws::Scalar(bytes(1)),
        ws::Scalar(std::numeric_limits<double>::quiet_NaN())}) {
    CAPTURE(value.to_string());
    CHECK(value.truthy());
  }
}

TEST_CASE("scalar: numbers are equal by value, exactly; other kinds never") {
  CHECK(ws::Scalar(1) == ws::Scalar(1.0));
  CHECK(ws::Scalar(1.0) == ws::Scalar(1));
  CHECK(ws::Scalar(1) != ws::Scalar(1.5));
  CHECK(ws::Scalar(-1) != ws::Scalar(std::numeric_limits<std::uint64_t>::max()));
  constexpr std::int64_t kBeyondDoubles = (std::int64_t{1} << 53) + 1;
  CHECK(ws::Scalar(kBeyondDoubles) != ws::Scalar(static_cast<double>(kBeyondDoubles)));
  CHECK(ws::Scalar(std::uint64_t{1} << 63) == ws::Scalar(9223372036854775808.0));
  CHECK(ws::Scalar(std::numeric_limits<std::int64_t>::max()) != ws::Scalar(9223372036854775808.0));
  CHECK(ws::Scalar(std::numeric_limits<std::int64_t>::min()) == ws::Scalar(-9223372036854775808.0));
  CHECK(ws::Scalar(std::numeric_limits<std::uint64_t>::max()) !=
        ws::Scalar(18446744073709551616.0));
  const ws::Scalar nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(nan != nan);
  CHECK(nan != ws::Scalar(0));

  CHECK(ws::Scalar(true) != ws::Scalar(1));
  CHECK(ws::Scalar("1") != ws::Scalar(1));
  CHECK(ws::Scalar() != ws::Scalar(false));
  CHECK(ws::Scalar() == ws::Scalar(nullptr));
  CHECK(ws::Scalar("a") == ws::Scalar(std::string("a")));
}

TEST_CASE("scalar: for people, and for the wire") {
  CHECK(ws::Scalar().to_string() == "null");
  CHECK(ws::Scalar(true).to_string() == "true");
  CHECK(ws::Scalar(false).to_string() == "false");
  CHECK(ws::Scalar(-7).to_string() == "-7");
  CHECK(ws::Scalar(std::numeric_limits<std::uint64_t>::max()).to_string() ==
        "18446744073709551615");
  CHECK(ws::Scalar("red").to_string() == "\"red\"");
  CHECK(ws::Scalar(bytes(3)).to_string() == "bin(3)");

  CHECK(ws::Document::of(ws::Scalar("red"))->as<std::string>() == "red");
  CHECK(ws::Document::of(ws::Scalar())->is_null());
  CHECK(ws::Document::of(ws::Scalar(1.5))->as<double>() == 1.5);
}

TEST_CASE("session: values by key, in order of insertion") {
  ws::Session session;
  CHECK(session.find("team") == nullptr);
  CHECK(session["team"].is_null());
  CHECK(session.find("team") != nullptr);
  session["team"] = "red";
  session["level"] = 3;
  session["team"] = "blue";
  REQUIRE(session.entries().size() == 2);
  CHECK(session.entries()[0].first == "team");
  CHECK(*session.find("team") == ws::Scalar("blue"));
  CHECK(session.erase("team"));
  CHECK_FALSE(session.erase("team"));
  CHECK(session.find("team") == nullptr);
  CHECK(*session.find("level") == ws::Scalar(3));
}

TEST_CASE("session: typed state, several types side by side") {
  ws::Session session;
  const ws::Session& view = session;
  CHECK(session.find<Member>() == nullptr);
  Member& member = session.get<Member>();
  member.name = "ann";
  session.get<int>() = 5;
  session.get<std::string>() = "x";
  CHECK(&session.get<Member>() == &member);
  CHECK(view.find<Member>()->name == "ann");
  CHECK(*session.find<int>() == 5);

  ws::Session moved = std::move(session);
  CHECK(moved.find<Member>() == &member);
  CHECK(moved.erase<Member>());
  CHECK_FALSE(moved.erase<Member>());
  CHECK(moved.find<Member>() == nullptr);
  CHECK(*moved.find<int>() == 5);
}

TEST_CASE("session: states end newest first") {
  std::vector<int> order;
  {
    ws::Session session;
    session.get<Ending<1>>().order = &order;
    session.get<Ending<2>>().order = &order;
    session.get<Ending<3>>().order = &order;
    session.erase<Ending<2>>();
  }
  CHECK(order == std::vector<int>{2, 3, 1});
}
