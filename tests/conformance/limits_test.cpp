// What takes time or a setting of its own: servers in this process.

#include <poll.h>

#include <atomic>
#include <chrono>
#include <numeric>

#include "tests/conformance/servers.hpp"
#include "tests/support/server_fixture.hpp"

namespace webshocket::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// What the kernel keeps of a stream; less, and TCP itself is what is slow.
constexpr int kLittle = 256 * 1024;

/// How many calls ran at once, at most.
struct Gauge {
  std::atomic<int> now = 0;
  std::atomic<int> most = 0;
  std::atomic<int> done = 0;
  std::atomic<int> streams = 0;

  void enter() {
    const int running = ++now;
    for (int seen = most; running > seen && !most.compare_exchange_weak(seen, running);) {
    }
  }
  void leave() {
    --now;
    ++done;
  }
};

struct StreamGuard {
  explicit StreamGuard(Gauge& gauge) : gauge_(gauge) { ++gauge_.streams; }
  StreamGuard(const StreamGuard&) = delete;
  ~StreamGuard() { --gauge_.streams; }
  Gauge& gauge_;
};

class Tester : public Handler {
 public:
  explicit Tester(Gauge& gauge) : gauge_(gauge) {
    rpc("add", [](std::int64_t a, std::int64_t b) { return a + b; });
    rpc("work", &Tester::work);
    rpc("failing", &Tester::failing);
    rpc("guarded", &Tester::endless).require(Is("nobody"));
    rpc("rated", &Tester::endless).rate_limit(1, "1m");
    rpc("endless", &Tester::endless);
    rpc("denied_and_rated", [] { return 1; }).require(Is("allowed")).rate_limit(1, "1m");
    rpc("allow", [](Connection& connection) { connection["allowed"] = true; });
    rpc("internal", [] { throw std::runtime_error("not for clients"); });
    rpc("close", [](Connection& connection, int code, std::string reason) {
      connection.close(static_cast<CloseCode>(code), reason);
    });
    rpc("join_all", [](Connection& connection, std::vector<std::string> names) {
      return connection.subscribe(names);
    });
    rpc("publish_all", &Tester::publish_all);
    rpc("mine", [](Connection& connection) { return connection.subscriptions(); });
    rpc("all_channels", &Tester::all_channels);
  }

  void on_receive(Connection& connection, const Packet& packet) override {
    connection.send(packet.data);
  }

 private:
  Task<int> work(Connection&, int ms) {
    gauge_.enter();
    co_await sleep_for(std::chrono::milliseconds(ms));
    gauge_.leave();
    co_return ms;
  }
  Stream<int> failing(Connection&, int after) {
    for (int i = 0; i < after; ++i) co_yield i;
    throw std::runtime_error("in the middle");
  }
  Stream<int> endless(Connection&) {
    const StreamGuard guard(gauge_);
    for (int i = 0;; ++i) co_yield i;
  }
  void publish_all(std::vector<std::string> names, Value data) { publish(names, data); }
  Task<std::size_t> all_channels(Connection&) {
    std::size_t count = 0;
    for (const std::size_t some : co_await gather(&Tester::count_channels)) count += some;
    co_return count;
  }
  std::size_t count_channels() { return channels().size(); }

  Gauge& gauge_;
};

struct Fixture {
  explicit Fixture(Config config)
      : server(with_shards(config), per_shard<Tester>(std::ref(gauge))) {}
  static Config with_shards(Config config) {
    config.shards = 2;
    return config;
  }
  std::uint16_t port() const { return server.port(); }

  Gauge gauge;
  ServerFixture server;
};

/// `RESPONSE ERROR STREAM END`
std::string part(WsClient& client, const std::string& id) {
  const OwnedPacket packet = client.response(id);
  const RpcResponse& response = *packet->response();
  return to_json(response.response) +
         (response.error ? " " + std::to_string(static_cast<int>(*response.error)) : "") +
         (response.is_stream ? " stream" : "") + (response.is_end ? " end" : "");
}

}  // namespace

TEST_CASE("a request that is not complete in time ends, however slowly it goes on") {
  const Fixture fixture({.handshake_timeout = 150ms});
  RawPeer silent(fixture.port());
  RawPeer begun(fixture.port());
  begun.send("GET / HTTP/1.1\r\nHost: x\r\n");
  RawPeer dripping(fixture.port());
  dripping.send("GET / HTTP/1.1\r\nX: ");
  WsClient open(fixture.port());
  const auto start = Clock::now();
  while (dripping.absorb()) {
    REQUIRE(Clock::now() - start < kGuard);
    pollfd entry{dripping.fd(), POLLIN, 0};
    if (::poll(&entry, 1, 5) != 0) continue;
    try {
      dripping.send("x");
    } catch (const PeerError&) {
      break;
    }
  }
  silent.read_end();
  begun.read_end();
  CHECK(open.call("add", "[2,3]") == "5");
}

TEST_CASE("upgrades are refused with 404 where no path leads") {
  const Fixture fixture({.paths = {"/chat", "/game"}});
  for (const char* path : {"/", "/chat/", "/chatter", "/CHAT"}) {
    RawPeer peer(fixture.port());
    const HttpAnswer answer = peer.request({.path = path});
    CHECK(answer.status == 404);
    CHECK_FALSE(answer.body.empty());
    peer.read_end();
  }
  open_peer(fixture.port(), {.path = "/chat"});
  open_peer(fixture.port(), {.path = "/game?level=1"});
}

TEST_CASE("silence is asked, and silence in answer is the end") {
  const Fixture fixture({.ping_interval = 100ms, .ping_timeout = 100ms});
  for (const char* subprotocol : {"webshocket.v1", ""}) {
    RawPeer peer = open_peer(fixture.port(), {.subprotocol = subprotocol});
    CHECK(peer.read_frame() == Frame{.fin = true, .opcode = kPing});
    CHECK(peer.read_close_and_end() ==
          Close{1001, "peer has not replied to ping/heartbeat request within 0.1 second(s)"});
  }
  CHECK(fixture.server.port() != 0);
}

TEST_CASE("a PONG is an answer, any number of times") {
  const Fixture fixture({.ping_interval = 50ms, .ping_timeout = 5s});
  RawPeer peer = open_peer(fixture.port());
  for (int i = 0; i < 8; ++i) {
    REQUIRE(peer.read_frame() == Frame{.fin = true, .opcode = kPing});
    peer.send(SentFrame{.opcode = kPong});
  }
}

TEST_CASE("only a PONG answers a PING") {
  const Fixture fixture({.ping_interval = 50ms, .ping_timeout = 400ms});
  RawPeer peer = open_peer(fixture.port());
  CHECK(peer.read_frame() == Frame{.fin = true, .opcode = kPing});
  peer.send(binary_frame(R"({"source":4,"data":1})"));
  CHECK(peer.read_message() == R"({"source":4,"data":1})");
  CHECK(peer.read_close().code == 1001);
}

TEST_CASE("any bytes restart the idle clock") {
  const Fixture fixture({.ping_interval = 1500ms, .ping_timeout = 5s});
  RawPeer peer = open_peer(fixture.port());
  const std::string bytes = binary_frame(std::string(100'000, 'x'));
  const auto start = Clock::now();
  // A message that never gets complete.
  for (std::size_t i = 0; Clock::now() - start < 2500ms; ++i) {
    peer.send(bytes.substr(i, 1));
    pollfd entry{peer.fd(), POLLIN, 0};
    CHECK(::poll(&entry, 1, 20) == 0);
  }
  CHECK(peer.absorb());
  CHECK(peer.unread() == 0);
  CHECK(peer.read_frame().opcode == kPing);
}

TEST_CASE("a closing server waits for the answer, but not for ever") {
  const Fixture fixture({.close_timeout = 400ms});
  WsClient patient(fixture.port());
  patient.start("close", R"([4321,"go away"])");
  CHECK(patient.peer().read_close() == Close{4321, "go away"});
  const auto start = Clock::now();
  patient.peer().read_end();
  CHECK(Clock::now() - start > 200ms);
  WsClient polite(fixture.port());
  polite.start("close", R"([1000,""])");
  CHECK(polite.peer().read_close() == Close{1000, ""});
  polite.peer().send(close_frame(1000));
  polite.peer().read_end();
}

TEST_CASE("close() of a server: 1001 to all, then it is gone") {
  Fixture fixture({});
  std::vector<RawPeer> peers;
  for (int i = 0; i < 10; ++i) peers.push_back(open_peer(fixture.port()));
  const std::uint16_t port = fixture.port();
  std::thread closer([&] { fixture.server->close(); });
  for (RawPeer& peer : peers) {
    CHECK(peer.read_close() == Close{1001, ""});
    peer.send(close_frame(1001));
    peer.read_end();
  }
  closer.join();
  CHECK_THROWS_AS(RawPeer{port}, PeerError);
}

TEST_CASE("calls beyond rpc_task_limit wait, and none is lost") {
  Fixture fixture({.rpc_task_limit = 4});
  WsClient client(fixture.port());
  WsClient other(fixture.port(), Dialect::json);
  std::vector<std::string> ids;
  for (int i = 0; i < 60; ++i) ids.push_back(client.start("work", "[5]"));
  CHECK(other.call("add", "[2,3]") == "5");
  for (const std::string& id : ids) CHECK(client.answer(id) == "5");
  CHECK(fixture.gauge.done == 60);
  CHECK(fixture.gauge.most <= 4);
  CHECK(fixture.gauge.most > 1);
  // More than the queue of waiting messages holds: reading stops, and goes on.
  std::string burst;
  std::string last;
  for (int i = 0; i < 1'500; ++i) {
    auto [payload, id] = client.request("work", "[0]");
    burst += binary_frame(payload);
    last = id;
  }
  client.peer().send(burst);
  CHECK(client.answer(last) == "0");
  eventually([&] { return fixture.gauge.done == 1'560; }, "all calls");
  CHECK(fixture.gauge.most <= 4);
}

TEST_CASE("an abort gets past the calls that wait") {
  Fixture fixture({.rpc_task_limit = 1});
  WsClient client(fixture.port());
  client.peer().shrink_receive_buffer(kLittle);
  const std::string stream = client.start("endless");
  CHECK(part(client, stream) == "0 stream");
  const std::string waiting = client.start("add", "[2,3]");
  client.start("__abort__", "[\"" + stream + "\"]");
  CHECK(client.answer(waiting) == "5");
  eventually([&] { return fixture.gauge.streams == 0; }, "the end of the stream");
}

TEST_CASE("a stream that fails, is denied, is limited") {
  const Fixture fixture({.expose_errors = true});
  WsClient client(fixture.port());
  const std::string id = client.start("failing", "[2]");
  CHECK(part(client, id) == "0 stream");
  CHECK(part(client, id) == "1 stream");
  CHECK(part(client, id) == R"("\nStream aborted: in the middle" -32603 stream end)");
  CHECK(part(client, client.start("failing", "[0]")) ==
        R"("\nStream aborted: in the middle" -32603 stream end)");
  CHECK(part(client, client.start("guarded")) ==
        R"("Access denied for RPC method 'guarded'." -32002 stream end)");
  client.peer().shrink_receive_buffer(kLittle);
  const std::string rated = client.start("rated");
  CHECK(part(client, rated) == "0 stream");
  client.start("__abort__", "[\"" + rated + "\"]");
  CHECK(part(client, client.start("rated")) ==
        R"("Rate limit exceeded for RPC method 'rated'." -32000 stream end)");
  CHECK(client.call("add", "[2,3]") == "5");
}

TEST_CASE("a stream ends with its client") {
  Fixture fixture({});
  {
    WsClient client(fixture.port());
    CHECK(part(client, client.start("endless")) == "0 stream");
    CHECK(fixture.gauge.streams == 1);
  }
  eventually([&] { return fixture.gauge.streams == 0; }, "the end of the stream");
}

TEST_CASE("internal errors keep their text to themselves; a denied call costs no rate") {
  const Fixture fixture({});
  WsClient client(fixture.port());
  CHECK(client.call("internal") == "-32603 Server error (internal)");
  for (int i = 0; i < 3; ++i) CHECK(client.call("denied_and_rated").starts_with("-32002 "));
  CHECK(client.call("allow") == "null");
  CHECK(client.call("denied_and_rated") == "1");
  CHECK(client.call("denied_and_rated").starts_with("-32000 "));
}

TEST_CASE("a list of channels is joined as a whole or not at all; each name is one packet") {
  Fixture fixture({});
  WsClient client(fixture.port());
  CHECK(client.call("join_all", R"([["a","b*","c","d","e","f"]])") == "false");
  CHECK(client.call("mine") == "[]");
  CHECK(client.call("join_all", R"([["a","b*","c","a"]])") == "true");
  CHECK(client.call("join_all", R"([["a","d","e","f"]])") == "false");
  CHECK(client.call("join_all", R"([["a","d","e"]])") == "true");
  CHECK(client.call("join_all", R"([["c","b*"]])") == "true");
  WsClient other(fixture.port(), Dialect::json);
  CHECK(other.call("publish_all", R"([["a","x","b1","d"],7])") == "null");
  CHECK(client.event() == "2 a 7");
  CHECK(client.event() == "2 b1 7");
  CHECK(client.event() == "2 d 7");
  CHECK(other.call("all_channels") == "5");
  client.close();
  eventually([&] { return fixture.server->client_count() == 1; }, "the client's leaving");
  CHECK(other.call("all_channels") == "0");
}

TEST_CASE("a slow reader of a stream costs bounded memory") {
  Fixture fixture({.outbox_limit = 256 * 1024, .outbox_low_mark = 16 * 1024});
  WsClient client(fixture.port());
  const std::string id = client.start("endless");
  CHECK(part(client, id) == "0 stream");
  WsClient other(fixture.port());
  const auto waiting = [&] { return (*fixture.server).stats().total.outbox_bytes; };
  eventually([&] { return waiting() > 0; }, "the reader's sockets to be full");
  std::size_t most = 0;
  for (int i = 0; i < 100; ++i) {
    CHECK(other.call("add", "[2,3]") == "5");
    most = std::max<std::size_t>(most, waiting());
  }
  CHECK(most < 64 * 1024);
  for (int i = 1; i < 20'000; ++i) REQUIRE(part(client, id) == std::to_string(i) + " stream");
}

}  // namespace webshocket::test
