// What a client receives: how much of it waits, in which pieces, and whether anybody is there.

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <future>
#include <set>
#include <string>
#include <vector>

#include <webshocket/client.hpp>

#include "tests/support/raw_server.hpp"
#include "tests/support/server_fixture.hpp"

using webshocket::Client;
using webshocket::ClientConfig;
using webshocket::CloseCode;
using webshocket::ConnectionClosedError;
using webshocket::Format;
using webshocket::Packet;
using webshocket::ReceivePolicy;
using webshocket::test::eventually;
using webshocket::test::Frame;
using webshocket::test::kBinary;
using webshocket::test::kContinuation;
using webshocket::test::kPing;
using webshocket::test::kPong;
using webshocket::test::kText;
using webshocket::test::play;
using webshocket::test::RawPeer;
using webshocket::test::RawServer;
using webshocket::test::read_call;
using webshocket::test::response;
using webshocket::test::served;
using webshocket::test::served_close;
using webshocket::test::served_text;
using namespace std::chrono_literals;

namespace {

ClientConfig in_json(ReceivePolicy policy, std::size_t queue) {
  return {.format = Format::json,
          .call_timeout = 1h,
          .close_timeout = 1h,
          .packet_queue_size = queue,
          .receive_policy = policy};
}

std::string packet(int number, const std::string& rest = {}) {
  return served_text(R"({"source":4,"data":[)" + std::to_string(number) + R"(,")" + rest + "\"]}");
}

int number_of(const webshocket::OwnedPacket& packet) { return packet->data[0].as<int>(); }

void see_off(RawPeer& peer) {
  CHECK(peer.read_until_close().code == 1000);
  peer.send(served_close(1000));
}

}  // namespace

TEST_CASE("nothing is lost to a slow reader, and TCP holds the server up") {
  constexpr int kPackets = 5'000;
  RawServer server;
  std::promise<void> stuck;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    const std::string rest(10'000, 'x');
    bool was_stuck = false;
    for (int i = 0; i < kPackets; ++i) {
      const std::string bytes = packet(i, rest);
      std::size_t sent = peer.send_some(bytes);
      if (sent < bytes.size() && !was_stuck) {
        was_stuck = true;
        stuck.set_value();
      }
      peer.send(std::string_view(bytes).substr(sent));
    }
    see_off(peer);
  });
  Client client(server.uri(), in_json(ReceivePolicy::wait, 8));
  client.connect();
  stuck.get_future().wait();
  for (int i = 0; i < kPackets; ++i) REQUIRE(number_of(client.recv(1h)) == i);
  CHECK(client.stats().packets_dropped == 0);
  CHECK(client.stats().messages_received == kPackets);
  client.close();
  script.get();
}

TEST_CASE("a queue that is full drops what is new, or what is old") {
  RawServer server;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    const std::string id = read_call(peer, "sync");
    for (int i = 0; i < 100; ++i) peer.send(packet(i));
    peer.send(response(id, "1"));
    see_off(peer);
  });
  SUBCASE("new") {
    Client client(server.uri(), in_json(ReceivePolicy::drop_new, 8));
    client.connect();
    CHECK(client.call<int>("sync") == 1);
    CHECK(client.stats().packets_dropped == 92);
    for (int i = 0; i < 8; ++i) CHECK(number_of(client.recv()) == i);
    CHECK_THROWS_AS((void)client.recv(1ms), webshocket::ReceiveTimeoutError);
    client.close();
  }
  SUBCASE("old") {
    Client client(server.uri(), in_json(ReceivePolicy::drop_old, 8));
    client.connect();
    CHECK(client.call<int>("sync") == 1);
    CHECK(client.stats().packets_dropped == 92);
    for (int i = 92; i < 100; ++i) CHECK(number_of(client.recv()) == i);
    CHECK_THROWS_AS((void)client.recv(1ms), webshocket::ReceiveTimeoutError);
    client.close();
  }
  script.get();
}

TEST_CASE("a queue is full by its bytes too, and its first packet always fits") {
  RawServer server;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    const std::string id = read_call(peer, "sync");
    for (int i = 0; i < 3; ++i) peer.send(packet(i, std::string(2'000, 'x')));
    peer.send(response(id, "1"));
    see_off(peer);
  });
  ClientConfig config = in_json(ReceivePolicy::drop_new, 0);
  config.packet_queue_bytes = 1'000;
  Client client(server.uri(), config);
  client.connect();
  CHECK(client.call<int>("sync") == 1);
  CHECK(client.stats().packets_dropped == 2);
  CHECK(number_of(client.recv()) == 0);
  client.close();
  script.get();
}

TEST_CASE("a call that waits behind packets that nobody takes says so") {
  RawServer server;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    for (int i = 0; i < 3; ++i) peer.send(packet(i));
    peer.send(response(read_call(peer, "late"), "1"));
    see_off(peer);
  });
  Client client(server.uri(), in_json(ReceivePolicy::wait, 2));
  client.connect();
  eventually([&] { return client.stats().messages_received == 2; }, "the queue to be full");
  std::string why;
  try {
    client.call<int>(webshocket::CallOptions{.timeout = 20ms}, "late");
  } catch (const webshocket::RpcTimeoutError& error) {
    why = error.what();
  }
  CHECK(why.find("nothing is read, because packets wait that nobody takes") != std::string::npos);
  for (int i = 0; i < 3; ++i) CHECK(number_of(client.recv()) == i);
  client.close();
  script.get();
}

TEST_CASE("what cannot be decoded is handed out as it came") {
  RawServer server;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    peer.send(served_text("not json") + served_text(R"({"source":4,"data":1})"));
    see_off(peer);
  });
  Client client(server.uri(), in_json(ReceivePolicy::wait, 8));
  client.connect();
  const auto unknown = client.recv();
  CHECK(unknown->source == webshocket::PacketSource::unknown);
  CHECK(unknown->data.bytes().size() == 8);
  CHECK(client.recv()->data.as<int>() == 1);
  client.close();
  script.get();
}

TEST_CASE("fragments with PINGs between them make one message") {
  RawServer server;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    for (unsigned i = 0; i < 5; ++i) {
      peer.send(served({.opcode = i == 0 ? kText : kContinuation,
                        .payload = std::string(1'000, static_cast<char>('a' + i)),
                        .fin = i == 4}));
      if (i == 4) break;
      peer.send(served({.opcode = kPing, .payload = std::to_string(i)}));
      const Frame pong = peer.read_frame();
      CHECK(pong.opcode == kPong);
      CHECK(pong.payload == std::to_string(i));
    }
    see_off(peer);
  });
  Client client(server.uri(), {.format = Format::raw, .close_timeout = 1h});
  client.connect();
  const auto message = client.recv(1h);
  CHECK(message->data.string().size() == 5'000);
  CHECK(message->data.string()[4'999] == 'e');
  client.close();
  script.get();
}

TEST_CASE("a client's messages leave in fragments of 64 KiB, each masked with its own key") {
  RawServer server;
  const std::vector<std::vector<std::size_t>> expected{
      {0}, {65'535}, {65'536}, {65'536, 1}, {65'536, 65'536}, {65'536, 65'536, 65'536, 3'452}};
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    std::set<std::string> keys;
    std::size_t frames_seen = 0;
    for (const auto& sizes : expected) {
      const auto frames = peer.read_message_frames();
      REQUIRE(frames.size() == sizes.size());
      for (std::size_t i = 0; i < frames.size(); ++i) {
        CHECK(frames[i].payload == std::string(sizes[i], 'm'));
        CHECK(frames[i].masked);
        CHECK(frames[i].opcode == (i == 0 ? kBinary : kContinuation));
        keys.insert(frames[i].key);
        ++frames_seen;
      }
    }
    CHECK(keys.size() == frames_seen);
    see_off(peer);
  });
  Client client(server.uri(), {.format = Format::raw, .close_timeout = 1h});
  client.connect();
  for (const auto& sizes : expected) {
    std::size_t total = 0;
    for (const std::size_t size : sizes) total += size;
    client.send(std::vector<std::byte>(total, std::byte{'m'}));
  }
  client.close();
  script.get();
}

TEST_CASE("a silent server is asked whether it is there, and given up if it is not") {
  RawServer server;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    for (int i = 0; i < 3; ++i) {
      const Frame ping = peer.read_frame();
      CHECK(ping.opcode == kPing);
      CHECK(ping.masked);
      peer.send(served({.opcode = kPong, .payload = ping.payload}));
    }
    CHECK(peer.read_frame().opcode == kPing);
    const webshocket::test::Close close = peer.read_close();
    CHECK(close.code == 1001);
    CHECK(close.reason == "peer has not replied to ping/heartbeat request within 0.2 second(s)");
    peer.read_end();
  });
  Client client(server.uri(), {.ping_interval = 5ms, .ping_timeout = 200ms});
  client.connect();
  try {
    (void)client.recv(1h);
    FAIL("nobody is there");
  } catch (const ConnectionClosedError& error) {
    CHECK(error.code() == CloseCode::going_away);
  }
  script.get();
}
