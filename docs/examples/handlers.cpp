// What a handler can do, in pieces. Each piece is tried on a shard without sockets.

#include <webshocket/testing.hpp>
#include <webshocket/webshocket.hpp>

#include <chrono>
#include <cstddef>
#include <iostream>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ws = webshocket;
using namespace std::chrono_literals;

namespace {

int failures = 0;
void expect(bool holds, const char* what) {
  if (!holds) ++failures, std::cerr << "not so: " << what << '\n';
}

// --- events -------------------------------------------------------------------------------------

class Events : public ws::Handler {
 public:
  void on_start() override {}  // once per shard, before its first connection

  ws::Upgrade on_upgrade(const ws::UpgradeRequest& request) override {
    const auto user = request.query_value("user");
    if (!user) return ws::Upgrade::reject(401, "Who are you?");
    return ws::Upgrade::accept().session("user", *user).pin(*user);
  }

  void on_connect(ws::Connection& conn) override {
    conn.send(ws::map("hello", *conn.find("user"), "you", conn.uid().to_string()));
  }

  void on_receive(ws::Connection& conn, const ws::Packet& packet) override {
    if (packet.source == ws::PacketSource::unknown) {
      return conn.close(ws::CloseCode::unsupported_data, "packets only, please");
    }
    conn.send(packet.data);
  }

  void on_disconnect(ws::Connection& conn) override {
    log(ws::LogLevel::info, conn.find("user")->to_string() + " left");
  }

  void on_stop() override {}  // once per shard, after its last connection
};

void try_events() {
  ws::FakeShard<Events> shard;
  ws::UpgradeRequest request;
  request.query = "user=ann";
  auto& ann = shard.connect(ws::Format::json, request);
  expect(ann.sent().at(0)->data["hello"].string() == "ann", "ann is greeted");
  bool refused = false;
  try {
    shard.connect();
  } catch (const ws::ConnectionFailedError&) {
    refused = true;
  }
  expect(refused, "nobody comes in without a name");
}

// --- methods ------------------------------------------------------------------------------------

struct Point {
  double x = 0;
  double y = 0;
  std::optional<std::string> label;  // may be left out
  WEBSHOCKET_FIELDS(Point, x, y, label)
};

class Methods : public ws::Handler {
 public:
  Methods() {
    rpc("add", [](int a, int b) { return a + b; }).params("a", {"b", 5});
    rpc("move", &Methods::move).params("point", "by").doc("Moves a point to the right.");
    rpc("find", [](std::string name, std::optional<int> limit) {
      return name + ", at most " + std::to_string(limit.value_or(10));
    }).params("name", "limit");
    rpc("count", [](const ws::Values& args, const ws::KeywordValues& kwargs) {
      return ws::to_json(ws::map("args", args.size(), "kwargs", kwargs.size()));
    });
    rpc("withdraw", &Methods::withdraw);
  }

 private:
  Point move(Point point, double by) {
    point.x += by;
    return point;
  }
  void withdraw(ws::Connection&, int amount) {
    if (amount > 100) throw ws::RpcError("You have 100.");  // the client reads exactly this
    // void: the client gets null
  }
};

void try_methods() {
  ws::FakeShard<Methods> shard;
  auto& ann = shard.connect();
  expect(shard.call(ann, "add", 1, 2).as<int>() == 3, "1 + 2");
  expect(shard.call(ann, "add", 1).as<int>() == 6, "a default");
  expect(shard.call(ann, "move", Point{1, 2, {}}, 3).as<Point>().x == 4, "a struct, in and out");
  expect(shard.call(ann, "find", "x").as<std::string>() == "x, at most 10", "an optional");
  auto named = shard.call_with(ann, "add", {}, ws::Document::of(ws::map("a", 2, "b", 2)));
  expect(named.as<int>() == 4, "arguments by name");
  expect(shard.call(ann, "count", 1, 2, 3).as<std::string>() == R"({"args":3,"kwargs":0})", "args");
  const auto refused = shard.call(ann, "withdraw", 500);
  expect(refused.error() == ws::RpcErrorCode::application_error, "an error of the application");
  expect(refused.error_text() == "You have 100.", "its text");
  expect(shard.call(ann, "add", "x").error() == ws::RpcErrorCode::invalid_params, "a wrong type");
}

// --- sessions, predicates, rate limits ----------------------------------------------------------

struct Account {
  std::string team;
  bool admin = false;
};

class Rules : public ws::Handler {
 public:
  Rules() {
    rpc("login", &Rules::login).params("team", {"admin", false});
    rpc("typing", &Rules::typing).require(ws::Has<Account>()).rate_limit(3, "1s");
    rpc("wipe", [] { return "done"; }).require(ws::Is(&Account::admin));
    rpc("cheer", [] { return "go red!"; })
        .require(
            ws::All(ws::IsEqual(&Account::team, "red"), ws::Any(ws::Has("hat"), ws::Is("loud"))));
    rpc("enter", [] { return "in"; })
        .require(ws::where(
            [](const ws::Connection& conn, int age) {
              const ws::Scalar* born = conn.find("age");
              return born != nullptr && born->get<std::int64_t>() != nullptr &&
                     *born->get<std::int64_t>() >= age;
            },
            18));
    rpc("guess", [](int number) { return number == 42; }).rate_limit(5, 1min, {.disconnect = true});
  }

 private:
  void login(ws::Connection& conn, std::string team, bool admin) {
    conn.session<Account>() = {std::move(team), admin};  // typed: for what the program decides on
    conn["age"] = 18;                                    // by key: for what is decided at run time
  }
  void typing(ws::Connection& conn) {
    publish("typing", conn.uid().to_string(), {.exclude = conn, .predicate = ws::Has<Account>()});
  }
};

void try_rules() {
  ws::FakeShard<Rules> shard;
  auto& ann = shard.connect();
  expect(shard.call(ann, "wipe").error() == ws::RpcErrorCode::access_denied, "not for strangers");
  shard.call(ann, "login", "red");
  expect(shard.call(ann, "wipe").error() == ws::RpcErrorCode::access_denied, "nor for members");
  expect(shard.call(ann, "cheer").error() == ws::RpcErrorCode::access_denied, "no hat, not loud");
  ann["hat"] = "a big one";
  expect(shard.call(ann, "cheer").as<std::string>() == "go red!", "a hat");
  expect(shard.call(ann, "enter").as<std::string>() == "in", "of age");
  shard.call(ann, "login", "red", true);
  expect(shard.call(ann, "wipe").as<std::string>() == "done", "admins may");
  for (int i = 0; i < 3; ++i) shard.call(ann, "typing");
  expect(shard.call(ann, "typing").error() == ws::RpcErrorCode::rate_limit_exceeded, "3 a second");
  shard.advance(1s);
  expect(!shard.call(ann, "typing").error(), "and again");
  for (int i = 0; i < 6; ++i) shard.call(ann, "guess", i);
  expect(ann.close_code() == ws::CloseCode::try_again_later, "too many guesses");
}

// --- channels -----------------------------------------------------------------------------------

class News : public ws::Handler {
 public:
  News() {
    rpc("follow", &News::follow).params("topics");
    rpc("post", &News::post).params("topic", "text");
  }

 private:
  void follow(ws::Connection& conn, std::vector<std::string> topics) {
    // All of them or none: false if there would be more than Config::max_subscribed_channels.
    if (!conn.subscribe(topics)) throw ws::RpcError("Five topics are enough.");
  }
  bool post(ws::Connection& conn, std::string topic, std::string text) {
    return publish(topic, ws::map("from", conn.uid().to_string(), "text", text), {.exclude = conn});
  }
};

void try_channels() {
  ws::FakeShard<News> shard;
  auto& ann = shard.connect();
  auto& bob = shard.connect(ws::Format::json);
  shard.call(ann, "follow", std::vector<std::string>{"sports.*", "sports.chess"});
  expect(shard.call(bob, "post", "sports.chess", "mate").as<bool>(), "posted");
  expect(ann.sent().size() == 1, "one copy, though a name and a pattern match");
  expect(ann.sent()[0]->channel == "sports.chess", "the channel, not the pattern");
  expect(bob.sent().empty(), "not to the one who posted");
}

// --- what can be sent ---------------------------------------------------------------------------

struct Celsius {
  double degrees = 0;
};
void webshocket_write(ws::Sink& sink, const Celsius& value) { sink.real(value.degrees); }
bool webshocket_read(const ws::Value& from, Celsius& to) {
  const auto degrees = from.get<double>();
  if (degrees) to.degrees = *degrees;
  return degrees.has_value();
}

void try_values() {
  const Celsius mild{21.5};
  const auto document = ws::from_json(ws::to_json(ws::map(
      "list", std::vector<int>{1, 2}, "names", std::map<std::string, int>{{"a", 1}}, "now", mild)));
  const ws::Value& root = document.root();
  expect(root["list"][1].as<int>() == 2, "a list");
  expect(root["names"]["a"].get<int>() == 1, "a map");
  expect(root["now"].as<Celsius>().degrees == 21.5, "a type of one's own");
  expect(!root["list"].get<std::string>(), "get() gives nothing for another type");
  expect(root["none"]["at"]["all"].is_null(), "what is not there is null");
}

// --- around calls, time, background -------------------------------------------------------------

class Audited : public ws::Handler {
 public:
  Audited() {
    rpc("work", [] { return 1; });
  }

  void on_start() override {
    beat_ = every(10s, [this] { broadcast(ws::map("clients", client_count())); });
  }
  ws::RpcDecision before_rpc(const ws::RpcCall& call) override {
    if (closed_) return ws::RpcDecision::reject("closed for today");
    calls_[call.method.name()] += 1;
    return ws::RpcDecision::proceed();
  }
  void after_rpc(const ws::RpcCall& call, const ws::RpcOutcome& outcome) override {
    if (outcome.duration > 1s) log(ws::LogLevel::warning, call.method.name() + " was slow");
  }
  void close() {
    closed_ = true;
    beat_.cancel();
  }

 private:
  ws::TimerHandle beat_;
  std::map<std::string, int> calls_;
  bool closed_ = false;
};

void try_around() {
  ws::FakeShard<Audited> shard;
  auto& ann = shard.connect();
  shard.advance(20s);
  expect(ann.sent().size() == 2, "two beats");
  shard.handler().close();
  expect(shard.call(ann, "work").error_text() == "closed for today", "rejected");
  shard.advance(20s);
  expect(ann.sent().size() == 2, "no more beats");
}

// --- ticks --------------------------------------------------------------------------------------

ws::Config arena_config() {
  ws::Config config;
  config.channel_ticks = {{.channels = "world.*", .tick = 20ms}};
  return config;
}

class Arena : public ws::Handler {
 public:
  Arena() { rpc("move", &Arena::move).params("x", "y"); }
  void on_connect(ws::Connection& conn) override { conn.subscribe("world.1"); }

 private:
  void move(ws::Connection& conn, int x, int y) {
    const std::string player = conn.uid().to_string();
    publish("world.1", ws::map("player", player, "x", x, "y", y), {.key = player});
  }
};

void try_ticks() {
  ws::FakeShard<Arena> shard(arena_config());
  auto& ann = shard.connect();
  shard.call(ann, "move", 1, 2);
  expect(ann.sent().size() == 1, "she sees herself move");
}

// --- raw connections ----------------------------------------------------------------------------

class Game : public ws::Handler {
 public:
  ws::Upgrade on_upgrade(const ws::UpgradeRequest&) override { return ws::Upgrade::accept().raw(); }
  void on_connect(ws::Connection& conn) override { conn.subscribe("world"); }

  void on_message(ws::Connection&, std::span<const std::byte> message, ws::Opcode) override {
    publish("world", message);  // to raw subscribers the bytes alone, to others a packet
  }
};

void try_raw() {
  ws::FakeShard<Game> shard;
  auto& ann = shard.connect(ws::Format::raw);
  auto& bob = shard.connect(ws::Format::raw);
  const std::vector<std::byte> delta{std::byte{1}, std::byte{2}};
  shard.receive_raw(ann, delta);
  expect(bob.sent().size() == 1 && bob.sent()[0]->data.bytes().size() == 2, "the bytes");
}

}  // namespace

int main() {
  try_events();
  try_methods();
  try_rules();
  try_channels();
  try_values();
  try_around();
  try_ticks();
  try_raw();
  std::cout << (failures == 0 ? "all as said\n" : "some of it is not so\n");
  return failures == 0 ? 0 : 1;
}
