// How much a client may send, and how slowly.

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Config;
using webshocket::Connection;
using webshocket::Handler;
using webshocket::per_shard;
using webshocket::Stream;
using webshocket::Upgrade;
using webshocket::test::binary_frame;
using webshocket::test::Close;
using webshocket::test::Dialect;
using webshocket::test::eventually;
using webshocket::test::open_peer;
using webshocket::test::RawPeer;
using webshocket::test::SentFrame;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;
using namespace std::chrono_literals;

namespace {

class Echo : public Handler {
 public:
  Echo() {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
    rpc("count", &Echo::count);
    rpc("join", [](Connection& c, std::string name) { return c.subscribe(name); });
  }
  Upgrade on_upgrade(const webshocket::UpgradeRequest& request) override {
    auto answer = Upgrade::accept();
    return request.path == "/raw" ? std::move(answer).raw() : std::move(answer);
  }
  void on_message(Connection& connection, std::span<const std::byte> message,
                  webshocket::Opcode) override {
    connection.send(message);
  }

 private:
  Stream<int> count(Connection&) { co_yield 1; }
};

struct Fixture {
  explicit Fixture(Config config) : server(one_shard(std::move(config)), per_shard<Echo>()) {}
  static Config one_shard(Config config) {
    config.shards = 1;
    return config;
  }
  webshocket::Stats::Shard total() { return server->stats().total; }
  std::uint16_t port() const { return server.port(); }
  ServerFixture server;
};

const Close kTooFast{1013, "Rate limit exceeded: message_rate"};

}  // namespace

TEST_CASE("calls beyond message_rate are answered so, each of them") {
  Fixture f({.message_rate = 1, .message_burst = 5});
  for (const Dialect dialect : {Dialect::msgpack, Dialect::json}) {
    CAPTURE(static_cast<int>(dialect));
    WsClient client(f.port(), dialect);
    std::string burst;
    std::vector<std::string> ids;
    for (int i = 0; i < 100; ++i) {
      auto [payload, id] = client.request("echo", "[1]");
      burst += binary_frame(payload);
      ids.push_back(id);
    }
    const std::uint64_t before = f.total().messages_limited;
    client.peer().send(burst);
    std::uint64_t refused = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const std::string answer = client.answer(ids[i]);
      if (i < 5) CHECK(answer == "1");
      if (answer == "1") continue;
      CHECK(answer == "-32000 Rate limit exceeded: message_rate");
      ++refused;
    }
    CHECK(refused > 0);
    CHECK(f.total().messages_limited - before == refused);
  }
}

TEST_CASE("another packet beyond message_rate, or a raw message, is the end") {
  Fixture f({.message_rate = 1, .message_burst = 2});
  WsClient client(f.port());
  client.send("1");
  client.send("2");
  client.send("3");
  client.send("4");
  CHECK(client.peer().read_close() == kTooFast);
  RawPeer raw = open_peer(f.port(), {.path = "/raw"});
  std::string burst;
  for (int i = 0; i < 20; ++i) burst += binary_frame("x");
  raw.send(burst);
  CHECK(raw.read_until_close() == kTooFast);
  CHECK(f.total().messages_limited == 2);
  CHECK(f.total().protocol_errors == 0);
}

TEST_CASE("a call of a stream beyond message_rate ends like one") {
  Fixture f({.message_rate = 1, .message_burst = 1});
  WsClient client(f.port());
  const auto [first, first_id] = client.request("echo", "[1]");
  const auto [second, second_id] = client.request("count");
  client.peer().send(binary_frame(first) + binary_frame(second));
  CHECK(client.answer(first_id) == "1");
  const auto packet = client.response(second_id);
  CHECK(packet->response()->is_stream);
  CHECK(packet->response()->is_end);
  CHECK(packet->response()->error == webshocket::RpcErrorCode::rate_limit_exceeded);
}

TEST_CASE("more bytes than receive_rate wait in the socket, and none is lost") {
  Fixture f({.receive_rate = 1'000'000, .receive_burst = 200'000});
  RawPeer peer = open_peer(f.port(), {.path = "/raw"});
  WsClient other(f.port());
  const auto start = std::chrono::steady_clock::now();
  const std::string message(100'000, 'm');
  for (int i = 0; i < 10; ++i) peer.send(binary_frame(message));
  CHECK(other.call("echo", "[1]") == "1");
  for (int i = 0; i < 10; ++i) REQUIRE(peer.read_message() == message);
  // Never faster than that, however slow the machine: what comes behind the burst and a read.
  CHECK(std::chrono::steady_clock::now() - start >= 500ms);
  CHECK(f.total().receives_paused > 0);
  peer.send(SentFrame{.opcode = webshocket::test::kPing, .payload = "still"});
  CHECK(peer.read_frame().payload == "still");
  peer.send(webshocket::test::close_frame(1000));
  CHECK(peer.read_close_and_end().code == 1000);
}

TEST_CASE("a message that is not whole in time is the end of its connection") {
  Fixture f({.message_timeout = 50ms});
  WsClient other(f.port());
  const Close late{1008, "The message takes too long (message_timeout)"};
  const std::string frame = binary_frame(std::string(1'000, ' '));
  const std::vector<std::string> beginnings{
      frame.substr(0, 1),
      frame.substr(0, 7),
      frame.substr(0, 500),
      SentFrame{.payload = "fragment", .fin = false}.bytes(),
      SentFrame{.opcode = webshocket::test::kPing, .payload = "ping"}.bytes().substr(0, 3),
      frame + frame.substr(0, 100),
  };
  for (const std::string& beginning : beginnings) {
    CAPTURE(beginning.size());
    RawPeer peer = open_peer(f.port(), {.path = "/raw"});
    peer.send(beginning);
    CHECK(peer.read_until_close() == late);
    peer.read_end();
  }
  CHECK(f.total().messages_timed_out == beginnings.size());
  eventually([&] { return f.total().inbound_bytes == 0; }, "their memory");
  CHECK(other.call("echo", "[1]") == "1");
}

TEST_CASE("a message that is whole in time stops the clock, whatever came before") {
  Fixture f({.message_timeout = 10s});
  RawPeer peer = open_peer(f.port(), {.path = "/raw"});
  const std::string frame = binary_frame(std::string(1'000, ' '));
  for (int i = 0; i < 100; ++i) {
    peer.send_split(frame, 300);
    CHECK(peer.read_message().size() == 1'000);
  }
  CHECK(f.total().messages_timed_out == 0);
}

TEST_CASE("what was refused is counted under its limit") {
  Fixture f({.max_depth = 5, .max_elements = 40, .max_subscribed_channels = 1});
  WsClient client(f.port(), Dialect::json);
  client.send_payload(R"({"source":4,"data":[[[[[[1]]]]]]})");
  std::string many = "0";
  for (int i = 0; i < 40; ++i) many += ",1";
  client.send_payload(R"({"source":4,"data":[)" + many + "]}");
  client.send_payload("{");
  CHECK(client.call("join", R"(["a"])") == "true");
  CHECK(client.call("join", R"(["b"])") == "false");
  CHECK(f.total().packets_unknown == 3);
  CHECK(f.total().packets_too_deep == 1);
  CHECK(f.total().packets_too_large == 1);
  CHECK(f.total().subscriptions_refused == 1);
}
