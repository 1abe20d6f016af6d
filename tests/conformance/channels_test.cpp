// Channels and patterns.

#include <algorithm>
#include <fstream>

#include "tests/conformance/servers.hpp"

namespace webshocket::test {
namespace {

using Events = std::vector<std::string>;

std::string quoted(std::string_view text) { return to_json(text); }

bool join(WsClient& client, std::string_view name) {
  const std::string answer = client.call("join", "[" + quoted(name) + "]");
  REQUIRE((answer == "true" || answer == "false"));
  return answer == "true";
}

void leave(WsClient& client, std::string_view name) {
  CHECK(client.call("leave", "[" + quoted(name) + "]") == "null");
}

void publish(WsClient& client, std::string_view name, std::string_view data) {
  REQUIRE(client.call("publish", "[" + quoted(name) + "," + std::string(data) + "]") == "null");
}

/// Everything that this client has been sent up to now by this publisher.
Events events(WsClient& client, WsClient& publisher, std::string_view fence = "fence") {
  publish(publisher, fence, "0");
  Events list;
  for (;;) {
    std::string event = client.event();
    if (event == "2 " + std::string(fence) + " 0") return list;
    list.push_back(std::move(event));
  }
}

bool is_utf8(std::string_view text) {
  try {
    return from_json(to_json(text))->string() == text;
  } catch (const Error&) {
    return false;
  }
}

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("\\x")) {
      out += from_hex(text.substr(i + 2, 2));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

TEST_CASE(
    "one copy per connection and publish, however much matches; the name is the one published") {
  on_each_shard_count([](std::uint16_t port) {
    WsClient publisher(port);
    for (const Dialect dialect : {Dialect::msgpack, Dialect::json, Dialect::generic}) {
      WsClient client(port, dialect);
      WsClient bystander(port, dialect);
      REQUIRE(join(client, "fence"));
      REQUIRE(join(bystander, "fence"));
      for (const char* name : {"news.sport", "news.*", "*", "news.[rs]*"}) {
        REQUIRE(join(client, name));
      }
      publish(publisher, "news.sport", R"({"m":1})");
      publish(publisher, "other", "null");
      publish(publisher, "news.*", "[2]");
      publish(publisher, "", "3");
      CHECK(events(client, publisher) ==
            Events{R"(2 news.sport {"m":1})", "2 other null", "2 news.* [2]", "2  3"});
      CHECK(events(bystander, publisher).empty());
    }
  });
}

TEST_CASE("the cap counts patterns; a second join of the same costs nothing; leave makes room") {
  on_each_shard_count([](std::uint16_t port) {
    WsClient client(port, Dialect::json);
    CHECK(client.call("channels") == "[]");
    CHECK(join(client, "b"));
    CHECK(join(client, "a*"));
    CHECK(join(client, "b"));
    CHECK(join(client, "?"));
    CHECK(join(client, "z"));
    CHECK(join(client, "fence"));
    CHECK_FALSE(join(client, "one more"));
    CHECK_FALSE(join(client, "pattern too*"));
    CHECK(join(client, "z"));
    CHECK(client.call("channels") == R"(["?","a*","b","fence","z"])");
    leave(client, "never joined");
    leave(client, "a*");
    leave(client, "b");
    CHECK(client.call("channels") == R"(["?","fence","z"])");
    CHECK(join(client, "back"));
    WsClient publisher(port);
    for (const char* name : {"abc", "b", "back", "z", "one more"}) publish(publisher, name, "1");
    CHECK(events(client, publisher) == Events{"2 b 1", "2 back 1", "2 z 1"});
    leave(client, "?");
    publish(publisher, "b", "2");
    CHECK(events(client, publisher).empty());
  });
}

TEST_CASE("a publisher gets its own copy, unless it excludes itself") {
  on_each_shard_count([](std::uint16_t port) {
    WsClient client(port);
    WsClient other(port, Dialect::json);
    for (WsClient* each : {&client, &other}) {
      REQUIRE(join(*each, "room"));
      REQUIRE(join(*each, "fence"));
    }
    publish(client, "room", "1");
    CHECK(client.call("publish", R"(["room",2,true])") == "null");
    CHECK(client.call("publish", R"(["room",3])", R"({"exclude_self":true})") == "null");
    CHECK(client.call("publish", "[]", R"({"data":4,"channel":"room","exclude_self":false})") ==
          "null");
    CHECK(events(other, client) == Events{"2 room 1", "2 room 2", "2 room 3", "2 room 4"});
    CHECK(events(client, other) == Events{"2 room 1", "2 room 4"});
  });
}

TEST_CASE("a pattern is seen from its joining on, also by channels used before") {
  on_each_shard_count([](std::uint16_t port) {
    WsClient publisher(port);
    WsClient client(port);
    REQUIRE(join(client, "fence"));
    publish(publisher, "room.1", "0");
    CHECK(events(client, publisher).empty());
    REQUIRE(join(client, "room.*"));
    publish(publisher, "room.1", "1");
    CHECK(events(client, publisher) == Events{"2 room.1 1"});
    leave(client, "room.*");
    publish(publisher, "room.1", "2");
    CHECK(events(client, publisher).empty());
  });
}

TEST_CASE("names of 2,000 characters, of any character") {
  on_each_shard_count([](std::uint16_t port) {
    WsClient client(port);
    REQUIRE(join(client, "fence"));
    const std::string long_name(2'000, 'n');
    for (const std::string& name : {long_name, std::string("\xc3\xa9\xf0\x9f\x98\x80"),
                                    std::string("a\0b", 3), std::string("line\nbreak")}) {
      REQUIRE(join(client, name));
    }
    const std::string all = client.call("channels");
    CHECK(all.size() > 2'000);
    publish(client, long_name, "1");
    publish(client, long_name + "n", "2");
    publish(client, std::string("a\0b", 3), "3");
    publish(client, "a", "4");
    CHECK(events(client, client) ==
          Events{"2 " + long_name + " 1", "2 " + std::string("a\0b", 3) + " 3"});
  });
}

TEST_CASE("patterns agree with fnmatch") {
  struct Case {
    std::string pattern, name;
    bool matches;
  };
  std::vector<Case> cases;
  std::ifstream file(WEBSHOCKET_SOURCE_DIR "/tests/api/fixtures/fnmatch.txt");
  REQUIRE(file);
  constexpr int kEvery = 29;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    const auto tab = line.find('\t', 2);
    REQUIRE(tab != std::string::npos);
    Case c{unescape(line.substr(2, tab - 2)), unescape(line.substr(tab + 1)), line[0] == '1'};
    if (c.pattern.find_first_of("*?[]") == std::string::npos) continue;
    if (!is_utf8(c.pattern) || !is_utf8(c.name)) continue;
    if (number++ % kEvery == 0) cases.push_back(std::move(c));
  }
  REQUIRE(cases.size() > 150);
  CHECK(std::ranges::any_of(cases, &Case::matches));
  CHECK_FALSE(std::ranges::all_of(cases, &Case::matches));
  on_each_shard_count([&](std::uint16_t port) {
    WsClient publisher(port);
    std::vector<std::unique_ptr<WsClient>> clients;
    for (const Case& c : cases) {
      clients.push_back(std::make_unique<WsClient>(port));
      REQUIRE(join(*clients.back(), c.pattern));
      REQUIRE(join(*clients.back(), "\x01 fence"));
    }
    for (std::size_t i = 0; i < cases.size(); ++i) {
      publish(publisher, cases[i].name, std::to_string(i));
    }
    // A pattern may match the fence too; it comes once all the same.
    for (std::size_t i = 0; i < cases.size(); ++i) {
      CAPTURE(cases[i].pattern);
      CAPTURE(cases[i].name);
      const std::string own = "2 " + cases[i].name + " " + std::to_string(i);
      const Events got = events(*clients[i], publisher, "\x01 fence");
      CHECK(std::ranges::count(got, own) == (cases[i].matches ? 1 : 0));
    }
  });
}

TEST_CASE("who has gone is no subscriber any more") {
  on_each_shard_count([](std::uint16_t port) {
    WsClient publisher(port);
    WsClient witness(port);
    REQUIRE(join(witness, "fence"));
    REQUIRE(join(witness, "room.*"));
    for (int i = 0; i < 20; ++i) {
      WsClient guest(port, i % 2 == 0 ? Dialect::msgpack : Dialect::json);
      REQUIRE(join(guest, "room.1"));
      REQUIRE(join(guest, "room.*"));
      if (i % 3 == 0) guest.close();
      if (i % 3 == 1) guest.peer().reset();
      publish(publisher, "room.1", std::to_string(i));
    }
    CHECK(events(witness, publisher).size() == 20);
  });
}

}  // namespace webshocket::test
