// How many connections an address may have, and how fast they may come. To count on one machine,
// clients are named by a proxy.

#include <doctest/doctest.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"

using webshocket::Config;
using webshocket::Handler;
using webshocket::Listener;
using webshocket::per_shard;
using webshocket::test::eventually;
using webshocket::test::open_peer;
using webshocket::test::PeerError;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using namespace std::chrono_literals;

namespace {

class Silent : public Handler {
 public:
  webshocket::Upgrade on_upgrade(const webshocket::UpgradeRequest& request) override {
    auto answer = webshocket::Upgrade::accept();
    if (const auto key = request.query_value("pin")) answer = std::move(answer).pin(*key);
    return answer;
  }
};

std::unique_ptr<RawPeer> through_proxy(std::uint16_t port, const std::string& client) {
  auto peer = std::make_unique<RawPeer>(port);
  const bool is_v6 = client.find(':') != std::string::npos;
  peer->send(std::string("PROXY TCP") + (is_v6 ? "6 " : "4 ") + client +
             (is_v6 ? " ::1" : " 192.0.2.1") + " 5000 443\r\n");
  return peer;
}

int status(RawPeer& peer) { return peer.request().status; }

bool is_let_in(std::uint16_t port, const std::string& client,
               std::vector<std::unique_ptr<RawPeer>>& kept) {
  auto peer = through_proxy(port, client);
  try {
    if (status(*peer) != 101) return false;
  } catch (const PeerError&) {
    return false;
  }
  kept.push_back(std::move(peer));
  return true;
}

/// An address of this machine that is not its loopback one.
std::optional<std::string> outer_address() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return std::nullopt;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_INET) continue;
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(each->ifa_addr, sizeof(sockaddr_in), text.data(), text.size(), nullptr, 0,
                      NI_NUMERICHOST) != 0) {
      continue;
    }
    if (const std::string address = text.data(); !address.starts_with("127.")) return address;
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("a PROXY header's client has so many connections, over all shards") {
  ServerFixture server({.proxy_protocol = true, .shards = 2, .max_connections_per_ip = 3},
                       per_shard<Silent>());
  std::vector<std::unique_ptr<RawPeer>> kept;
  for (int i = 0; i < 3; ++i) CHECK(is_let_in(server.port(), "203.0.113.7", kept));
  for (int i = 0; i < 4; ++i) CHECK_FALSE(is_let_in(server.port(), "203.0.113.7", kept));
  CHECK(is_let_in(server.port(), "203.0.113.8", kept));
  CHECK(server->stats().refused_per_ip == 4);
  CHECK(server->stats().refused == 0);
  kept.erase(kept.begin());
  eventually([&] { return server->client_count() == 3; }, "one to leave");
  CHECK(is_let_in(server.port(), "203.0.113.7", kept));
  CHECK_FALSE(is_let_in(server.port(), "203.0.113.7", kept));
}

TEST_CASE("a socket that has said nothing yet counts too") {
  ServerFixture server({.proxy_protocol = true, .shards = 1, .max_connections_per_ip = 1},
                       per_shard<Silent>());
  auto silent = through_proxy(server.port(), "203.0.113.7");
  eventually([&] { return server->stats().total.bytes_received != 0; }, "its header");
  through_proxy(server.port(), "203.0.113.7")->read_end();
  silent->upgrade();
  CHECK(server->stats().refused_per_ip == 1);
}

TEST_CASE("an IPv6 network has so many connections") {
  ServerFixture server({.proxy_protocol = true,
                        .shards = 2,
                        .max_connections_per_ip = 2,
                        .max_connections_per_64 = 3},
                       per_shard<Silent>());
  std::vector<std::unique_ptr<RawPeer>> kept;
  CHECK(is_let_in(server.port(), "2001:db8::1", kept));
  CHECK(is_let_in(server.port(), "2001:db8::1", kept));
  CHECK_FALSE(is_let_in(server.port(), "2001:db8::1", kept));
  CHECK(is_let_in(server.port(), "2001:db8::2", kept));
  CHECK_FALSE(is_let_in(server.port(), "2001:db8::3", kept));
  CHECK(is_let_in(server.port(), "2001:db8:0:1::3", kept));
  CHECK(server->stats().refused_per_ip == 2);
}

TEST_CASE("a header's client is told which limit it is") {
  ServerFixture server({.trusted_proxies = {"127.0.0.1"},
                        .shards = 2,
                        .max_connections_per_ip = 2,
                        .max_connections_per_64 = 2},
                       per_shard<Silent>());
  std::vector<RawPeer> kept;
  const auto ask = [&](const std::string& client, const std::string& path = "/") {
    kept.emplace_back(server.port());
    return kept.back().request({.path = path, .headers = {"X-Forwarded-For: " + client}});
  };
  CHECK(ask("203.0.113.7").status == 101);
  CHECK(ask("203.0.113.7", "/?pin=a").status == 101);  // to whichever shard
  const auto answer = ask("203.0.113.7");
  CHECK(answer.status == 429);
  CHECK(answer.body == "Too many connections from your address (max_connections_per_ip).");
  CHECK(ask("2001:db8::1").status == 101);
  CHECK(ask("2001:db8::2").status == 101);
  CHECK(ask("2001:db8::3").body ==
        "Too many connections from your network (max_connections_per_64).");
  CHECK(server->stats().refused_per_ip == 2);
  kept.clear();
  eventually([&] { return server->client_count() == 0; }, "all to leave");
  for (const char* pin : {"a", "b", "c", "d"}) {
    CHECK(ask("203.0.113.7", std::string("/?pin=") + pin).status == 101);
    kept.clear();
    eventually([&] { return server->client_count() == 0; }, "it to leave");
  }
}

TEST_CASE("the machine itself and a trusted proxy have no such limit") {
  ServerFixture server({.trusted_proxies = {"127.0.0.1"},
                        .shards = 2,
                        .max_connections_per_ip = 1,
                        .accept_rate_per_ip = 1,
                        .accept_burst_per_ip = 1},
                       per_shard<Silent>());
  std::vector<RawPeer> kept;
  kept.reserve(20);
  for (int i = 0; i < 20; ++i) kept.push_back(open_peer(server.port()));
  CHECK(server->stats().refused_per_ip == 0);
  CHECK(server->stats().refused_rate == 0);
}

TEST_CASE("an address that is not the machine's own: closed at once") {
  const auto address = outer_address();
  if (!address) {
    MESSAGE("this machine has no address but its loopback one");
    return;
  }
  ServerFixture many({.host = "0.0.0.0", .shards = 2, .max_connections_per_ip = 2},
                     per_shard<Silent>());
  std::vector<RawPeer> kept;
  for (int i = 0; i < 2; ++i) {
    kept.emplace_back(many.port(), address->c_str());
    kept.back().upgrade();
  }
  RawPeer(many.port(), address->c_str()).read_end();
  CHECK(many->stats().refused_per_ip == 1);

  ServerFixture fast(
      {.host = "0.0.0.0", .shards = 2, .accept_rate_per_ip = 1, .accept_burst_per_ip = 3},
      per_shard<Silent>());
  std::vector<RawPeer> quick;
  quick.reserve(20);
  for (int i = 0; i < 20; ++i) quick.emplace_back(fast.port(), address->c_str());
  eventually([&] { return fast->stats().accepted == 20; }, "all to be accepted");
  CHECK(fast->stats().refused_rate > 0);
  open_peer(fast.port());
}

TEST_CASE("accept_rate: who comes faster waits in the backlog, and is not lost") {
  constexpr int kSockets = 10;
  const auto start = std::chrono::steady_clock::now();
  ServerFixture server({.shards = 2, .accept_rate = 20}, per_shard<Silent>());
  std::vector<RawPeer> peers;
  peers.reserve(kSockets);
  for (int i = 0; i < kSockets; ++i) peers.emplace_back(server.port());
  for (RawPeer& peer : peers) peer.upgrade();
  // A tenth of a second's come at once, and one more for each thread that accepts.
  CHECK(std::chrono::steady_clock::now() - start >= (kSockets - 2 - 2) * 1'000ms / 20);
  CHECK(server->stats().accepted == kSockets);
  CHECK(server->stats().accepts_paused > 0);
  CHECK(server->stats().refused_rate == 0);
}
