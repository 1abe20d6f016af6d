#include "shards/channels.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tests/shards/channels_model.hpp"

using webshocket::shards::Channels;
using webshocket::shards::ChannelsOptions;
using webshocket::shards::Subscriber;
using webshocket::tests::Client;
using Ids = std::vector<int>;
using Names = std::vector<std::string_view>;

namespace {

// Everything through the cache, else the few patterns of a test would be tried one by one.
constexpr ChannelsOptions kCached{.tried_at_once = 0};

struct Shard {
  explicit Shard(ChannelsOptions options = kCached) : channels(options) {}
  ~Shard() {
    for (Client* client : {&a, &b, &c, &d}) channels.remove(*client);
  }
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  Ids publish(std::string_view name) {
    Ids ids;
    channels.for_each_match(name,
                            [&](Subscriber& to) { ids.push_back(static_cast<Client&>(to).id); });
    CHECK(channels.has_match(name) == !ids.empty());
    return ids;
  }

  Channels channels;
  Client a{1}, b{2}, c{3}, d{4};
};

std::vector<std::unique_ptr<Client>> make_clients(int count) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < count; ++i) clients.push_back(std::make_unique<Client>(i));
  return clients;
}

int id_of(Subscriber& subscriber) { return static_cast<Client&>(subscriber).id; }

}  // namespace

TEST_CASE("a publish reaches those of the name, in the order of subscribing") {
  Shard s;
  CHECK(s.channels.subscribe(s.b, "x"));
  CHECK(s.channels.subscribe(s.a, "x"));
  CHECK(s.channels.subscribe(s.c, "y"));
  CHECK(s.publish("x") == Ids{2, 1});
  CHECK(s.publish("y") == Ids{3});
  CHECK(s.publish("z").empty());
  CHECK(s.publish("").empty());

  CHECK(s.channels.unsubscribe(s.b, "x"));
  CHECK(s.channels.subscribe(s.b, "x"));
  CHECK(s.publish("x") == Ids{1, 2});
}

TEST_CASE("subscribing twice and unsubscribing twice say so") {
  Shard s;
  CHECK(s.channels.subscribe(s.a, "x"));
  CHECK_FALSE(s.channels.subscribe(s.a, "x"));
  CHECK(s.channels.subscribe(s.a, "x*"));
  CHECK_FALSE(s.channels.subscribe(s.a, "x*"));
  CHECK(s.a.subscription_count() == 2);
  CHECK(s.channels.subscribed(s.a, "x"));
  CHECK(s.channels.subscribed(s.a, "x*"));
  CHECK_FALSE(s.channels.subscribed(s.a, "xy"));
  CHECK_FALSE(s.channels.subscribed(s.b, "x"));
  CHECK(s.channels.unsubscribe(s.a, "x"));
  CHECK_FALSE(s.channels.unsubscribe(s.a, "x"));
  CHECK_FALSE(s.channels.unsubscribe(s.b, "x*"));
  CHECK_FALSE(s.channels.unsubscribe(s.a, "never"));
  CHECK(s.channels.unsubscribe(s.a, "x*"));
  CHECK(s.a.subscription_count() == 0);
}

TEST_CASE("one copy per connection, however many names and patterns match") {
  Shard s;
  s.channels.subscribe(s.a, "*");
  s.channels.subscribe(s.b, "room.?");
  s.channels.subscribe(s.a, "room.1");
  s.channels.subscribe(s.b, "room.[0-9]");
  s.channels.subscribe(s.c, "room.*");
  s.channels.subscribe(s.c, "room.1");
  CHECK(s.publish("room.1") == Ids{1, 3, 2});
  CHECK(s.publish("room.2") == Ids{1, 2, 3});
  CHECK(s.publish("hall.1") == Ids{1});
  s.channels.unsubscribe(s.a, "*");
  CHECK(s.publish("room.1") == Ids{1, 3, 2});
  CHECK(s.publish("hall.1").empty());
}

TEST_CASE("a pattern's own text, published, is a name like others") {
  Shard s;
  s.channels.subscribe(s.a, "[ab]");
  s.channels.subscribe(s.b, "*");
  CHECK(s.publish("[ab]") == Ids{2});
  CHECK(s.publish("*") == Ids{2});
  CHECK(s.publish("a") == Ids{1, 2});
}

TEST_CASE("the empty name") {
  Shard s;
  s.channels.subscribe(s.a, "");
  s.channels.subscribe(s.b, "*");
  s.channels.subscribe(s.c, "?");
  CHECK(s.publish("") == Ids{1, 2});
  CHECK(s.a.subscriptions() == Names{""});
}

TEST_CASE("a pattern added after a name's first publish is seen") {
  Shard s;
  s.channels.subscribe(s.a, "news.*");
  CHECK(s.publish("news.1") == Ids{1});
  CHECK(s.publish("news.2") == Ids{1});
  CHECK(s.channels.match_cache().size() == 2);
  s.channels.subscribe(s.b, "n*1");
  s.channels.subscribe(s.c, "news.?");
  CHECK(s.publish("news.1") == Ids{1, 2, 3});
  CHECK(s.publish("news.2") == Ids{1, 3});
  CHECK(s.channels.match_cache().size() == 2);

  SUBCASE("and one that nothing matched before") {
    CHECK(s.publish("nobody").empty());
    s.channels.subscribe(s.d, "*body");
    CHECK(s.publish("nobody") == Ids{4});
  }
}

TEST_CASE("a pattern ends with its last connection") {
  Shard s;
  s.channels.subscribe(s.a, "news.*");
  s.channels.subscribe(s.b, "news.*");
  CHECK(s.publish("news.1") == Ids{1, 2});
  s.channels.remove(s.a);
  CHECK(s.publish("news.1") == Ids{2});
  CHECK(s.channels.pattern_count() == 1);
  s.channels.remove(s.b);
  CHECK(s.publish("news.1").empty());
  CHECK(s.channels.pattern_count() == 0);
  CHECK(s.channels.patterns().empty());
  s.channels.subscribe(s.c, "news.*");
  CHECK(s.publish("news.1") == Ids{3});
}

TEST_CASE("the list of subscriptions holds patterns too") {
  Shard s;
  CHECK(s.a.subscriptions().empty());
  s.channels.subscribe(s.a, "x");
  CHECK(s.a.subscriptions() == Names{"x"});
  s.channels.subscribe(s.a, "news.*");
  s.channels.subscribe(s.a, "y");
  CHECK(s.a.subscriptions() == Names{"x", "news.*", "y"});
  s.channels.unsubscribe(s.a, "x");
  CHECK(s.a.subscriptions() == Names{"news.*", "y"});
  CHECK(s.channels.channels() == Names{"y"});
  CHECK(s.channels.patterns() == Names{"news.*"});
  CHECK(s.channels.subscriber_count("y") == 1);
  CHECK(s.channels.subscriber_count("news.*") == 1);
  CHECK(s.channels.subscriber_count("news.1") == 0);
}

TEST_CASE("names are copied and belong to the channel") {
  Shard s;
  std::string name = "a name too long for a small string to hold";
  s.channels.subscribe(s.a, name);
  s.channels.subscribe(s.a, name + "*");
  name.assign(name.size(), 'z');
  CHECK(s.a.subscriptions()[0] == "a name too long for a small string to hold");
  CHECK(s.a.subscriptions()[1] == "a name too long for a small string to hold*");
  CHECK(s.publish("a name too long for a small string to hold") == Ids{1});
}

TEST_CASE("a subscriber with many subscriptions") {
  Shard s;
  const auto name = [](int i) { return (i % 3 == 0 ? "p*" : "name ") + std::to_string(i); };
  for (int i = 0; i < 2000; ++i) CHECK(s.channels.subscribe(s.a, name(i)));
  for (int i = 0; i < 2000; ++i) CHECK_FALSE(s.channels.subscribe(s.a, name(i)));
  CHECK(s.a.subscription_count() == 2000);
  CHECK(s.a.subscriptions().size() == 2000);
  for (int i = 0; i < 2000; i += 2) CHECK(s.channels.unsubscribe(s.a, name(i)));
  for (int i = 0; i < 2000; ++i) CHECK(s.channels.subscribed(s.a, name(i)) == (i % 2 == 1));
  for (int i = 1; i < 1990; i += 2) CHECK(s.channels.unsubscribe(s.a, name(i)));
  CHECK(s.a.subscription_count() == 5);
  for (int i = 1991; i < 2000; i += 2) CHECK(s.channels.subscribed(s.a, name(i)));
  s.channels.remove(s.a);
  CHECK(s.channels.channel_count() == 0);
  CHECK(s.channels.pattern_count() == 0);
}

TEST_CASE("those who stay keep their order, whoever leaves") {
  Channels channels;
  auto clients = make_clients(1000);
  for (auto& client : clients) channels.subscribe(*client, "x");
  std::mt19937 random(7);
  Ids expected;
  for (int i = 0; i < 1000; ++i) expected.push_back(i);
  while (!expected.empty()) {
    const auto at = static_cast<std::ptrdiff_t>(random() % expected.size());
    channels.remove(*clients[static_cast<std::size_t>(expected[static_cast<std::size_t>(at)])]);
    expected.erase(expected.begin() + at);
    Ids ids;
    channels.for_each_match("x", [&](Subscriber& to) { ids.push_back(id_of(to)); });
    REQUIRE(ids == expected);
  }
  CHECK(channels.channel_count() == 0);
}

TEST_CASE("changes from within a publish") {
  Shard s;
  for (Client* client : {&s.a, &s.b, &s.c}) s.channels.subscribe(*client, "x");
  Ids ids;

  SUBCASE("one who is gone before its turn is left out") {
    s.channels.for_each_match("x", [&](Subscriber& to) {
      ids.push_back(id_of(to));
      s.channels.remove(s.b);
    });
    CHECK(ids == Ids{1, 3});
  }
  SUBCASE("all may go, and the channel with them") {
    s.channels.for_each_match("x", [&](Subscriber& to) {
      ids.push_back(id_of(to));
      for (Client* client : {&s.a, &s.b, &s.c}) s.channels.remove(*client);
    });
    CHECK(ids == Ids{1});
    CHECK(s.channels.channel_count() == 0);
  }
  SUBCASE("an emptied channel may fill again") {
    s.channels.for_each_match("x", [&](Subscriber& to) {
      ids.push_back(id_of(to));
      for (Client* client : {&s.a, &s.b, &s.c}) s.channels.remove(*client);
      s.channels.subscribe(s.d, "x");
    });
    CHECK(ids == Ids{1});
    CHECK(s.publish("x") == Ids{4});
  }
  SUBCASE("one who joins waits for the next publish") {
    s.channels.for_each_match("x", [&](Subscriber& to) {
      ids.push_back(id_of(to));
      s.channels.subscribe(s.d, "x");
    });
    CHECK(ids == Ids{1, 2, 3});
    CHECK(s.publish("x") == Ids{1, 2, 3, 4});
  }
  SUBCASE("a receiver may be destroyed") {
    auto guest = std::make_unique<Client>(9);
    s.channels.subscribe(*guest, "x");
    s.channels.subscribe(*guest, "*");
    s.channels.for_each_match("x", [&](Subscriber& to) {
      ids.push_back(id_of(to));
      if (&to == guest.get()) {
        s.channels.remove(to);
        guest.reset();
      }
    });
    CHECK(ids == Ids{1, 2, 3, 9});
    CHECK(s.publish("x") == Ids{1, 2, 3});
  }
  SUBCASE("patterns come and go") {
    s.channels.subscribe(s.a, "*");
    s.channels.subscribe(s.d, "x*");
    s.channels.for_each_match("x", [&](Subscriber& to) {
      ids.push_back(id_of(to));
      s.channels.unsubscribe(s.a, "*");
      s.channels.unsubscribe(s.d, "x*");
      s.channels.subscribe(s.d, "?");
    });
    CHECK(ids == Ids{1, 2, 3});
    CHECK(s.channels.patterns() == Names{"?"});
    CHECK(s.publish("x") == Ids{1, 2, 3, 4});
  }
  SUBCASE("one who leaves and comes back gets no second copy") {
    s.channels.subscribe(s.d, "x*");
    s.channels.for_each_match("x", [&](Subscriber& to) {
      ids.push_back(id_of(to));
      if (id_of(to) != 1) return;
      s.channels.remove(s.a);
      s.channels.subscribe(s.a, "x*");
    });
    CHECK(ids == Ids{1, 2, 3, 4});
  }
  SUBCASE("an exception leaves everything in order") {
    CHECK_THROWS_AS(s.channels.for_each_match("x",
                                              [&](Subscriber&) {
                                                s.channels.remove(s.a);
                                                throw std::runtime_error("no");
                                              }),
                    std::runtime_error);
    CHECK(s.publish("x") == Ids{2, 3});
  }
}

TEST_CASE("a publish from within a publish") {
  for (const std::uint32_t tried_at_once : {0U, 8U}) {
    Shard s({.match_cache_bytes = 1, .tried_at_once = tried_at_once});
    for (Client* client : {&s.a, &s.b}) {
      s.channels.subscribe(*client, "x");
      s.channels.subscribe(*client, "*");
      s.channels.subscribe(*client, "y");
    }
    s.channels.subscribe(s.c, "?");
    Ids outer;
    std::vector<Ids> inner;
    s.channels.for_each_match("x", [&](Subscriber& to) {
      outer.push_back(id_of(to));
      inner.push_back(s.publish("y"));
    });
    CHECK(outer == Ids{1, 2, 3});
    CHECK(inner == std::vector<Ids>{{1, 2, 3}, {1, 2, 3}, {1, 2, 3}});
  }
}

TEST_CASE("for_each_subscriber knows one name only") {
  Shard s;
  s.channels.subscribe(s.a, "x");
  s.channels.subscribe(s.b, "*");
  Ids ids;
  const auto collect = [&](Subscriber& to) { ids.push_back(id_of(to)); };
  s.channels.for_each_subscriber("x", collect);
  CHECK(ids == Ids{1});
  s.channels.for_each_subscriber("*", collect);
  CHECK(ids == Ids{1, 2});
  s.channels.for_each_subscriber("y", collect);
  CHECK(ids == Ids{1, 2});
}

TEST_CASE("the numbering of publishes begins anew without losing a copy") {
  Shard s({.publish_numbers = 3});
  s.channels.subscribe(s.a, "x");
  s.channels.subscribe(s.a, "*");
  s.channels.subscribe(s.b, "x*");
  for (int i = 0; i < 10; ++i) CHECK(s.publish("x") == Ids{1, 2});
  s.channels.subscribe(s.c, "y");
  s.channels.subscribe(s.c, "y*");
  for (int rest = 0; rest < 9; ++rest) {  // each time the marks are those of another publish
    CHECK(s.publish("y") == Ids{3, 1});
    for (int i = 0; i < rest; ++i) CHECK(s.publish("x") == Ids{1, 2});
  }
  s.channels.remove(s.c);
  s.channels.remove(s.b);  // and is away when the marks are forgotten
  for (int i = 0; i < 7; ++i) {
    CHECK(s.publish("x") == Ids{1});
    s.channels.subscribe(s.b, "x*");
    CHECK(s.publish("x") == Ids{1, 2});
    s.channels.remove(s.b);
  }
}
