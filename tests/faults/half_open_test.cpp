// Peers whose line is cut: no FIN, no RST, nothing. In a network namespace whose loopback goes
// down; whoever comes by a unix socket is served on.

#include <doctest/doctest.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include <webshocket/server.hpp>

#include "tests/support/own_network.hpp"
#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Config;
using webshocket::Connection;
using webshocket::Handler;
using webshocket::per_shard;
using webshocket::test::binary_frame;
using webshocket::test::eventually;
using webshocket::test::open_peer;
using webshocket::test::OwnNetwork;
using webshocket::test::RawPeer;
using webshocket::test::SentFrame;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;
using namespace std::chrono_literals;

namespace {

class Rooms : public Handler {
 public:
  Rooms() {
    rpc("join", [](Connection& c, std::string name) { return c.subscribe(name); });
  }
  void on_message(Connection& connection, std::span<const std::byte> message,
                  webshocket::Opcode) override {
    connection.send(message);
  }
  webshocket::Upgrade on_upgrade(const webshocket::UpgradeRequest& request) override {
    auto upgrade = webshocket::Upgrade::accept();
    return request.path == "/raw" ? std::move(upgrade).raw() : upgrade;
  }
};

/// Comes by a unix socket, and has an echo.
class Neighbour {
 public:
  explicit Neighbour(std::string path)
      : path_(std::move(path)), peer_(RawPeer::adopt(connect(path_))) {
    peer_.upgrade({.path = "/raw"});
  }
  void check_echo() {
    peer_.send(binary_frame("still here"));
    CHECK(peer_.read_message() == "still here");
  }
  Neighbour another() const { return Neighbour(path_); }

 private:
  static int connect(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    return fd;
  }

  std::string path_;
  RawPeer peer_;
};

using Body = std::function<void(ServerFixture&, const OwnNetwork&, Neighbour&)>;

/// With a server that listens in a network of its own, and on a unix socket.
void with_network(Config config, const Body& body) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("webshocket-half-open-" + std::to_string(::getpid()) + ".sock");
  const bool is_allowed = OwnNetwork::run([&](const OwnNetwork& network) {
    webshocket::Listener tcp;
    tcp.host = "127.0.0.1";
    webshocket::Listener unix_socket;
    unix_socket.unix_path = path.string();
    config.listeners = {tcp, unix_socket};
    config.shards = 1;
    ServerFixture server(std::move(config), per_shard<Rooms>());
    Neighbour neighbour(path.string());
    body(server, network, neighbour);
  });
  if (is_allowed) return;
  std::puts("skipped: no network namespaces here (they take CAP_SYS_ADMIN)");
  std::fflush(stdout);
  constexpr int kCannotRun = 77;  // as ctest knows it
  std::_Exit(kCannotRun);
}

}  // namespace

TEST_CASE("who vanished while idle is asked, and let go") {
  with_network({.ping_interval = 100ms, .ping_timeout = 100ms, .close_timeout = 100ms},
               [](ServerFixture& server, const OwnNetwork& network, Neighbour& neighbour) {
                 RawPeer gone = open_peer(server.port());
                 network.cut();
                 // The neighbour does not answer PINGs either.
                 eventually([&] { return server->stats().total.connections == 0; }, "its end");
                 CHECK(server->stats().total.pings_unanswered == 2);
                 neighbour.another().check_echo();
               });
}

TEST_CASE(
    "who vanished while it was published to keeps no more than its outbox, and not for long") {
  with_network({.ping_interval = 0ms, .write_timeout = 200ms, .outbox_limit = 300'000},
               [](ServerFixture& server, const OwnNetwork& network, Neighbour& neighbour) {
                 WsClient gone(server.port());
                 gone.call("join", R"(["room"])");
                 network.cut();
                 const std::string text(100'000, 'x');
                 // The kernel's buffers are full when the outbox is not empty any more.
                 eventually(
                     [&] {
                       server->publish("room", text);
                       return server->stats().total.outbox_bytes != 0 ||
                              server->stats().total.connections == 1;
                     },
                     "the outbox to fill up");
                 neighbour.check_echo();
                 eventually([&] { return server->stats().total.connections == 1; }, "its end");
                 eventually([&] { return server->stats().total.outbox_bytes == 0; }, "its memory");
                 const auto total = server->stats().total;
                 CHECK(total.deliveries == total.deliveries_written + total.deliveries_dropped +
                                               total.deliveries_discarded);
                 neighbour.check_echo();
               });
}

TEST_CASE("who vanished in the middle of something is not waited for") {
  with_network(
      {.handshake_timeout = 300ms,
       .ping_interval = 0ms,
       .close_timeout = 100ms,
       .message_timeout = 300ms},
      [](ServerFixture& server, const OwnNetwork& network, Neighbour& neighbour) {
        RawPeer in_message = open_peer(server.port());
        in_message.send(SentFrame{.payload = "half", .length = 1000});
        RawPeer in_upgrade(server.port());
        in_upgrade.send("GET / HTTP/1.1\r\nHo");
        eventually([&] { return server->stats().total.inbound_bytes != 0; }, "the half message");
        eventually([&] { return server->stats().total.handshakes_pending == 1; }, "the upgrade");
        network.cut();
        eventually([&] { return server->stats().total.connections == 1; }, "the first one's end");
        eventually([&] { return server->stats().total.handshakes_pending == 0; }, "the other's");
        CHECK(server->stats().total.messages_timed_out == 1);
        CHECK(server->stats().total.handshakes_timed_out == 1);
        eventually([&] { return server->stats().total.inbound_bytes == 0; }, "their memory");
        neighbour.check_echo();
      });
}

TEST_CASE("a drain does not wait for those who have vanished") {
  with_network({.ping_interval = 0ms, .close_timeout = 200ms, .drain_timeout = 1h},
               [](ServerFixture& server, const OwnNetwork& network, Neighbour& neighbour) {
                 RawPeer gone = open_peer(server.port());
                 neighbour.check_echo();
                 network.cut();
                 server->close();
                 CHECK(server->state() == webshocket::ServerState::closed);
               });
}

TEST_CASE("a line that comes back in time has lost nothing") {
  with_network({}, [](ServerFixture& server, const OwnNetwork& network, Neighbour& neighbour) {
    WsClient back(server.port());
    back.call("join", R"(["room"])");
    network.cut();
    for (int i = 0; i < 3; ++i) server->publish("room", i);
    eventually([&] { return server->stats().total.deliveries == 3; }, "the publishes");
    neighbour.check_echo();
    network.connect();
    for (int i = 0; i < 3; ++i) CHECK(back.event() == "2 room " + std::to_string(i));
  });
}
