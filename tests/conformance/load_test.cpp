// Much at once on one connection.

#include <algorithm>

#include "tests/conformance/servers.hpp"

namespace webshocket::test {
namespace {

constexpr Dialect kDialects[] = {Dialect::msgpack, Dialect::json, Dialect::generic};

// A sanitizer keeps what was freed, for a while.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kSlack = 256U << 20U;
#else
constexpr std::size_t kSlack = 0;
#endif

std::string blob(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i % 251);
  return bytes;
}

}  // namespace

TEST_CASE("a thousand sleeping calls hold up nobody, and every one is answered") {
  on_each_shard_count([](std::uint16_t port) {
    WsClient client(port);
    WsClient other(port, Dialect::json);
    std::vector<std::string> ids;
    std::string burst;
    for (int i = 0; i < 1'000; ++i) {
      auto [payload, id] = client.request("sleep", "[300]");
      burst += binary_frame(payload);
      ids.push_back(std::move(id));
    }
    client.peer().send(burst);
    CHECK(client.call("add", "[2,3]") == "5");
    CHECK(other.call("add", "[2,3]") == "5");
    CHECK_FALSE(client.has_response(ids.back()));
    for (const std::string& id : ids) REQUIRE(client.answer(id) == "\"slept\"");
    CHECK(client.events_before_now().empty());
  });
}

TEST_CASE("five thousand messages in one burst") {
  on_each_shard_count([](std::uint16_t port) {
    for (const Dialect dialect : kDialects) {
      WsClient client(port, dialect);
      std::string burst;
      for (int i = 0; i < 5'000; ++i) {
        const auto [payload, id] = client.request("echo", "[" + std::to_string(i) + "]");
        burst += binary_frame(payload);
      }
      client.peer().send(burst);
      for (int i = 0; i < 5'000; ++i) {
        REQUIRE(client.answer("c" + std::to_string(i + 1)) == std::to_string(i));
      }
      burst.clear();
      for (int i = 0; i < 5'000; ++i) burst += binary_frame("!");
      client.peer().send(burst);
      for (int i = 0; i < 5'000; ++i) REQUIRE(client.event() == "4 \"IQ==\"");
    }
  });
}

TEST_CASE("sixteen MiB both ways") {
  // With the envelope, and in JSON the base64, the message stays below 16 MiB.
  constexpr std::size_t kLarge = (16U << 20U) - 64;
  const std::string bytes = blob(kLarge);
  on_each_shard_count([&](std::uint16_t port) {
    RawPeer raw = open_peer(port, {.path = "/raw/echo"});
    const std::string limit = blob(16U << 20U);
    raw.send(binary_frame(limit));
    CHECK((raw.read_message() == limit));
    // In fragments too.
    std::string fragments;
    for (std::size_t i = 0; i < bytes.size(); i += 65'536) {
      fragments += SentFrame{.opcode = i == 0 ? kBinary : kContinuation,
                             .payload = bytes.substr(i, 65'536),
                             .fin = i + 65'536 >= bytes.size()}
                       .bytes();
    }
    raw.send(fragments);
    CHECK((raw.read_message() == bytes));

    RawPeer msgpack = open_peer(port, options_of(Dialect::msgpack));
    std::string packet = from_hex("82a6736f7572636504a464617461c6");
    for (const int shift : {24, 16, 8, 0}) packet += static_cast<char>(kLarge >> shift);
    packet += bytes;
    msgpack.send(binary_frame(packet));
    CHECK((msgpack.read_message() == packet));

    RawPeer json = open_peer(port, options_of(Dialect::json));
    const std::string text = R"({"source":4,"data":")" + std::string(kLarge, 'x') + "\"}";
    json.send(text_frame(text));
    CHECK((json.read_message() == text));

    WsClient client(port);
    const std::string call = client.start("blob", "[16777216]");
    const OwnedPacket reply = client.response(call);
    CHECK(reply->response()->response.size() == 16U << 20U);
    check_alive(port);
  });
}

TEST_CASE("a stream of 100,000 items to a reader that takes its time costs bounded memory") {
  constexpr int kItems = 100'000;
  for (const unsigned shards : kShardCounts) {
    CAPTURE(shards);
    ServerProcess& server = shared_server(shards);
    WsClient client(server.port(), kDialects[shards % 3]);
    client.peer().shrink_receive_buffer(16 * 1024);
    WsClient other(server.port());
    const std::size_t before = server.resident_bytes();
    const std::string id = client.start("count", "[" + std::to_string(kItems) + "]");
    std::size_t most = before;
    for (int i = 0; i < kItems; ++i) {
      const OwnedPacket packet = client.response(id);
      REQUIRE(packet->response()->response.integer() == i);
      if (i % 5'000 != 0) continue;
      CHECK(other.call("add", "[2,3]") == "5");
      most = std::max(most, server.resident_bytes());
    }
    CHECK(client.response(id)->response()->is_end);
    CHECK(most < before + (8U << 20U) + kSlack);
  }
}

TEST_CASE("ten streams that nobody reads cost bounded memory") {
  for (const unsigned shards : kShardCounts) {
    CAPTURE(shards);
    ServerProcess& server = shared_server(shards);
    WsClient other(server.port());
    const std::size_t before = server.resident_bytes();
    Clients clients = connect_many(server.port(), 10, kDialects);
    for (const auto& client : clients) client->start("count", "[1000000000]");
    for (int i = 0; i < 300; ++i) REQUIRE(other.call("add", "[2,3]") == "5");
    CHECK(server.resident_bytes() < before + (32U << 20U) + kSlack);
    clients.clear();
    check_alive(server.port());
  }
}

TEST_CASE("a client that calls and never reads is held, not fed") {
  for (const unsigned shards : {1U, 8U}) {
    CAPTURE(shards);
    ServerProcess& server = shared_server(shards);
    WsClient greedy(server.port());
    std::string burst;
    for (int i = 0; i < 64; ++i) burst += binary_frame(greedy.request("blob", "[65536]").first);
    // 4 MiB of answers, in a socket and an outbox that nobody empties.
    greedy.peer().send(burst);
    WsClient other(server.port());
    for (int i = 0; i < 100; ++i) REQUIRE(other.call("add", "[2,3]") == "5");
    for (int i = 0; i < 64; ++i) {
      REQUIRE(greedy.response("c" + std::to_string(i + 1))->response()->response.size() == 65'536);
    }
  }
}

}  // namespace webshocket::test
