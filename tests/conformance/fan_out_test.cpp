// Publishes and broadcasts to two hundred connections of every kind.

#include <algorithm>
#include <map>

#include "tests/conformance/servers.hpp"

namespace webshocket::test {
namespace {

constexpr std::size_t kConnections = 200;
constexpr Dialect kDialects[] = {Dialect::msgpack, Dialect::json, Dialect::generic};

/// Calls on all of them at once; every answer must be this one.
void call_on_all(const Clients& clients, std::string_view method,
                 const std::function<std::string(std::size_t)>& args, std::string_view expected) {
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    ids.push_back(clients[i]->start(method, args(i)));
  }
  for (std::size_t i = 0; i < clients.size(); ++i) REQUIRE(clients[i]->answer(ids[i]) == expected);
}

bool have_events(const Clients& clients, std::size_t count) {
  return std::ranges::all_of(clients, [&](const auto& c) { return c->event_count() >= count; });
}

/// Nothing more is under way to anybody: what the fence is behind has come.
void fence(const Clients& clients, WsClient& publisher) {
  REQUIRE(publisher.call("broadcast", R"(["fence"])") == "null");
  for (const auto& client : clients) {
    auto events = client->take_events();
    while (std::ranges::find(events, "1 \"fence\"") == events.end()) {
      CHECK(events.empty());
      events = {client->event()};
    }
    CHECK(events == std::vector<std::string>{"1 \"fence\""});
  }
  CHECK(publisher.event() == "1 \"fence\"");
}

/// What several publishers sent, each counting from 0: nothing lost, nothing twice, in order.
void check_sequences(const std::vector<std::string>& events, std::string_view prefix,
                     std::size_t publishers, std::size_t each) {
  CHECK(events.size() == publishers * each);
  std::map<std::int64_t, std::int64_t> next;
  for (const std::string& event : events) {
    REQUIRE(event.starts_with(prefix));
    const Document data = from_json(std::string_view(event).substr(prefix.size()));
    REQUIRE((*data)["n"].integer() == next[(*data)["p"].integer()]++);
  }
  CHECK(next.size() == publishers);
}

}  // namespace

TEST_CASE("each broadcast and each publish comes once, in its publisher's order") {
  constexpr std::size_t kPublishers = 5;
  constexpr std::size_t kEach = 40;
  on_each_shard_count([](std::uint16_t port) {
    const Clients clients = connect_many(port, kConnections, kDialects);
    call_on_all(
        clients, "join", [](std::size_t i) { return i % 2 == 0 ? R"(["room"])" : R"(["r*m"])"; },
        "true");
    const Clients publishers = connect_many(port, kPublishers, kDialects);
    for (const auto& [method, front, prefix] :
         {std::tuple("publish", R"(["room",)", "2 room "), std::tuple("broadcast", "[", "1 ")}) {
      const std::string what = method;  // a capture takes no structured binding
      CAPTURE(what);
      for (std::size_t n = 0; n < kEach; ++n) {
        for (std::size_t p = 0; p < kPublishers; ++p) {
          publishers[p]->start(method, front + (R"({"p":)" + std::to_string(p)) + R"(,"n":)" +
                                           std::to_string(n) + "}]");
        }
      }
      pump_until(clients, [&] { return have_events(clients, kPublishers * kEach); });
      for (const auto& client : clients) {
        check_sequences(client->take_events(), prefix, kPublishers, kEach);
      }
    }
    pump_until(publishers, [&] { return have_events(publishers, kPublishers * kEach); });
    for (const auto& publisher : publishers) {
      check_sequences(publisher->take_events(), "1 ", kPublishers, kEach);
    }
    WsClient last(port);
    fence(clients, last);
  });
}

TEST_CASE("raw connections get what is published to their channel, as data alone") {
  on_each_shard_count([](std::uint16_t port) {
    std::vector<RawPeer> subscribers;
    for (int i = 0; i < 40; ++i) subscribers.push_back(open_peer(port, {.path = "/raw/sub"}));
    WsClient client(port);
    REQUIRE(client.call("join", R"(["raw"])") == "true");
    RawPeer publisher = open_peer(port, {.path = "/raw/pub"});
    std::string burst;
    for (int i = 0; i < 100; ++i) burst += text_frame(std::to_string(i));
    publisher.send(burst + binary_frame(std::string(70'000, '\xff')));
    for (RawPeer& subscriber : subscribers) {
      for (int i = 0; i < 100; ++i) {
        REQUIRE(subscriber.read_frame() ==
                Frame{.fin = true, .opcode = kText, .payload = std::to_string(i)});
      }
      const auto frames = subscriber.read_message_frames();
      CHECK(frames.size() == 2);
      CHECK(frames[0].opcode == kBinary);
    }
    for (int i = 0; i < 100; ++i) {
      REQUIRE(client.event() == "2 raw \"" + std::to_string(i) + "\"");
    }
    CHECK(to_json(client.packet()->data).size() == (70'000 + 2) / 3 * 4 + 2);
    // Broadcasts are not for them; a value that is neither text nor bytes comes as JSON.
    REQUIRE(client.call("broadcast", R"(["not raw"])") == "null");
    REQUIRE(client.call("publish", R"(["raw",{"a":[1,null]}])") == "null");
    for (RawPeer& subscriber : subscribers) {
      CHECK(subscriber.read_frame() ==
            Frame{.fin = true, .opcode = kText, .payload = R"({"a":[1,null]})"});
    }
  });
}

TEST_CASE("raw connections of a named channel get what is published to it, and nothing else") {
  on_each_shard_count([](std::uint16_t port) {
    std::vector<RawPeer> subscribers;
    for (int i = 0; i < 20; ++i) {
      subscribers.push_back(open_peer(port, {.path = "/raw/sub/room%201"}));
    }
    RawPeer elsewhere = open_peer(port, {.path = "/raw/sub/other"});
    WsClient client(port);
    REQUIRE(client.call("join", R"(["room%201"])") == "true");
    RawPeer publisher = open_peer(port, {.path = "/raw/pub/room%201"});
    publisher.send(text_frame("one") + binary_frame("\xff"));
    for (RawPeer& subscriber : subscribers) {
      CHECK(subscriber.read_frame() == Frame{.fin = true, .opcode = kText, .payload = "one"});
      CHECK(subscriber.read_frame() == Frame{.fin = true, .opcode = kBinary, .payload = "\xff"});
    }
    CHECK(client.event() == "2 room%201 \"one\"");
    CHECK(to_json(client.packet()->data) == R"("/w==")");
    // Broadcasts are not for them.
    REQUIRE(client.call("broadcast", R"(["not raw"])") == "null");
    REQUIRE(client.call("publish", R"(["room%201","end"])") == "null");
    REQUIRE(client.call("publish", R"(["other","end"])") == "null");
    const Frame end{.fin = true, .opcode = kText, .payload = "end"};
    for (RawPeer& subscriber : subscribers) CHECK(subscriber.read_frame() == end);
    CHECK(elsewhere.read_frame() == end);
    for (const char* path : {"/raw/sub/", "/raw/pub/", "/raw/sub/a*", "/raw/pub/[a]"}) {
      CAPTURE(path);
      CHECK(RawPeer(port).request({.path = path}).status == 400);
    }
  });
}

TEST_CASE("predicates see the recipient's state, wherever it lives") {
  const std::string roles[] = {"red", "green", "blue", "none"};
  on_each_shard_count([&](std::uint16_t port) {
    const Clients clients = connect_many(port, kConnections, kDialects);
    call_on_all(
        clients, "join", [](std::size_t) { return R"(["room"])"; }, "true");
    const auto role_of = [&](std::size_t i) { return roles[i % 4]; };
    call_on_all(
        clients, "grant", [&](std::size_t i) { return "[\"" + role_of(i) + "\"]"; }, "null");
    WsClient publisher(port);
    for (const std::string role : {"red", "green", "blue", "red"}) {
      REQUIRE(publisher.call("publish_role", R"(["room",")" + role + "\",\"" + role + "\"]") ==
              "null");
    }
    REQUIRE(publisher.call("broadcast", R"(["end"])") == "null");
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const std::size_t expected = role_of(i) == "red" ? 2 : role_of(i) == "none" ? 0 : 1;
      for (std::size_t n = 0; n < expected; ++n) {
        REQUIRE(clients[i]->event() == "2 room \"" + role_of(i) + "\"");
      }
      REQUIRE(clients[i]->event() == "1 \"end\"");
    }
    // It is the present state that counts.
    call_on_all(
        clients, "grant", [](std::size_t) { return R"(["red"])"; }, "null");
    REQUIRE(publisher.call("publish_role", R"(["room",1,"red"])") == "null");
    for (const auto& client : clients) REQUIRE(client->event() == "2 room 1");
  });
}

TEST_CASE("who excludes itself is the only one left out") {
  on_each_shard_count([](std::uint16_t port) {
    const Clients clients = connect_many(port, 60, kDialects);
    call_on_all(
        clients, "join", [](std::size_t) { return R"(["room"])"; }, "true");
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const std::string number = std::to_string(i);
      REQUIRE(clients[i]->call("broadcast", "[" + number + ",true]") == "null");
      REQUIRE(clients[i]->call("publish", "[\"room\"," + number + ",true]") == "null");
    }
    pump_until(clients, [&] { return have_events(clients, 2 * (clients.size() - 1)); });
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const auto events = clients[i]->take_events();
      CHECK(events.size() == 2 * (clients.size() - 1));
      CHECK(std::ranges::count(events, "1 " + std::to_string(i)) == 0);
      CHECK(std::ranges::count(events, "2 room " + std::to_string(i)) == 0);
    }
  });
}

TEST_CASE("large publishes reach everybody whole") {
  on_each_shard_count([](std::uint16_t port) {
    const Clients clients = connect_many(port, 30, kDialects);
    call_on_all(
        clients, "join", [](std::size_t) { return R"(["room"])"; }, "true");
    WsClient publisher(port);
    const std::string data = "\"" + std::string(200'000, 'd') + "\"";
    for (int i = 0; i < 5; ++i) publisher.start("publish", "[\"room\"," + data + "]");
    pump_until(clients, [&] { return have_events(clients, 5); });
    for (const auto& client : clients) {
      for (const std::string& event : client->take_events()) CHECK((event == "2 room " + data));
    }
  });
}

}  // namespace webshocket::test
