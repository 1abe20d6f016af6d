#include <webshocket/predicate.hpp>

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include <webshocket/testing.hpp>

namespace ws = webshocket;

namespace {

struct Member {
  std::string name;
  std::string team;
  bool admin = false;
  int level = 0;
};

struct Place {
  int x = 0;
  friend bool operator==(const Place&, const Place&) = default;
};

struct Walker {
  Place place;
};

class Nothing : public ws::Handler {};

bool throws(const ws::Connection&) { throw std::runtime_error("no"); }

struct Shard : ws::FakeShard<Nothing> {
  ws::FakeConnection& ann = connect();
  ws::FakeConnection& bob = connect();
};

}  // namespace

TEST_CASE("predicate: the default admits everybody") {
  Shard shard;
  const ws::Predicate all;
  CHECK(all.empty());
  CHECK(all(shard.ann));
  CHECK(all == ws::Predicate());
  CHECK_FALSE(all == ws::Has("a"));
  CHECK(all.to_string() == "All()");
}

TEST_CASE("predicate: over the session's keys") {
  Shard shard;
  shard.ann["name"] = nullptr;
  shard.ann["admin"] = 1;
  shard.ann["team"] = "red";
  shard.ann["level"] = 3;

  CHECK(ws::Has("name")(shard.ann));
  CHECK_FALSE(ws::Has("name")(shard.bob));
  CHECK(ws::Is("admin")(shard.ann));
  CHECK_FALSE(ws::Is("name")(shard.ann));
  CHECK_FALSE(ws::Is("admin")(shard.bob));
  CHECK(ws::IsEqual("team", "red")(shard.ann));
  CHECK_FALSE(ws::IsEqual("team", "blue")(shard.ann));
  CHECK(ws::IsEqual("level", 3.0)(shard.ann));
  CHECK(ws::IsEqual("name", nullptr)(shard.ann));
  CHECK_FALSE(ws::IsEqual("name", nullptr)(shard.bob));
}

TEST_CASE("predicate: over typed sessions") {
  Shard shard;
  CHECK_FALSE(ws::Has<Member>()(shard.ann));
  CHECK_FALSE(ws::Is(&Member::admin)(shard.ann));
  auto& member = shard.ann.session<Member>();
  member.team = "red";
  CHECK(ws::Has<Member>()(shard.ann));
  CHECK_FALSE(ws::Is(&Member::admin)(shard.ann));
  member.admin = true;
  CHECK(ws::Is(&Member::admin)(shard.ann));
  CHECK(ws::IsEqual(&Member::team, "red")(shard.ann));
  CHECK_FALSE(ws::IsEqual(&Member::team, "red")(shard.bob));
  CHECK(ws::IsEqual(&Member::level, 0)(shard.ann));
  CHECK_FALSE(ws::Has<Member>()(shard.bob));
}

TEST_CASE("predicate: combinations") {
  Shard shard;
  shard.ann["a"] = true;
  CHECK(ws::All()(shard.ann));
  CHECK_FALSE(ws::Any()(shard.ann));
  CHECK(ws::All(ws::Has("a"), ws::Is("a"))(shard.ann));
  CHECK_FALSE(ws::All(ws::Has("a"), ws::Has("b"))(shard.ann));
  CHECK(ws::Any(ws::Has("b"), ws::Has("a"))(shard.ann));
  CHECK_FALSE(ws::Any(ws::Has("b"), ws::Has("a"))(shard.bob));
  CHECK(ws::All(ws::Predicate())(shard.bob));
  CHECK(ws::Any(ws::Predicate())(shard.bob));
}

TEST_CASE("predicate: Except") {
  Shard shard;
  CHECK_FALSE(ws::Except(shard.ann)(shard.ann));
  CHECK(ws::Except(shard.ann)(shard.bob));
  const auto both = ws::Except({shard.bob.uid(), shard.ann.uid(), shard.bob.uid()});
  CHECK_FALSE(both(shard.ann));
  CHECK_FALSE(both(shard.bob));
  CHECK(both == ws::Except({shard.ann.uid(), shard.bob.uid()}));
  CHECK(ws::Except(std::vector<ws::Uid>{})(shard.ann));
}

TEST_CASE("predicate: where takes any rule, and values with it") {
  Shard shard;
  shard.ann["level"] = 5;
  const auto at_least = [](const ws::Connection& connection, int level) {
    const ws::Scalar* value = connection.find("level");
    return value != nullptr && *value->get<std::int64_t>() >= level;
  };
  CHECK(ws::where(at_least, 5)(shard.ann));
  CHECK_FALSE(ws::where(at_least, 6)(shard.ann));
  CHECK(ws::where(at_least, 5) == ws::where(at_least, 5));
  CHECK_FALSE(ws::where(at_least, 5) == ws::where(at_least, 6));
}

TEST_CASE("predicate: one that throws is false, the others still count") {
  Shard shard;
  const auto bad = ws::where([](const ws::Connection& connection) { return throws(connection); });
  CHECK_FALSE(bad(shard.ann));
  CHECK(ws::Any(bad, ws::Predicate())(shard.ann));
  CHECK_FALSE(ws::All(bad, ws::Predicate())(shard.ann));
}

TEST_CASE("predicate: prints as one would write it") {
  CHECK(ws::Has("name").to_string() == "Has(\"name\")");
  CHECK(ws::Is("admin").to_string() == "Is(\"admin\")");
  CHECK(ws::IsEqual("team", "red").to_string() == "IsEqual(\"team\", \"red\")");
  CHECK(ws::IsEqual("level", 3).to_string() == "IsEqual(\"level\", 3)");
  CHECK(ws::All(ws::Has("name"), ws::Any(ws::Is("a"), ws::Predicate())).to_string() ==
        "All(Has(\"name\"), Any(Is(\"a\"), All()))");
  CHECK(ws::Has<Member>().to_string() == "Has<Member>()");
  CHECK(ws::Is(&Member::admin).to_string() == "Is(&Member::…)");
  CHECK(ws::IsEqual(&Member::team, "red").to_string() == "IsEqual(&Member::…, \"red\")");
  CHECK(ws::IsEqual(&Walker::place, Place{}).to_string() == "IsEqual(&Walker::…, …)");
  CHECK(ws::Except({ws::Uid(), ws::Uid()}).to_string() ==
        "Except(00000000-0000-0000-0000-000000000000)");
}

TEST_CASE("predicate: equal in structure") {
  CHECK(ws::Has("a") == ws::Has("a"));
  CHECK_FALSE(ws::Has("a") == ws::Has("b"));
  CHECK_FALSE(ws::Has("a") == ws::Is("a"));
  CHECK(ws::IsEqual("a", 1) == ws::IsEqual("a", 1.0));
  CHECK(ws::All(ws::Has("a"), ws::Is("b")) == ws::All(ws::Has("a"), ws::Is("b")));
  CHECK_FALSE(ws::All(ws::Has("a"), ws::Is("b")) == ws::All(ws::Is("b"), ws::Has("a")));
  CHECK_FALSE(ws::All(ws::Has("a")) == ws::Any(ws::Has("a")));
  CHECK(ws::Has<Member>() == ws::Has<Member>());
  CHECK_FALSE(ws::Has<Member>() == ws::Has<Walker>());
  CHECK(ws::Is(&Member::admin) == ws::Is(&Member::admin));
  CHECK(ws::IsEqual(&Member::team, "a") == ws::IsEqual(&Member::team, std::string("a")));
  CHECK_FALSE(ws::IsEqual(&Member::team, "a") == ws::IsEqual(&Member::name, "a"));
  const ws::Predicate one = ws::Has("a");
  const ws::Predicate copy = one;
  CHECK(copy == one);
}
