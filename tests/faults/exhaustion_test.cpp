// When the process runs out of something.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Connection;
using webshocket::Handler;
using webshocket::per_shard;
using webshocket::test::eventually;
using webshocket::test::kGuard;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;
using namespace std::chrono_literals;

namespace {

/// The process has no descriptor left while this lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &normal_) == 0);
    rlimit low = normal_;
    low.rlim_cur = 256;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    for (;;) {
      const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
      if (fd < 0) break;
      fillers_.push_back(fd);
    }
  }
  ~NoDescriptors() {
    for (const int fd : fillers_) ::close(fd);
    ::setrlimit(RLIMIT_NOFILE, &normal_);
  }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit normal_{};
  std::vector<int> fillers_;
};

std::vector<int> make_sockets(int count) {
  std::vector<int> sockets;
  sockets.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    sockets.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }
  return sockets;
}

void connect_all(const std::vector<int>& sockets, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (const int fd : sockets) {
    static_cast<void>(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address));
  }
}

/// Blocks its shard until it is let go.
class Blocking : public Handler {
 public:
  explicit Blocking(std::atomic<bool>& blocked, std::atomic<bool>& go)
      : blocked_(blocked), go_(go) {
    rpc("block", [this] {
      blocked_ = true;
      blocked_.notify_all();
      go_.wait(false);
    });
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
  }
  void on_connect(Connection& connection) override { connection.subscribe("room"); }

 private:
  std::atomic<bool>& blocked_;
  std::atomic<bool>& go_;
};

}  // namespace

TEST_CASE("no descriptors: accept neither spins nor gives up, and goes on when there are some") {
  for (const std::size_t shards : {1U, 2U}) {
    CAPTURE(shards);
    std::atomic<bool> blocked = false;
    std::atomic<bool> go = true;
    ServerFixture server({.shards = shards}, per_shard<Blocking>(std::ref(blocked), std::ref(go)));
    WsClient before(server.port());
    CHECK(before.call("echo", "[1]") == "1");
    const std::vector<int> waiting = make_sockets(50);
    {
      const NoDescriptors none;
      const auto began = std::chrono::steady_clock::now();
      connect_all(waiting, server.port());
      eventually([&] { return server->stats().accept_errors >= 2; }, "accept to fail twice");
      // Each failure takes one of those who wait, and a tenth of a second on its shard. A loop
      // would have failed for all of them meanwhile.
      for (int i = 0; i < 200; ++i) REQUIRE(before.call("echo", "[2]") == "2");
      const std::uint64_t errors = server->stats().accept_errors;
      const auto pauses = (std::chrono::steady_clock::now() - began) / 100ms;
      CHECK(errors <= shards * (static_cast<std::uint64_t>(pauses) + 2));
    }
    for (const int fd : waiting) ::close(fd);
    WsClient after(server.port());
    CHECK(after.call("echo", "[3]") == "3");
    CHECK(before.call("echo", "[4]") == "4");
  }
}

TEST_CASE("a full inbox: publish says so, nobody waits, and it goes on when the handler does") {
  std::atomic<bool> blocked = false;
  std::atomic<bool> go = false;
  ServerFixture server({.shards = 1, .inbox_limit = 100'000},
                       per_shard<Blocking>(std::ref(blocked), std::ref(go)));
  WsClient client(server.port());
  const std::string call = client.start("block");
  blocked.wait(false);
  const std::string text(10'000, 't');
  int taken = 0;
  while (server->publish("room", text)) REQUIRE(++taken < 1'000);
  CHECK(taken > 0);
  CHECK(server->stats().total.inbox_refused >= 1);
  CHECK_FALSE(server->publish("room", text));
  go = true;
  go.notify_all();
  CHECK(client.answer(call) == "null");
  for (int i = 0; i < taken; ++i) CHECK(client.event().size() == 9 + text.size());
  CHECK(server->publish("room", 1));
  CHECK(client.event() == "2 room 1");
}
