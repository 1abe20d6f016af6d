#include "shards/match_cache.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <string>

#include "shards/channels.hpp"
#include "tests/shards/channels_model.hpp"

using webshocket::shards::Channels;
using webshocket::shards::Subscriber;
using webshocket::tests::Client;

TEST_CASE("the cache is bounded, also by the length of its lists") {
  constexpr std::size_t kLimit = 16 * 1024;
  Channels channels({.match_cache_bytes = kLimit, .tried_at_once = 0});
  Client client(1);
  for (int i = 0; i < 20; ++i)
    channels.subscribe(client, std::string(static_cast<std::size_t>(i + 1), '*') + "x?");
  for (int i = 0; i < 1000; ++i) {
    const std::string name = std::to_string(i) + "xy";
    int copies = 0;
    channels.for_each_match(name, [&](Subscriber&) { ++copies; });
    CHECK(copies == 1);
    CHECK(channels.match_cache().bytes() <= kLimit);
  }
  CHECK(channels.match_cache().size() > 10);
  SUBCASE("a list that is too long by itself is used and forgotten") {
    for (int i = 0; i < 4000; ++i) channels.subscribe(client, "[" + std::to_string(i) + "z]");
    int copies = 0;
    channels.for_each_match("z", [&](Subscriber&) { ++copies; });
    CHECK(copies == 1);
    CHECK(channels.match_cache().bytes() <= kLimit);
  }
  SUBCASE("lists that grow count") {
    for (int i = 0; i < 2000; ++i) channels.subscribe(client, "*[x" + std::to_string(i) + "]y");
    CHECK(channels.match_cache().bytes() <= kLimit);
  }
  channels.remove(client);
}

TEST_CASE("a new pattern leaves the cache alone where it cannot match") {
  Channels channels({.tried_at_once = 0});
  Client client(1);
  channels.subscribe(client, "*");
  for (const char* name : {"a.1", "a.2", "b.1"}) channels.for_each_match(name, [](Subscriber&) {});
  channels.subscribe(client, "a.[2]");
  channels.unsubscribe(client, "a.[2]");
  CHECK(channels.match_cache().size() == 3);
  channels.remove(client);
}
