// The end of connections, and of servers.

#include <signal.h>

#include "tests/conformance/servers.hpp"

namespace webshocket::test {
namespace {

const UpgradeOptions kKinds[] = {{.subprotocol = "webshocket.v1"},
                                 {.subprotocol = "webshocket.v1.json"},
                                 {},
                                 {.path = "/raw/echo"}};

template <class Body>
void on_each_kind(Body body) {
  on_each_shard_count([&](std::uint16_t port) {
    for (const UpgradeOptions& options : kKinds) {
      CAPTURE(options.path);
      CAPTURE(options.subprotocol);
      body(port, options);
    }
  });
}

}  // namespace

TEST_CASE("legal codes are echoed with their reason, then the connection ends") {
  on_each_kind([](std::uint16_t port, const UpgradeOptions& options) {
    for (const unsigned code : {1000U, 1001U, 1002U, 1003U, 1007U, 1008U, 1009U, 1010U, 1011U,
                                1012U, 1013U, 1014U, 3000U, 3999U, 4000U, 4999U}) {
      for (const std::string& reason :
           {std::string(), std::string("because \xc3\xa9"), std::string(123, 'r')}) {
        RawPeer peer = open_peer(port, options);
        peer.send(close_frame(code, reason));
        CHECK(peer.read_close_and_end() == Close{code, reason});
      }
    }
  });
}

TEST_CASE("a CLOSE without a body is answered by an empty one or by 1000") {
  on_each_kind([](std::uint16_t port, const UpgradeOptions& options) {
    RawPeer peer = open_peer(port, options);
    peer.send(close_frame(0));
    const Close close = peer.read_close_and_end();
    CHECK((close == Close{} || close == Close{1000, ""}));
  });
}

TEST_CASE("illegal codes get 1002 that names them") {
  on_each_kind([](std::uint16_t port, const UpgradeOptions& options) {
    for (const unsigned code : {0U, 1U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 1100U, 1999U,
                                2000U, 2999U, 5000U, 9999U, 65535U}) {
      CAPTURE(code);
      RawPeer peer = open_peer(port, options);
      const std::string body = {static_cast<char>(code >> 8U), static_cast<char>(code & 0xFFU)};
      peer.send(SentFrame{.opcode = kClose, .payload = body + "why"});
      const Close close = peer.read_close_and_end();
      CHECK(close.code == 1002);
      CHECK(close.reason.find(std::to_string(code)) != std::string::npos);
    }
  });
}

TEST_CASE("what was sent before a CLOSE is answered, what comes behind it is not") {
  on_each_shard_count([](std::uint16_t port) {
    RawPeer peer = open_peer(port, {.path = "/raw/echo"});
    std::string bytes;
    for (int i = 0; i < 20; ++i) bytes += text_frame(std::to_string(i));
    peer.send(bytes + close_frame(1000, "done") + text_frame("late") +
              SentFrame{.opcode = kPing}.bytes());
    for (int i = 0; i < 20; ++i) REQUIRE(peer.read_message() == std::to_string(i));
    CHECK(peer.read_close_and_end() == Close{1000, "done"});
  });
}

TEST_CASE("a server that closed still reads the answer, and nothing else is answered") {
  on_each_shard_count([](std::uint16_t port) {
    WsClient client(port, Dialect::json);
    client.start("kick");
    CHECK(client.peer().read_close() == Close{1000, ""});
    const auto [payload, id] = client.request("add", "[2,3]");
    client.peer().send(text_frame(payload) + SentFrame{.opcode = kPing}.bytes());
    CHECK(client.peer().absorb());
    CHECK(client.peer().unread() == 0);
    client.peer().send(close_frame(1000));
    client.peer().read_end();
  });
}

TEST_CASE("a peer that goes without a word harms nobody") {
  on_each_kind([](std::uint16_t port, const UpgradeOptions& options) {
    for (const bool hard : {false, true}) {
      RawPeer peer = open_peer(port, options);
      peer.send(SentFrame{.payload = "half", .fin = false});
      if (hard) {
        peer.reset();
      } else {
        peer.half_close();
        peer.read_end();
      }
    }
    check_alive(port);
  });
}

TEST_CASE("SIGTERM and SIGINT close every connection with 1001 and end with 0") {
  for (const unsigned shards : kShardCounts) {
    for (const int number : {SIGTERM, SIGINT}) {
      CAPTURE(shards);
      CAPTURE(number);
      ServerProcess server(conformance_program(),
                           {"--port", "0", "--shards", std::to_string(shards)});
      const std::uint16_t port = server.port();
      std::vector<RawPeer> peers;
      for (std::size_t i = 0; i < 24; ++i) peers.push_back(open_peer(port, kKinds[i % 4]));
      RawPeer unfinished(port);
      unfinished.send("GET / HTTP/1.1\r\n");
      WsClient busy(port, Dialect::json);
      const std::string call = busy.start("sleep", "[200]");
      CHECK(busy.call("add", "[2,3]") == "5");
      server.signal(number);
      for (RawPeer& peer : peers) {
        CHECK(peer.read_close() == Close{1001, ""});
        peer.send(close_frame(1001));
        peer.read_end();
      }
      // A call that was accepted is answered first.
      CHECK(busy.answer(call) == "\"slept\"");
      CHECK(busy.peer().read_close() == Close{1001, ""});
      busy.peer().send(close_frame(1001));
      busy.peer().read_end();
      while (unfinished.absorb()) {
      }
      CHECK(server.wait() == 0);
      CHECK_THROWS_AS(RawPeer{port}, PeerError);
    }
  }
}

TEST_CASE("a second signal does not wait for those who do not answer") {
  ServerProcess server(conformance_program(), {"--port", "0", "--shards", "2"});
  RawPeer silent = open_peer(server.port());
  WsClient busy(server.port(), Dialect::json);
  busy.start("sleep", "[3600000]");
  CHECK(busy.call("add", "[2,3]") == "5");
  server.signal(SIGTERM);
  CHECK(silent.read_close() == Close{1001, ""});
  server.signal(SIGTERM);
  CHECK(server.wait() == 0);
}

}  // namespace webshocket::test
