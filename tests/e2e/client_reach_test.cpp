// The ways to a server, and what it gets to see of a client.

#include <doctest/doctest.h>
#include <unistd.h>

#include <string>

#include <webshocket/client.hpp>
#include <webshocket/server.hpp>

#include "tests/support/server_fixture.hpp"

using webshocket::Client;
using webshocket::ClientConfig;
using webshocket::Connection;
using webshocket::Handler;
using webshocket::per_shard;
using webshocket::test::ServerFixture;

namespace {

/// Tells a client what it has sent to get in.
class Mirror : public Handler {
 public:
  Mirror() {
    rpc("address", [](Connection& c) { return c.remote_address(); });
    rpc("request", [](Connection& c) { return c["request"]; });
  }
  webshocket::Upgrade on_upgrade(const webshocket::UpgradeRequest& request) override {
    const auto header = [&](std::string_view name) {
      const std::string* value = request.header(name);
      return value == nullptr ? std::string("-") : *value;
    };
    return webshocket::Upgrade::accept().session("request", request.target + " " + header("Host") +
                                                                " " + header("Authorization") +
                                                                " " + header("X-Token"));
  }
};

std::string port_of(const ServerFixture& server) { return std::to_string(server.port()); }

}  // namespace

TEST_CASE("headers, path, and the URI's user reach on_upgrade") {
  ServerFixture server({.shards = 1}, per_shard<Mirror>());
  Client client("ws://ann:pa%20ss@127.0.0.1:" + port_of(server) + "/chat?room=1",
                {.headers = {{"X-Token", "t 1"}}});
  client.connect();
  CHECK(client.call<std::string>("request") ==
        "/chat?room=1 127.0.0.1:" + port_of(server) + " Basic YW5uOnBhIHNz t 1");
}

TEST_CASE("from an address of one's own choice") {
  ServerFixture server({.shards = 1}, per_shard<Mirror>());
  Client client("ws://127.0.0.1:" + port_of(server), {.local_address = "127.0.0.2"});
  client.connect();
  CHECK(client.call<std::string>("address").starts_with("127.0.0.2:"));
  Client impossible("ws://127.0.0.1:" + port_of(server), {.local_address = "192.0.2.1"});
  CHECK_THROWS_AS(impossible.connect(), webshocket::ConnectionFailedError);
  Client mixed("ws://127.0.0.1:" + port_of(server), {.local_address = "::1"});
  CHECK_THROWS_AS(mixed.connect(), webshocket::ConnectionFailedError);
}

TEST_CASE("by a name") {
  ServerFixture server({.shards = 1}, per_shard<Mirror>());
  Client client("ws://localhost:" + port_of(server));
  client.connect();
  CHECK(client.call<std::string>("request") == "/ localhost:" + port_of(server) + " - -");
}

TEST_CASE("by IPv6") {
  ServerFixture server({.host = "::1", .shards = 1}, per_shard<Mirror>());
  Client client("ws://[::1]:" + port_of(server));
  client.connect();
  CHECK(client.call<std::string>("request") == "/ [::1]:" + port_of(server) + " - -");
  CHECK(client.call<std::string>("address").starts_with("[::1]:"));
}

TEST_CASE("by a unix socket") {
  const std::string path = "/tmp/webshocket_client_test." + std::to_string(::getpid());
  ServerFixture server({.listeners = {{.unix_path = path}}, .shards = 1}, per_shard<Mirror>());
  Client client("ws://inside/room", {.unix_path = path});
  client.connect();
  CHECK(client.call<std::string>("request") == "/room inside - -");
  CHECK(client.call<std::string>("address") == "unix");
  Client lost("ws://inside", {.unix_path = path + ".not"});
  CHECK_THROWS_AS(lost.connect(), webshocket::ConnectionFailedError);
}
