// Bad input on one connection, while a hundred others on the same shards notice nothing.

#include <algorithm>

#include "tests/conformance/servers.hpp"

namespace webshocket::test {
namespace {

constexpr Dialect kDialects[] = {Dialect::msgpack, Dialect::json, Dialect::generic};

/// A hundred well-behaved connections that answer calls and get every publish.
class Crowd {
 public:
  explicit Crowd(std::uint16_t port) : port_(port), clients_(connect_many(port, 100, kDialects)) {
    for (const auto& client : clients_) REQUIRE(client->call("join", R"(["crowd"])") == "true");
  }

  void check() {
    WsClient publisher(port_);
    const std::string number = std::to_string(++published_);
    REQUIRE(publisher.call("publish", "[\"crowd\"," + number + "]") == "null");
    std::vector<std::string> ids;
    for (const auto& client : clients_) ids.push_back(client->start("add", "[" + number + ",1]"));
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      REQUIRE(clients_[i]->answer(ids[i]) == std::to_string(published_ + 1));
      REQUIRE(clients_[i]->event() == "2 crowd " + number);
      REQUIRE(clients_[i]->event_count() == 0);
    }
  }

 private:
  std::uint16_t port_;
  Clients clients_;
  int published_ = 0;
};

template <class Body>
void beside_a_crowd(Body body) {
  on_each_shard_count([&](std::uint16_t port) {
    Crowd crowd(port);
    crowd.check();
    body(port, crowd);
    crowd.check();
  });
}

std::string repeated(std::string_view piece, std::size_t count) {
  std::string text;
  text.reserve(piece.size() * count);
  for (std::size_t i = 0; i < count; ++i) text += piece;
  return text;
}

void check_unknown(std::uint16_t port, Dialect dialect, const std::string& payload) {
  WsClient client(port, dialect);
  client.peer().send(binary_frame(payload));
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(payload.data()),
                                         payload.size());
  CHECK((client.event() == "4 " + to_json(bytes)));
  CHECK(client.call("add", "[2,3]") == "5");
}

}  // namespace

TEST_CASE("deep nesting comes back raw") {
  constexpr std::size_t kDeep = 100'000;
  beside_a_crowd([](std::uint16_t port, Crowd& crowd) {
    const std::string head = from_hex("82a6736f7572636504a464617461");
    for (const Dialect dialect : {Dialect::json, Dialect::generic}) {
      check_unknown(port, dialect, repeated("[", kDeep));
      check_unknown(port, dialect, repeated("{\"a\":", kDeep));
      check_unknown(port, dialect,
                    R"({"source":4,"data":)" + repeated("[", kDeep) + repeated("]", kDeep) + "}");
      check_unknown(port, dialect,
                    R"({"source":4,"unknown":)" + repeated("[", kDeep) + repeated("]", kDeep) +
                        R"(,"data":1})");
    }
    crowd.check();
    check_unknown(port, Dialect::msgpack, repeated("\x91", kDeep));
    check_unknown(port, Dialect::msgpack, head + repeated("\x91", kDeep) + "\xc0");
    check_unknown(port, Dialect::msgpack, head + repeated("\x81\x01", kDeep) + "\xc0");
    check_unknown(port, Dialect::msgpack, head + repeated(from_hex("dd00000001"), kDeep) + "\xc0");
  });
}

TEST_CASE("headers that promise what never comes") {
  beside_a_crowd([](std::uint16_t port, Crowd&) {
    for (const char* hex :
         {"82a6736f7572636504a464617461dbffffffff", "82a6736f7572636504a464617461c6ffffffff00",
          "82a6736f7572636504a464617461ddffffffff01", "82a6736f7572636504a464617461dfffffffff01",
          "dfffffffff", "82a6736f7572636504a464617461c9ffffffff00",
          "82a6736f7572636505a372706384a474797065a772657175657374a66d6574686f64a3616464a461726773dd"
          "7fffffff"}) {
      CAPTURE(hex);
      check_unknown(port, Dialect::msgpack, from_hex(std::string_view(hex)));
    }
  });
}

TEST_CASE("invalid UTF-8 in every place") {
  beside_a_crowd([](std::uint16_t port, Crowd&) {
    check_unknown(port, Dialect::msgpack, from_hex("82a6736f7572636504a464617461a2c328"));
    check_unknown(port, Dialect::msgpack, from_hex("82a6736f7572636504a464617461a3eda080"));
    check_unknown(port, Dialect::msgpack, from_hex("82a6736f7572636504a26461a2c328"));
    check_unknown(port, Dialect::msgpack,
                  from_hex("82a6736f7572636504a464617461"
                           "81a1ff01"));
    check_unknown(port, Dialect::generic, "{\"source\":4,\"data\":\"\xc3\x28\"}");
    check_unknown(port, Dialect::generic, "{\"source\":4,\"\xff\":1}");
    check_unknown(port, Dialect::generic, "\xef\xbb\xbf{\"source\":4}");
    RawPeer peer = open_peer(port, options_of(Dialect::json));
    peer.send(text_frame("{\"source\":4,\"data\":\"\xc3\x28\"}"));
    const Close close = peer.read_close_and_end();
    CHECK(close.code == 1007);
    CHECK_FALSE(close.reason.empty());
  });
}

TEST_CASE("every byte of good packets, wrong") {
  const std::string packets[] = {
      from_hex("82a6736f7572636504a464617461a26869"),
      from_hex("82a6736f7572636505a372706385a474797065a772657175657374a66d6574686f64a3616464a461726"
               "773920203a66b776172677380a763616c6c5f6964a9363831626637396531"),
      R"({"source":4,"data":{"a":[1,2.5,"x"]}})",
      R"({"source":5,"rpc":{"type":"request","method":"add","args":[2,3],"call_id":"c"}})"};
  on_each_shard_count([&](std::uint16_t port) {
    Crowd crowd(port);
    for (const std::string& packet : packets) {
      const bool msgpack = packet[0] == '\x82';
      RawPeer peer = open_peer(port, options_of(msgpack ? Dialect::msgpack : Dialect::generic));
      const std::string fence = msgpack ? from_hex("82a6736f7572636504a464617461a5666e63652e")
                                        : R"({"source":4,"data":"fnce."})";
      for (std::size_t i = 0; i < packet.size(); ++i) {
        std::string bytes = binary_frame(packet.substr(0, i));
        for (const char wrong : {'\0', '\xff', '\xc1', '"', '}'}) {
          std::string damaged = packet;
          damaged[i] = wrong;
          bytes += binary_frame(damaged);
        }
        // Whatever they come to, the connection goes on.
        peer.send(bytes + binary_frame(fence));
        while (peer.read_message() != fence) {
        }
      }
    }
    crowd.check();
  });
}

TEST_CASE("violations of the framing on many connections at once") {
  beside_a_crowd([](std::uint16_t port, Crowd& crowd) {
    const std::string faults[] = {SentFrame{.opcode = 3}.bytes(),
                                  SentFrame{.rsv = 4}.bytes(),
                                  SentFrame{.payload = "x", .key = std::nullopt}.bytes(),
                                  SentFrame{.length_bytes = 8, .length = 1ULL << 62}.bytes(),
                                  SentFrame{.length_bytes = 8, .length = ~0ULL}.bytes(),
                                  SentFrame{.opcode = kPing, .fin = false}.bytes(),
                                  text_frame("\xff"),
                                  close_frame(1005)};
    std::vector<RawPeer> peers;
    for (int round = 0; round < 10; ++round) {
      for (const std::string& fault : faults) {
        peers.push_back(open_peer(port, options_of(kDialects[peers.size() % 3])));
        peers.back().send(fault);
      }
    }
    crowd.check();
    for (RawPeer& peer : peers) {
      const Close close = peer.read_close_and_end();
      CHECK((close.code == 1002 || close.code == 1007 || close.code == 1009));
      CHECK_FALSE(close.reason.empty());
    }
  });
}

TEST_CASE("those who send half of something and stay, and those who go at once") {
  beside_a_crowd([](std::uint16_t port, Crowd& crowd) {
    std::vector<RawPeer> peers;
    const std::string frame = binary_frame(std::string(1'000, 'x'));
    for (std::size_t i = 0; i < 60; ++i) {
      if (i % 3 == 0) {
        peers.emplace_back(port);
        peers.back().send("GET / HTTP/1.1\r\nHost:");
      } else {
        peers.push_back(open_peer(port));
        peers.back().send(frame.substr(0, i));
      }
    }
    crowd.check();
    for (std::size_t i = 0; i < peers.size(); i += 2) peers[i].reset();
    crowd.check();
  });
}

TEST_CASE("a flood of what cannot be decoded") {
  beside_a_crowd([](std::uint16_t port, Crowd& crowd) {
    WsClient client(port);
    client.peer().send(repeated(binary_frame("\xc1"), 3'000));
    crowd.check();
    for (int i = 0; i < 3'000; ++i) REQUIRE(client.event() == "4 \"wQ==\"");
    CHECK(client.call("add", "[2,3]") == "5");
  });
}

}  // namespace webshocket::test
