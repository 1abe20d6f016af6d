// What waits in the server because nobody takes it.

#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include <webshocket/queue_handler.hpp>
#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Connection;
using webshocket::Handler;
using webshocket::per_shard;
using webshocket::PullConnection;
using webshocket::QueueHandler;
using webshocket::Task;
using webshocket::test::Close;
using webshocket::test::Dialect;
using webshocket::test::eventually;
using webshocket::test::open_peer;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;
using namespace std::chrono_literals;

namespace {

class Waiting : public Handler {
 public:
  Waiting() {
    rpc("wait", &Waiting::wait);
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
  }

 private:
  Task<int> wait(Connection&) {
    co_await webshocket::sleep_for(1h);
    co_return 1;
  }
};

}  // namespace

TEST_CASE("the queue of a PullConnection has a bound of bytes, and none of them is lost") {
  constexpr int kPackets = 200;
  ServerFixture server({.shards = 1, .packet_queue_size = 0, .packet_queue_bytes = 10'000},
                       per_shard<QueueHandler>());
  WsClient client(server.port(), Dialect::json);
  PullConnection connection = server->accept();
  const std::string text(1'000, 't');
  for (int i = 0; i < kPackets; ++i) client.send('"' + text + '"');
  WsClient other(server.port());
  PullConnection of_other = server->accept();
  for (int i = 0; i < 20; ++i) {
    other.send("1");
    CHECK(of_other.recv()->data.integer() == 1);
  }
  // About ten in the queue, and as many that wait for it.
  CHECK(server->stats().total.messages_received < 20 + kPackets / 2);
  for (int i = 0; i < kPackets; ++i) REQUIRE(connection.recv()->data.string() == text);
  CHECK(server->stats().total.messages_received == 20 + kPackets);
  eventually([&] { return server->stats().total.parked_bytes == 0; }, "empty queues");
}

TEST_CASE("what waits counts with what is half received") {
  ServerFixture server({.shards = 1,
                        .inbound_total_limit = 100'000,
                        .packet_queue_size = 0,
                        .packet_queue_bytes = 0,
                        .rpc_task_limit = 1},
                       per_shard<Waiting>());
  WsClient witness(server.port());
  WsClient client(server.port());
  client.start("wait");
  const std::string data = '"' + std::string(10'000, 'd') + '"';
  for (int i = 0; i < 11; ++i) client.send(data);
  CHECK(client.peer().read_until_close() == Close{1013, "inbound_total_limit reached"});
  CHECK(server->stats().total.protocol_errors == 1);
  CHECK(server->stats().total.calls_parked >= 9);
  CHECK(witness.call("echo", "[1]") == "1");
  eventually([&] { return server->stats().total.parked_bytes == 0; }, "its memory");
}

TEST_CASE("the one too many who waits to be accepted is told why") {
  ServerFixture server({.shards = 1, .accept_queue_size = 1}, per_shard<QueueHandler>());
  const RawPeer first = open_peer(server.port());
  RawPeer second = open_peer(server.port());
  CHECK(second.read_close() ==
        Close{1013, "too many connections wait to be accepted (accept_queue_size)"});
  CHECK(server->stats().total.accepts_refused == 1);
}
