// A server that goes, and another one that has its socket.

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <webshocket/server.hpp>

#include "engine/listening.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Config;
using webshocket::Handler;
using webshocket::Listener;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::engine::Listening;
using webshocket::test::eventually;
using webshocket::test::PeerError;
using webshocket::test::RawPeer;
using webshocket::test::RefusedError;

namespace {

class Silent : public Handler {};

std::unique_ptr<Server> serve_at(Listener listener, std::size_t shards) {
  Config config;
  config.listeners = {std::move(listener)};
  config.shards = shards;
  auto server = std::make_unique<Server>(std::move(config), per_shard<Silent>());
  server->start();
  return server;
}

/// Clients that come one after the other, until told to stop.
struct Stream {
  explicit Stream(std::uint16_t to) : port(to) {
    for (int i = 0; i < 3; ++i) threads.emplace_back([this] { come(); });
  }
  ~Stream() { end(); }
  void end() {
    stop = true;
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  }
  void come() {
    while (!stop) {
      try {
        RawPeer peer(port);
        const int status = peer.request().status;
        ++(status == 101 ? served : put_off);
        if (status == 101) peer.send(webshocket::test::close_frame(1000));
      } catch (const RefusedError&) {
        ++refused;
      } catch (const PeerError&) {
        ++reset;
      }
    }
  }

  const std::uint16_t port;
  std::atomic<bool> stop{false};
  std::atomic<int> served{0};
  std::atomic<int> put_off{0};
  std::atomic<int> refused{0};
  std::atomic<int> reset{0};  ///< or ended otherwise, before there was an answer
  std::vector<std::thread> threads;
};

}  // namespace

TEST_CASE("servers come and go at one socket, and nobody is refused") {
  for (const std::size_t shards : {1U, 3U}) {
    CAPTURE(shards);
    const Listening launcher(Listener{}, {});
    const Listener passed{.fd = launcher.fd()};
    auto server = serve_at(passed, shards);
    CHECK(server->port() == launcher.port());
    Stream clients(launcher.port());
    for (int i = 0; i < 5; ++i) {
      const int served = clients.served;
      eventually([&] { return clients.served > served + 20; }, "clients");
      server->close();
      server = serve_at(passed, shards);
    }
    clients.end();
    CHECK(clients.refused == 0);
    CHECK(clients.reset == 0);
  }
}

TEST_CASE("with reuse_port the next server is there before the last one goes") {
  auto server = serve_at({.reuse_port = true}, 2);
  const Listener same{.port = server->port(), .reuse_port = true};
  Stream clients(server->port());
  for (int i = 0; i < 3; ++i) {
    const int served = clients.served;
    eventually([&] { return clients.served > served + 20; }, "clients");
    auto next = serve_at(same, 2);
    server->close();
    server = std::move(next);
  }
  clients.end();
  CHECK(clients.served > 60);
  // The kernel may have reset some that it had queued at the last one, but somebody always listens.
  CHECK(clients.refused == 0);
}
