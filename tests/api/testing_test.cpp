// The chat of the front page, tested as an application's author would test it.

#include <webshocket/testing.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace ws = webshocket;
using namespace std::chrono_literals;

namespace {

struct Member {
  std::string name, team;
};
struct Line {
  std::string from, text;
  WEBSHOCKET_FIELDS(Line, from, text)
};

class Chat : public ws::Handler {
 public:
  Chat() {
    rpc("join", &Chat::join).params("name", "team");
    rpc("say", &Chat::say).params("text").require(ws::Has<Member>()).rate_limit(5, 1s);
    rpc("who", &Chat::who).require(ws::Has<Member>());
  }

  void on_disconnect(ws::Connection& conn) override {
    if (auto* me = conn.find<Member>()) broadcast(me->name + " left");
  }

 private:
  std::string join(ws::Connection& conn, std::string name, std::string team) {
    conn.session<Member>() = {name, team};
    conn.subscribe("room");
    return "welcome, " + name;
  }

  void say(ws::Connection& conn, std::string text) {
    const auto& me = conn.session<Member>();
    publish("room", Line{me.name, text}, ws::IsEqual(&Member::team, me.team));
  }

  ws::Stream<std::string> who(ws::Connection&) {
    for (const auto& names : co_await gather(&Chat::names))
      for (const auto& name : names) {
        co_yield name;
        co_await ws::sleep_for(100ms);
      }
  }

  std::vector<std::string> names() {
    std::vector<std::string> out;
    for (ws::Connection& conn : clients())
      if (auto* member = conn.find<Member>()) out.push_back(member->name);
    return out;
  }
};

/// Notes its events, and does what a test tells it.
class Noting : public ws::Handler {
 public:
  std::vector<std::string>& notes;
  explicit Noting(std::vector<std::string>& to) : notes(to) {
    rpc("close", [](ws::Connection& conn) { conn.close(ws::CloseCode::policy_violation, "bye"); });
  }
  ~Noting() override { notes.emplace_back("end"); }
  void on_start() override { notes.emplace_back("start"); }
  void on_stop() override { notes.push_back("stop " + std::to_string(client_count())); }
  void on_connect(ws::Connection& conn) override {
    const ws::Scalar* user = conn.find("user");
    notes.push_back("connect " + (user == nullptr ? "?" : *user->get<std::string>()));
  }
  void on_disconnect(ws::Connection& conn) override {
    notes.push_back("disconnect " + std::string(to_string(conn.state())));
    broadcast("somebody left");
  }
  void on_receive(ws::Connection&, const ws::Packet& packet) override {
    notes.push_back("receive " + to_string(packet.data));
  }
  void on_message(ws::Connection&, std::span<const std::byte> message, ws::Opcode opcode) override {
    notes.push_back("message " + std::to_string(message.size()) +
                    (opcode == ws::Opcode::text ? " text" : " binary"));
  }
};

class Door : public ws::Handler {
 public:
  ws::Upgrade on_upgrade(const ws::UpgradeRequest& request) override {
    const auto user = request.query_value("user");
    if (!user) return ws::Upgrade::reject(401, "who are you?");
    if (request.path == "/raw") return ws::Upgrade::accept().raw();
    return ws::Upgrade::accept().session("user", *user);
  }
};

class SlowDoor : public ws::Handler {
 public:
  bool never = false;
  ws::Task<ws::Upgrade> on_upgrade_async(ws::UpgradeRequest request) override {
    co_await ws::sleep_for(1s);
    if (request.path == "/bad") throw std::runtime_error("the list is lost");
    const int level = co_await ws::offload([] { return 3; });
    co_return ws::Upgrade::accept().session("level", level);
  }
};

ws::UpgradeRequest request_of(std::string path, std::string query) {
  ws::UpgradeRequest request;
  request.path = std::move(path);
  request.query = std::move(query);
  return request;
}

std::string text_of(const ws::OwnedPacket& packet) { return to_string(packet->data); }

}  // namespace

TEST_CASE("chat: joining, and what is refused before it") {
  ws::FakeShard<Chat> shard;
  auto& ann = shard.connect();
  CHECK(shard.call(ann, "say", "hi").error() == ws::RpcErrorCode::access_denied);
  CHECK(shard.call(ann, "join", "ann", "red").as<std::string>() == "welcome, ann");
  CHECK(shard.call(ann, "say", "hi").as<std::nullptr_t>() == nullptr);
  REQUIRE(ann.sent().size() == 1);
  CHECK(ann.sent()[0]->source == ws::PacketSource::channel);
  CHECK(ann.sent()[0]->channel == "room");
  CHECK(ann.sent()[0]->data["from"].string() == "ann");
}

TEST_CASE("chat: a line reaches the own team") {
  ws::FakeShard<Chat> shard;
  auto& ann = shard.connect();
  auto& bob = shard.connect(ws::Format::json);
  auto& cat = shard.connect();
  shard.call(ann, "join", "ann", "red");
  shard.call(bob, "join", "bob", "red");
  shard.call(cat, "join", "cat", "blue");
  shard.call(ann, "say", "go");
  CHECK(ann.sent().size() == 1);
  REQUIRE(bob.sent().size() == 1);
  CHECK(bob.take_sent()[0]->data["text"].string() == "go");
  CHECK(bob.sent().empty());
  CHECK(cat.sent().empty());
}

TEST_CASE("chat: five lines a second") {
  ws::FakeShard<Chat> shard;
  auto& ann = shard.connect();
  shard.call(ann, "join", "ann", "red");
  for (int i = 0; i < 5; ++i) CHECK_FALSE(shard.call(ann, "say", "x").error());
  CHECK(shard.call(ann, "say", "x").error() == ws::RpcErrorCode::rate_limit_exceeded);
  shard.advance(1s);
  CHECK_FALSE(shard.call(ann, "say", "x").error());
}

TEST_CASE("chat: who is here comes as a stream, one name each tenth of a second") {
  ws::FakeShard<Chat> shard;
  auto& ann = shard.connect();
  auto& bob = shard.connect();
  shard.call(ann, "join", "ann", "red");
  shard.call(bob, "join", "bob", "red");
  const auto reply = shard.call(ann, "who");
  CHECK(reply.values().size() == 1);
  shard.advance(99ms);
  CHECK(reply.values().size() == 1);
  shard.advance(1ms);
  REQUIRE(reply.values().size() == 2);
  CHECK(reply.as<std::string>() == "bob");
  CHECK_FALSE(reply.finished());
  shard.advance(100ms);
  CHECK(reply.finished());
  CHECK(reply.responses() == 3);
}

TEST_CASE("chat: the others hear who leaves") {
  ws::FakeShard<Chat> shard;
  auto& ann = shard.connect();
  auto& bob = shard.connect();
  shard.call(ann, "join", "ann", "red");
  shard.disconnect(ann);
  REQUIRE(bob.sent().size() == 1);
  CHECK(bob.sent()[0]->source == ws::PacketSource::broadcast);
  CHECK(text_of(bob.sent()[0]) == "\"ann left\"");
  CHECK(ann.sent().empty());
  CHECK(ann.send("x") == ws::SendStatus::dropped);
  CHECK(ann.find<Member>()->name == "ann");
}

TEST_CASE("fake shard: events in their order, connect and disconnect in pairs") {
  std::vector<std::string> notes;
  {
    ws::FakeShard<Noting> shard(std::ref(notes));
    auto& ann = shard.connect();
    auto& bob = shard.connect(ws::Format::json);
    CHECK(&shard.handler().notes == &notes);
    CHECK(shard.handler().client_count() == 2);
    shard.receive(ann, "hi");
    const std::byte bytes[3] = {};
    shard.receive_raw(ann, bytes);
    shard.call(bob, "close");
    CHECK(bob.close_code() == ws::CloseCode::policy_violation);
    CHECK(bob.close_reason() == "bye");
    CHECK(shard.handler().client_count() == 1);
    shard.disconnect(bob);
    shard.receive(bob, "too late");
    CHECK(ann.sent().size() == 1);
    CHECK(ann.state() == ws::ConnectionState::connected);
  }
  CHECK(notes == std::vector<std::string>{"start", "connect ?", "connect ?", "receive \"hi\"",
                                          "receive bin(3)", "disconnect closed",
                                          "disconnect closed", "stop 0", "end"});
}

TEST_CASE("fake shard: asks on_upgrade") {
  ws::FakeShard<Door> shard;
  CHECK_THROWS_WITH_AS(shard.connect(), "HTTP 401: who are you?", ws::ConnectionFailedError);
  auto& ann = shard.connect(ws::Format::json, request_of("/", "user=ann"));
  CHECK(ann["user"] == ws::Scalar("ann"));
  CHECK(ann.format() == ws::Format::json);
  auto& raw = shard.connect(ws::Format::json, request_of("/raw", "user=bob"));
  CHECK(raw.format() == ws::Format::raw);
  CHECK(raw.uid() != ann.uid());
  CHECK(raw.remote_address() == "fake");
}

TEST_CASE("fake shard: waits for on_upgrade_async") {
  ws::FakeShard<SlowDoor> shard;
  auto& ann = shard.connect();
  CHECK(ann["level"] == ws::Scalar(3));
  CHECK_THROWS_WITH_AS(shard.connect(ws::Format::msgpack, request_of("/bad", "")),
                       "HTTP 500: std::runtime_error: the list is lost", ws::ConnectionFailedError);
}

TEST_CASE("fake shard: raw connections get data alone") {
  std::vector<std::string> notes;
  ws::FakeShard<Noting> shard(std::ref(notes));
  auto& raw = shard.connect(ws::Format::raw);
  const std::byte bytes[2] = {};
  shard.receive_raw(raw, bytes, ws::Opcode::text);
  shard.receive_raw(raw, bytes);
  CHECK(notes[2] == "message 2 text");
  CHECK(notes[3] == "message 2 binary");
  shard.handler().broadcast("all");
  REQUIRE(raw.sent().size() == 1);
  CHECK(raw.sent()[0]->source == ws::PacketSource::custom);
  CHECK(text_of(raw.sent()[0]) == "\"all\"");
}

TEST_CASE("fake shard: channels and patterns, all of a list or nothing") {
  std::vector<std::string> notes;
  ws::Config config;
  config.max_subscribed_channels = 3;
  config.max_channel_name = 8;
  ws::FakeShard<Noting> shard(config, std::ref(notes));
  auto& ann = shard.connect();
  auto& bob = shard.connect();
  CHECK(ann.max_subscribed_channels() == 3);
  CHECK(ann.subscribe({"a", "b.*"}));
  CHECK(ann.subscribe("a"));
  CHECK_FALSE(ann.subscribe({"c", "d"}));
  CHECK(ann.subscriptions().size() == 2);
  CHECK(ann.subscribe({"c", "c", "a"}));
  CHECK_FALSE(ann.subscribe("d"));
  ann.unsubscribe("c");
  CHECK_FALSE(ann.subscribe("123456789"));
  CHECK(ann.subscribe("b.?"));
  CHECK(bob.subscribe("b.1"));

  auto& handler = shard.handler();
  CHECK(handler.channels() == std::vector<std::string>{"a", "b.*", "b.1", "b.?"});
  CHECK(handler.subscribers("b.1").size() == 2);
  CHECK(handler.subscribers("b.*").size() == 1);
  CHECK(handler.publish({"b.1", "a"}, 5));
  CHECK(ann.sent().size() == 2);
  CHECK(ann.sent()[0]->channel == "b.1");
  CHECK(bob.sent().size() == 1);
  CHECK(handler.publish("a", 6, {.exclude = ann}));
  CHECK(ann.sent().size() == 2);

  ws::Packet packet;
  CHECK_THROWS_AS(handler.publish("a", packet), ws::PacketError);
  packet.source = ws::PacketSource::channel;
  packet.timestamp = ws::Value::of(1.5);
  CHECK(handler.publish("a", packet));
  CHECK(ann.sent()[2]->timestamp == ws::Value::of(1.5));
  CHECK(ann.sent()[2]->channel == "a");
}

TEST_CASE("fake shard: what JSON cannot hold") {
  std::vector<std::string> notes;
  ws::FakeShard<Noting> shard(std::ref(notes));
  auto& ann = shard.connect();
  auto& bob = shard.connect(ws::Format::json);
  const std::byte bytes[1] = {};
  const ws::Value ext = ws::Value::of(std::int8_t{3}, bytes);
  CHECK(ann.send(ext) == ws::SendStatus::ok);
  CHECK_THROWS_AS(bob.send(ext), ws::PacketError);
  shard.handler().broadcast(ext);
  CHECK(ann.sent().size() == 2);
  CHECK(bob.sent().empty());
}

TEST_CASE("fake shard: other threads speak by peers") {
  std::vector<std::string> notes;
  ws::Peer peer;
  {
    ws::FakeShard<Noting> shard(std::ref(notes));
    auto& ann = shard.connect();
    peer = ann.peer();
    CHECK(peer.send("one") == ws::SendStatus::ok);
    shard.run_beside([&] {
      CHECK(peer.send("two") == ws::SendStatus::ok);
      CHECK(peer.post([](ws::Connection& conn) { conn["seen"] = true; }));
      CHECK_THROWS_AS(ann.send("x"), ws::WrongThreadError);
      CHECK_THROWS_AS(shard.handler().broadcast("x"), ws::WrongThreadError);
    });
    CHECK(ann.sent().size() == 2);
    CHECK(ann["seen"] == ws::Scalar(true));
    CHECK_THROWS_WITH_AS(shard.run_beside([] { throw std::runtime_error("away"); }), "away",
                         std::runtime_error);
    peer.close(ws::CloseCode::going_away);
    shard.settle();
    CHECK(ann.close_code() == ws::CloseCode::going_away);
    CHECK(peer.send("x") == ws::SendStatus::dropped);
  }
  CHECK(peer.send("late") == ws::SendStatus::dropped);
  CHECK_FALSE(peer.post([](ws::Connection&) {}));
  CHECK_FALSE(peer.close());
}

TEST_CASE("fake shard: a client proves who it is by its request") {
  std::vector<std::string> notes;
  ws::FakeShard<Noting> shard(std::ref(notes));
  CHECK_FALSE(shard.connect().client_certificate());
  ws::UpgradeRequest request;
  request.client_certificate = ws::ClientCertificate{.common_name = "ann"};
  auto& ann = shard.connect(ws::Format::json, request);
  CHECK(ann.client_certificate() == request.client_certificate);
}
