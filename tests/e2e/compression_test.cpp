// permessage-deflate over real sockets: what is agreed on, what is sent so, what it costs.

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <webshocket/client.hpp>
#include <webshocket/client_loop.hpp>
#include <webshocket/server.hpp>

#include "tests/support/deflating_peer.hpp"
#include "tests/support/own_process.hpp"
#include "tests/support/raw_echo.hpp"
#include "tests/support/server_fixture.hpp"

using namespace webshocket;
using webshocket::test::Close;
using webshocket::test::compressible;
using webshocket::test::DeflatingPeer;
using webshocket::test::eventually;
using webshocket::test::kDeflateOffer;
using webshocket::test::kText;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;

namespace {

constexpr Compression kOn{.enabled = true};
constexpr Compression kContexts{.enabled = true, .context = true, .peer_context = true};
constexpr unsigned kMarked = 4;

class Room : public Handler {
 public:
  Room() {
    rpc("echo", [](Value x) { return x; }).params("x");
    rpc("join", [](Connection& c) { return c.subscribe("room"); });
    rpc("say", [this](std::string text) { return publish("room", text); }).params("text");
  }
  void on_receive(Connection& connection, const Packet& packet) override {
    connection.send(packet.data);
  }
  Upgrade on_upgrade(const UpgradeRequest& request) override {
    return request.path == "/raw" ? Upgrade::accept().raw() : Upgrade::accept();
  }
  void on_connect(Connection& connection) override {
    if (connection.format() == Format::raw) connection.subscribe("room");
  }
  /// A word of command, or an echo.
  void on_message(Connection& connection, std::span<const std::byte> message,
                  Opcode opcode) override {
    const std::string_view text(reinterpret_cast<const char*>(message.data()), message.size());
    if (text == "never") {
      connection.send(compressible(5000), {.compress = Compress::never});
    } else if (text == "always") {
      connection.send("tiny tiny tiny tiny tiny tiny tiny", {.compress = Compress::always});
    } else if (text == "peer") {
      std::jthread([peer = connection.peer()] { peer.send(compressible(5000)); });
    } else {
      webshocket::test::echo(connection, message, opcode);
    }
  }
};

RawPeer raw_peer(std::uint16_t port, std::string_view extensions = kDeflateOffer) {
  return webshocket::test::open_peer(port, {.path = "/raw", .headers = {std::string(extensions)}});
}

std::string extensions(std::uint16_t port, const std::string& offer) {
  RawPeer peer(port);
  const auto answer = peer.upgrade(
      {.path = "/raw", .headers = {"Sec-WebSocket-Extensions: permessage-deflate" + offer}});
  return answer.header("Sec-WebSocket-Extensions").value_or("-");
}

}  // namespace

TEST_CASE("it is off unless it is asked for, by both") {
  ServerFixture off({.shards = 1}, per_shard<Room>());
  CHECK(extensions(off.port(), "") == "-");
  ServerFixture on({.shards = 1, .compression = kOn}, per_shard<Room>());
  CHECK(extensions(on.port(), "; client_max_window_bits") ==
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  CHECK(extensions(on.port(), "; nonsense") == "-");
  RawPeer plain = webshocket::test::open_peer(on.port(), {.path = "/raw"});
  plain.send(webshocket::test::text_frame(compressible(5000)));
  CHECK(plain.read_frame().rsv == 0);
}

TEST_CASE("every size there and back, with and without contexts, in one frame and in many") {
  for (const Compression& settings : {kOn, kContexts}) {
    ServerFixture server({.shards = 2, .max_message = 20'000'000, .compression = settings},
                         per_shard<Room>());
    RawPeer peer = raw_peer(server.port());
    DeflatingPeer own;
    // Once to the largest: what zlib takes for it is most of this file's time.
    std::vector<std::size_t> sizes{0, 1, 127, 128, 1000, 65'536, 65'537, 1'000'000};
    if (settings.context) sizes.push_back(16'777'216);
    for (const std::size_t size : sizes) {
      CAPTURE(size);
      CAPTURE(settings.context);
      const std::string text = compressible(size, 1);
      if (!settings.context) own.forget();
      peer.send(own.frame(kText, text));
      unsigned rsv = 0;
      CHECK(own.read_message(peer, &rsv) == text);
      CHECK(rsv == (size >= 128 ? kMarked : 0));
    }
    // As fragments, with a PING in between.
    if (!settings.context) own.forget();
    const std::string text = compressible(100'000, 2);
    const std::string body = own.deflate(text);
    peer.send({.opcode = kText, .payload = body.substr(0, 100), .fin = false, .rsv = kMarked});
    peer.send({.opcode = webshocket::test::kPing, .payload = "in between"});
    peer.send({.opcode = webshocket::test::kContinuation, .payload = body.substr(100)});
    CHECK(peer.read_frame().payload == "in between");
    CHECK(own.read_message(peer) == text);
    const Stats stats = server->stats();
    CHECK(stats.total.messages_inflated == sizes.size() + 1);
    CHECK(stats.total.inflate_bytes_in < stats.total.inflate_bytes_out / 2);
    CHECK(stats.total.messages_deflated == sizes.size() - 3 + 1);
    CHECK(stats.total.deflate_bytes_out < stats.total.deflate_bytes_in / 2);
  }
}

TEST_CASE("a context is worth its memory: what was said before is not said again") {
  ServerFixture server({.shards = 1, .compression = kContexts}, per_shard<Room>());
  RawPeer peer = raw_peer(server.port());
  DeflatingPeer own;
  const std::string text = compressible(2000);
  std::vector<std::size_t> sizes;
  for (int i = 0; i < 3; ++i) {
    peer.send(own.frame(kText, text));
    const auto frames = peer.read_message_frames();
    sizes.push_back(frames.front().payload.size());
    CHECK(own.inflate(frames.front().payload) == text);
  }
  CHECK(sizes[1] < sizes[0] / 4);
  CHECK(sizes[2] < sizes[0] / 4);
}

TEST_CASE("the sender chooses for one message") {
  ServerFixture server({.shards = 1, .compression = kOn}, per_shard<Room>());
  RawPeer peer = raw_peer(server.port());
  DeflatingPeer own;
  const auto ask = [&](std::string_view word) {
    own.forget();
    peer.send(webshocket::test::text_frame(word));
    unsigned rsv = 0;
    const std::string answer = own.read_message(peer, &rsv);
    return std::pair(rsv, answer.size());
  };
  CHECK(ask("never") == std::pair(0U, std::size_t{5000}));
  CHECK(ask("always") == std::pair(kMarked, std::size_t{34}));
  CHECK(ask("peer") == std::pair(kMarked, std::size_t{5000}));
  CHECK(server->stats().shared_deflated == 1);
  own.forget();
  REQUIRE(server->publish("room", compressible(5000), {.compress = Compress::never}));
  unsigned rsv = kMarked;
  CHECK(own.read_message(peer, &rsv).size() == 5000);
  CHECK(rsv == 0);
}

TEST_CASE("a publish to a thousand is compressed once, for each encoding that somebody wants") {
  constexpr std::size_t kEach = 250;
  ServerFixture server({.shards = 2, .compression = kOn}, per_shard<Room>());
  const ClientLoop loop;
  std::atomic<std::size_t> arrived{0};
  const std::string text = compressible(4000);
  ClientConfig config;
  config.compression = kOn;
  config.on_receive = [&](Client&, const Packet& packet) {
    if (packet.data.string() == text) ++arrived;
  };
  std::vector<std::unique_ptr<Client>> clients;
  const auto add = [&](Format format, bool compressed) {
    config.format = format;
    config.compression.enabled = compressed;
    const auto shared = std::make_shared<const ClientConfig>(config);
    for (std::size_t i = 0; i < kEach; ++i) {
      clients.push_back(std::make_unique<Client>(server.uri(), shared, loop));
      clients.back()->connect();
      CHECK(clients.back()->call<bool>("join"));
    }
  };
  add(Format::msgpack, true);
  add(Format::msgpack, true);
  add(Format::json, true);
  add(Format::json, false);
  CHECK(server->stats().shared_deflated == 0);

  REQUIRE(server->publish("room", text));
  eventually([&] { return arrived == 4 * kEach; }, "a thousand deliveries");
  const Stats stats = server->stats();
  CHECK(stats.shared_deflated == 2);  // msgpack, JSON
  CHECK(stats.shared_deflate_bytes_in > 2 * text.size());
  CHECK(stats.shared_deflate_bytes_out < text.size());
  CHECK(stats.total.deliveries == 4 * kEach);
  CHECK(stats.total.messages_deflated == 0);  // none of it was for one alone

  REQUIRE(server->broadcast("short"));
  REQUIRE(server->publish("room", text, Is("nobody")));
  CHECK(server->stats().shared_deflated == 4);
}

TEST_CASE("what all get and what one gets take turns, though one end remembers") {
  ServerFixture server({.shards = 1, .compression = kContexts}, per_shard<Room>());
  RawPeer peer = raw_peer(server.port());
  DeflatingPeer own;
  for (unsigned i = 0; i < 20; ++i) {
    const std::string text = compressible(3000, i / 3);
    peer.send(own.frame(kText, text));
    CHECK(own.read_message(peer) == text);
    if (i % 2 == 0) continue;
    REQUIRE(server->publish("room", text));
    unsigned rsv = 0;
    CHECK(own.read_message(peer, &rsv) == text);
    CHECK(rsv == kMarked);
  }
}

TEST_CASE("a peer with a small window") {
  for (const Compression& settings : {kOn, kContexts}) {
    ServerFixture server({.shards = 1, .compression = settings}, per_shard<Room>());
    RawPeer peer = raw_peer(server.port(),
                            "Sec-WebSocket-Extensions: permessage-deflate; "
                            "server_max_window_bits=9; client_max_window_bits=9");
    DeflatingPeer own(9);
    unsigned rsv = 0;
    for (const std::size_t size : {300UL, 500UL, 20'000UL}) {
      if (!settings.context) own.forget();
      const std::string text = compressible(size);
      peer.send(own.frame(kText, text));
      CHECK(own.read_message(peer, &rsv) == text);
      // Who remembers has a compressor of its own, for that window.
      CHECK(rsv == (size <= 512 || settings.context ? kMarked : 0));
    }
    // What is made for all looks back too far.
    REQUIRE(server->publish("room", compressible(20'000)));
    CHECK(own.read_message(peer, &rsv) == compressible(20'000));
    CHECK(rsv == 0);
  }
}

TEST_CASE("a bomb is refused at the limit, before it takes memory") {
  constexpr std::size_t kGigabyte = 1UL << 30;
  ServerFixture server({.shards = 1, .max_message = 1'000'000, .compression = kOn},
                       per_shard<Room>());
  // A gigabyte of zeros, in a megabyte: made piece by piece.
  std::string bomb;
  {
    DeflatingPeer own;
    const std::string zeros(16 * 1024 * 1024, '\0');
    for (std::size_t made = 0; made < kGigabyte; made += zeros.size()) {
      bomb += own.deflate(zeros);
      if (made + zeros.size() < kGigabyte) bomb += std::string("\x00\x00\xff\xff", 4);
    }
  }
  CHECK(bomb.size() < 1'100'000);
  REQUIRE(bomb.size() > 1'000'000);
  RawPeer bystander = raw_peer(server.port());
  const std::size_t before = webshocket::test::resident_bytes();
  for (const std::size_t size : {bomb.size(), std::size_t{900'000}}) {
    RawPeer peer = raw_peer(server.port());
    // The rest of the second one would not change anything: it is refused for what comes out.
    peer.send({.opcode = kText, .payload = bomb.substr(0, size), .rsv = kMarked});
    CHECK(peer.read_until_close() ==
          Close{1009, "Message is larger than 1000000 bytes (max_message)"});
  }
  CHECK(webshocket::test::resident_bytes() < before + 64 * 1024 * 1024);
  CHECK(server->stats().total.protocol_errors == 2);
  bystander.send(webshocket::test::text_frame("still here"));
  CHECK(bystander.read_message() == "still here");
}

TEST_CASE("an empty message behind a compressed one") {
  Compression settings = kContexts;
  settings.threshold = 0;
  ServerFixture server({.shards = 1, .compression = settings}, per_shard<Room>());
  RawPeer peer = raw_peer(server.port());
  DeflatingPeer own;
  for (const std::size_t size : {200UL, 0UL, 0UL, 300UL}) {
    peer.send(own.frame(kText, compressible(size)));
    CHECK(own.read_message(peer) == compressible(size));
  }
}

TEST_CASE("what one read brings may become much, and is taken in several turns, in order") {
  ServerFixture server({.shards = 1, .compression = kOn}, per_shard<Room>());
  RawPeer peer = raw_peer(server.port());
  RawPeer bystander = raw_peer(server.port());
  DeflatingPeer own;
  std::string bytes;
  std::vector<std::string> messages;
  for (unsigned i = 0; i < 40; ++i) {
    messages.push_back(std::string(200'000, static_cast<char>('a' + i % 26)) + std::to_string(i));
    own.forget();
    bytes += own.frame(kText, messages.back()).bytes();
  }
  bytes += webshocket::test::close_frame(1000);
  REQUIRE(bytes.size() < 64 * 1024);
  peer.send(bytes);
  bystander.send(webshocket::test::text_frame("in between"));
  CHECK(bystander.read_message() == "in between");
  for (const std::string& message : messages) {
    own.forget();
    CHECK(own.read_message(peer) == message);
  }
  CHECK(peer.read_close_and_end().code == 1000);
  CHECK(server->stats().total.parked_bytes == 0);
}

TEST_CASE("what cannot be inflated closes with 1007, and hurts nobody else") {
  ServerFixture server({.shards = 1, .compression = kOn}, per_shard<Room>());
  RawPeer bystander = raw_peer(server.port());
  for (const std::string& body : {std::string("\xff\xff\xff"), std::string("\x06\x00\x00", 3)}) {
    RawPeer peer = raw_peer(server.port());
    peer.send({.opcode = kText, .payload = body, .rsv = kMarked});
    CHECK(peer.read_close_and_end() == Close{1007, "Compressed message cannot be inflated"});
  }
  DeflatingPeer own;
  bystander.send(own.frame(kText, compressible(500)));
  CHECK(own.inflate(bystander.read_frame().payload) == compressible(500));
}

TEST_CASE("our client and our server, calls and packets, whatever each end remembers") {
  for (const Compression& at_server : {Compression{}, kOn, kContexts}) {
    for (const Compression& at_client : {Compression{}, kOn, kContexts}) {
      for (const Format format : {Format::msgpack, Format::json}) {
        CAPTURE(at_server.enabled);
        CAPTURE(at_server.context);
        CAPTURE(at_client.enabled);
        CAPTURE(at_client.context);
        ServerFixture server({.shards = 1, .compression = at_server}, per_shard<Room>());
        ClientConfig config;
        config.format = format;
        config.compression = at_client;
        Client client(server.uri(), config);
        client.connect();
        CHECK(client.call<bool>("join"));
        for (unsigned i = 0; i < 4; ++i) {
          const std::string text = compressible(3000, i / 2);
          CHECK(client.call<std::string>("echo", text) == text);
          client.send(text, i % 2 == 0 ? Compress::automatic : Compress::never);
          CHECK(client.recv()->data.string() == text);
          CHECK(client.call<bool>("say", text));
          CHECK(client.recv()->data.string() == text);
        }
        const Stats stats = server->stats();
        const bool compressed = at_server.enabled && at_client.enabled;
        CHECK(stats.total.messages_inflated == (compressed ? 4 + 2 + 4 : 0));
        CHECK(stats.total.messages_deflated == (compressed ? 4 + 4 : 0));
        CHECK(stats.shared_deflated == (compressed ? 4 : 0));
      }
    }
  }
}

TEST_CASE("settings that zlib does not have") {
  const auto refusal = [](Compression compression) -> std::string {
    try {
      Server server({.compression = compression}, per_shard<Room>());
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(refusal({.level = 0}) == "Config::compression.level = 0: from 1 to 9");
  CHECK(refusal({.window_bits = 8}) == "Config::compression.window_bits = 8: from 9 to 15");
  CHECK(refusal({.window_bits = 16}) == "Config::compression.window_bits = 16: from 9 to 15");
  CHECK(refusal({.memory_level = 10}) == "Config::compression.memory_level = 10: from 1 to 9");
  ClientConfig config;
  config.compression.level = 10;
  CHECK_THROWS_AS(Client("ws://127.0.0.1:1", config), UsageError);
}
