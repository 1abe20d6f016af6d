// Whom a request is from, when a proxy says so.

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Config;
using webshocket::Connection;
using webshocket::Handler;
using webshocket::HttpRequest;
using webshocket::HttpResponse;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::Upgrade;
using webshocket::UpgradeRequest;
using webshocket::test::Dialect;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;

namespace fs = std::filesystem;

namespace {

class Watcher : public Handler {
 public:
  Watcher() {
    rpc("where", [](Connection& connection) { return connection.remote_address(); });
  }
  Upgrade on_upgrade(const UpgradeRequest& request) override {
    Upgrade answer = Upgrade::accept().header("X-Saw", request.remote_address);
    if (const auto key = request.query_value("pin")) answer = std::move(answer).pin(*key);
    return answer;
  }
};

void serve_where(Server& server) {
  server.on_http("GET", "/where", [](const HttpRequest& request) {
    return HttpResponse{.body = request.remote_address};
  });
}

struct Fixture {
  explicit Fixture(Config config) : server(std::move(config), per_shard<Watcher>(), serve_where) {}
  ServerFixture server;
};

std::string get(const std::string& lines) {
  return "GET /where HTTP/1.1\r\nHost: here\r\n" + lines + "\r\n";
}

std::string own_address(const RawPeer& peer) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(peer.fd(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
}

}  // namespace

TEST_CASE("nobody is believed who is not trusted") {
  for (const std::vector<std::string>& trusted :
       {std::vector<std::string>{}, {"10.0.0.0/8", "127.0.0.2", "::1", "unix"}}) {
    Fixture fixture({.trusted_proxies = trusted, .shards = 1});
    RawPeer peer(fixture.server.port());
    const std::string own = own_address(peer);
    peer.send(get("X-Forwarded-For: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\n"));
    CHECK(peer.read_http().body == own);
    CHECK(peer.request({.headers = {"X-Forwarded-For: 1.1.1.1"}}).header("X-Saw") == own);
  }
}

TEST_CASE("a trusted one is, for every request of its connection anew") {
  Fixture fixture({.trusted_proxies = {"127.0.0.0/8", "10.0.0.0/8"}, .shards = 2});
  RawPeer peer(fixture.server.port());
  const std::string own = own_address(peer);
  const std::vector<std::pair<std::string, std::string>> requests{
      {"X-Forwarded-For: 1.1.1.1\r\n", "1.1.1.1:0"},
      {"", own},
      {"x-forwarded-for: 6.6.6.6, 2.2.2.2:22, 10.0.0.1\r\n", "2.2.2.2:22"},
      {"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: [2001:db8::3]:3\r\n", "[2001:db8::3]:3"},
      {"X-Forwarded-For: 1.1.1.1, unknown\r\n", own},
      {"Forwarded: for=6.6.6.6\r\n", own},
  };
  for (const auto& request : requests) {
    CAPTURE(request.first);
    peer.send(get(request.first));
    CHECK(peer.read_http().body == request.second);
  }
  const auto answer = peer.request({.headers = {"X-Forwarded-For: 4.4.4.4"}});
  CHECK(answer.status == 101);
  CHECK(answer.header("X-Saw") == "4.4.4.4:0");
}

TEST_CASE("the header that the proxies set is the one that counts") {
  Fixture fixture({.trusted_proxies = {"127.0.0.1"}, .forwarded_header = "Forwarded", .shards = 1});
  RawPeer peer(fixture.server.port());
  peer.send(get("X-Forwarded-For: 6.6.6.6\r\nForwarded: for=\"[2001:db8::1]:5\";proto=https\r\n"));
  CHECK(peer.read_http().body == "[2001:db8::1]:5");
  const std::string own = own_address(peer);
  peer.send(get("X-Forwarded-For: 6.6.6.6\r\n"));
  CHECK(peer.read_http().body == own);
}

TEST_CASE("no more hops are walked than allowed") {
  Fixture fixture({.trusted_proxies = {"0.0.0.0/0"}, .max_forwarded_hops = 2, .shards = 1});
  RawPeer peer(fixture.server.port());
  peer.send(get("X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3\r\n"));
  CHECK(peer.read_http().body == "2.2.2.2:0");
}

TEST_CASE("the connection keeps the client's address, on whichever shard it lives") {
  Fixture fixture({.trusted_proxies = {"127.0.0.1"}, .shards = 4});
  for (const char* path : {"/", "/?pin=a", "/?pin=b", "/?pin=c", "/?pin=d"}) {
    WsClient client(fixture.server.port(), Dialect::json, path, {"X-Forwarded-For: 1.2.3.4"});
    CHECK(client.call("where") == "\"1.2.3.4:0\"");
  }
}

TEST_CASE("a proxy on a unix socket is trusted by the word unix") {
  std::string folder = (fs::temp_directory_path() / "webshocket_forwarded_XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  const std::string path = folder + "/socket";
  for (const bool trusted : {true, false}) {
    Config config{.shards = 1};
    config.listeners = {{.unix_path = path}};
    if (trusted) config.trusted_proxies = {"unix"};
    const Fixture fixture(std::move(config));
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    RawPeer peer = RawPeer::adopt(fd);
    peer.send(get("X-Forwarded-For: 1.1.1.1\r\n"));
    CHECK(peer.read_http().body == (trusted ? "1.1.1.1:0" : "unix"));
  }
  fs::remove_all(folder);
}
