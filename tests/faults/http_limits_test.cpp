// What plain HTTP may cost.

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Config;
using webshocket::Handler;
using webshocket::HttpRequest;
using webshocket::HttpResponse;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::test::eventually;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kPage = 50'000;

class Echo : public Handler {
 public:
  Echo() {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
  }
};

void serve_pages(Server& server) {
  server.on_http("GET", "/page", [](const HttpRequest& request) {
    return HttpResponse{.body = request.query + std::string(kPage - request.query.size(), 'p')};
  });
  server.on_http("GET", "/large", [](const HttpRequest&) {
    HttpResponse large;
    large.body.resize(50'000'000, 'l');
    return large;
  });
  server.on_http("POST", "/take", [](const HttpRequest&) { return HttpResponse(); });
}

struct Fixture {
  explicit Fixture(Config config) : server(std::move(config), per_shard<Echo>(), serve_pages) {}
  webshocket::Stats::Shard total() { return server->stats().total; }
  ServerFixture server;
};

std::string get(const std::string& target) {
  return "GET " + target + " HTTP/1.1\r\nHost: here\r\n\r\n";
}

/// A client that wants `count` pages and reads nothing.
std::unique_ptr<RawPeer> greedy(std::uint16_t port, int count) {
  auto peer = std::make_unique<RawPeer>(port);
  std::string requests;
  for (int i = 0; i < count; ++i) requests += get("/page?" + std::to_string(i));
  peer->send(requests);
  return peer;
}

}  // namespace

TEST_CASE("who asks and asks and does not read is answered no further, and then in order") {
  constexpr std::size_t kLimit = 100'000;
  constexpr int kPages = 500;
  Fixture f({.shards = 1, .outbox_limit = kLimit, .outbox_low_mark = 10'000});
  const auto peer = greedy(f.server.port(), kPages);
  eventually([&] { return f.total().outbox_bytes > kLimit; }, "a full outbox");
  WsClient other(f.server.port());
  for (int i = 0; i < 100; ++i) {
    CHECK(other.call("echo", "[1]") == "1");
    CHECK(f.total().outbox_bytes <= kLimit + kPage + 1'000);
  }
  CHECK(f.total().http_requests < kPages);
  for (int i = 0; i < kPages; ++i) {
    const std::string number = std::to_string(i);
    REQUIRE(peer->read_http().body == number + std::string(kPage - number.size(), 'p'));
  }
  CHECK(f.total().http_requests == kPages);
  // It is as good a connection as any.
  peer->send(get("/page?x"));
  CHECK(peer->read_http().body.front() == 'x');
}

TEST_CASE("and if it has said its last word, it gets what it asked for before the end") {
  Fixture f({.shards = 1, .outbox_limit = 100'000, .outbox_low_mark = 10'000});
  const auto peer = greedy(f.server.port(), 300);
  peer->half_close();
  for (int i = 0; i < 300; ++i) REQUIRE(peer->read_http().body.size() == kPage);
  CHECK(peer->read_end() == RawPeer::End::fin);
}

TEST_CASE("who takes nothing of its answer is cut off") {
  Fixture f({.shards = 1, .http_keep_alive = 100ms});
  const auto peer = greedy(f.server.port(), 500);
  eventually([&] { return f.total().outbox_bytes > 0; }, "an answer that waits");
  eventually([&] { return f.total().outbox_bytes == 0; }, "the end of patience");
  CHECK(f.total().http_requests < 500);
}

TEST_CASE("who takes a byte now and then is cut off too") {
  Fixture f({.shards = 1, .http_keep_alive = 100ms});
  RawPeer peer(f.server.port());
  peer.shrink_receive_buffer(4'000);
  peer.send(get("/large"));
  eventually([&] { return f.total().outbox_bytes > 0; }, "an answer that waits");
  const auto until = std::chrono::steady_clock::now() + webshocket::test::kGuard;
  while (f.total().outbox_bytes != 0) {
    REQUIRE(std::chrono::steady_clock::now() < until);
    ::poll(nullptr, 0, 20);
    char byte = 0;
    static_cast<void>(::recv(peer.fd(), &byte, 1, MSG_DONTWAIT));
  }
  eventually([&] { return f.total().outbox_bytes == 0; }, "the end of patience");
}

TEST_CASE("who reads gets all of a large answer, whatever time it takes") {
  Fixture f({.shards = 1, .http_keep_alive = 1s});
  RawPeer peer(f.server.port());
  peer.send(get("/large"));
  CHECK(peer.read_http().body.size() == 50'000'000);
}

TEST_CASE("a shard's outboxes are too full: plain HTTP goes like any other") {
  Fixture f({.shards = 1, .outbox_limit = 0, .outbox_total_limit = 5'000'000});
  WsClient innocent(f.server.port());
  const auto peer = greedy(f.server.port(), 1'000);
  CHECK(peer->read_until("\r\n\r\n").starts_with("HTTP/1.1 200"));
  eventually([&] { return f.total().handshakes_pending == 0 && f.total().outbox_bytes == 0; },
             "the end of it");
  CHECK(innocent.call("echo", "[1]") == "1");
  CHECK(f.total().connections == 1);
  CHECK(f.total().slow_consumers == 0);
}

TEST_CASE("who has had an answer is no pending handshake any more") {
  Fixture f({.shards = 1, .max_pending_handshakes = 2});
  std::vector<std::unique_ptr<RawPeer>> idle;
  for (int i = 0; i < 10; ++i) {
    idle.push_back(std::make_unique<RawPeer>(f.server.port()));
    idle.back()->send(get("/page?1"));
    CHECK(idle.back()->read_http().status == 200);
  }
  CHECK(f.total().handshakes_pending == 0);
  WsClient client(f.server.port());
  CHECK(client.call("echo", "[1]") == "1");
  for (auto& peer : idle) {
    peer->send(get("/page?2"));
    CHECK(peer->read_http().status == 200);
  }
  // It may still become a WebSocket.
  idle.front()->upgrade();
  CHECK(f.total().handshakes_pending == 0);
  CHECK(f.total().connections == 2);
  CHECK(f.server->stats().refused == 0);
}

TEST_CASE("so many are kept alive, the next one is closed after its answer") {
  Fixture f({.shards = 1, .max_keep_alive = 1});
  RawPeer kept(f.server.port());
  kept.send(get("/page?1"));
  CHECK(kept.read_http().header("Connection") != "close");
  {
    RawPeer closed(f.server.port());
    closed.send(get("/page?1"));
    CHECK(closed.read_http().header("Connection") == "close");
    closed.read_end();
  }
  CHECK(f.server->stats().total.keep_alives_refused == 1);
  kept.send(get("/page?2"));
  CHECK(kept.read_http().header("Connection") != "close");
}

TEST_CASE("half-received requests count as half-received messages do") {
  Fixture f({.shards = 1, .inbound_total_limit = 400'000});
  std::vector<RawPeer> peers;
  const std::string head = "POST /take HTTP/1.1\r\nHost: here\r\nContent-Length: 200000\r\n\r\n";
  for (std::uint64_t i = 1; i <= 2; ++i) {
    peers.emplace_back(f.server.port());
    peers.back().send(head + std::string(150'000, 'b'));
    eventually([&] { return f.total().parked_bytes == i * 150'000; }, "half a request");
  }
  RawPeer third(f.server.port());
  third.send(head + std::string(150'000, 'b'));
  const auto answer = third.read_http();
  CHECK(answer.status == 503);
  CHECK(answer.body.find("inbound_total_limit") != std::string::npos);
  peers[0].send(std::string(50'000, 'b'));
  CHECK(peers[0].read_http().status == 200);
  peers.clear();
  eventually([&] { return f.total().parked_bytes <= 200'000; }, "its memory");
}
