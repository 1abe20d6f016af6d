// The pull style: accept a connection, receive from it, on threads of your own. With an argument it
// listens on that port; without one it tries itself on a shard without sockets.

#include <webshocket/testing.hpp>
#include <webshocket/webshocket.hpp>

#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <utility>

namespace ws = webshocket;
using namespace std::chrono_literals;

/// Owns its connection; when it returns, the connection is closed with 1000.
void serve_one(ws::PullConnection conn) {
  try {
    for (;;) {
      const ws::OwnedPacket packet = conn.recv(1min);
      conn.send(packet->data);
    }
  } catch (const ws::ConnectionClosedError&) {  // the client has left
  } catch (const ws::ReceiveTimeoutError&) {    // or has nothing to say
  }
}

void serve(std::uint16_t port) {
  ws::Server server({.port = port});  // without a handler: QueueHandler
  server.start();
  for (;;) {
    try {
      std::thread(serve_one, server.accept()).detach();
    } catch (const ws::ReceiveTimeoutError&) {  // nobody came for 30 s
    }
  }
}

int main(int argc, char** argv) {
  if (argc > 1) serve(static_cast<std::uint16_t>(std::stoi(argv[1])));

  ws::FakeShard<ws::QueueHandler> shard;
  auto& client = shard.connect();
  shard.receive(client, "hello");
  ws::PullConnection conn = shard.accept();
  shard.run_beside([&] { conn.send(conn.recv()->data); });
  shard.settle();
  const bool echoed = client.sent().size() == 1 && client.sent()[0]->data.string() == "hello";
  std::cout << (echoed ? "all as said\n" : "some of it is not so\n");
  return echoed ? 0 : 1;
}
