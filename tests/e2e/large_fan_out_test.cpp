// Many recipients of much: what goes to their sockets as pages of a file, and what then does not.

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"

using webshocket::Connection;
using webshocket::Handler;
using webshocket::per_shard;
using webshocket::test::eventually;
using webshocket::test::open_peer;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;

namespace {

constexpr std::size_t kPeers = 40;

/// Everybody is in the room, and an ECHO comes back between what is published.
class Room : public Handler {
 public:
  webshocket::Upgrade on_upgrade(const webshocket::UpgradeRequest&) override {
    return webshocket::Upgrade::accept().raw();
  }
  void on_connect(Connection& connection) override { connection.subscribe("room"); }
  void on_message(Connection& connection, std::span<const std::byte> message,
                  webshocket::Opcode) override {
    connection.send(message);
  }
};

std::vector<RawPeer> open_peers(ServerFixture& server, int receive_buffer) {
  std::vector<RawPeer> peers;
  for (std::size_t i = 0; i < kPeers; ++i) {
    peers.push_back(open_peer(server.port()));
    if (receive_buffer != 0 && i % 2 == 0) peers.back().shrink_receive_buffer(receive_buffer);
  }
  eventually([&] { return server->client_count() == kPeers; }, "all to be there");
  return peers;
}

/// Of any size, and each its own.
std::string message_of(int number, std::size_t size) {
  std::string text = std::to_string(number) + ":";
  while (text.size() < size) text += static_cast<char>('a' + (text.size() * 31 + size) % 26);
  return text;
}

const std::vector<std::size_t> kSizes = {70'000, 10,     5'000, 6'000,  7'000,
                                         20'000, 20'000, 3,     16'384, 300'000};

}  // namespace

TEST_CASE("large messages to many arrive whole and in order, however much the sockets take") {
  ServerFixture server({.shards = 1, .outbox_limit = 0}, per_shard<Room>());
  std::vector<RawPeer> peers = open_peers(server, 65'536);
  std::vector<std::string> expected;
  for (int round = 0; round < 12; ++round) {
    for (const std::size_t size : kSizes) {
      expected.push_back(message_of(round, size));
      REQUIRE(server->publish("room", expected.back()));
    }
  }
  for (RawPeer& peer : peers) {
    for (const std::string& message : expected) CHECK(peer.read_message() == message);
  }
  eventually([&] { return server->stats().total.outbox_bytes == 0; }, "empty outboxes");
}

TEST_CASE("replies keep their place between large messages to many") {
  ServerFixture server({.shards = 1}, per_shard<Room>());
  std::vector<RawPeer> peers = open_peers(server, 0);
  for (int round = 0; round < 20; ++round) {
    const std::string large = message_of(round, 40'000);
    REQUIRE(server->publish("room", large));
    for (RawPeer& peer : peers) peer.send(webshocket::test::text_frame("echo"));
    for (RawPeer& peer : peers) {
      const std::string first = peer.read_message();
      const std::string second = peer.read_message();
      const bool both =
          (first == large && second == "echo") || (first == "echo" && second == large);
      CHECK(both);
    }
  }
}

TEST_CASE("recipients that hang up in the middle of it hurt nobody") {
  ServerFixture server({.shards = 1}, per_shard<Room>());
  std::vector<RawPeer> peers = open_peers(server, 65'536);
  std::vector<std::string> expected;
  for (int round = 0; round < 20; ++round) {
    expected.push_back(message_of(round, 100'000));
    REQUIRE(server->publish("room", expected.back()));
    // Only so many that it stays worth placing.
    if (round % 5 != 4) continue;
    peers.back().reset();
    peers.pop_back();
  }
  for (RawPeer& peer : peers) {
    for (const std::string& message : expected) CHECK(peer.read_message() == message);
  }
  eventually([&] { return server->client_count() == peers.size(); }, "those to be gone");
}
