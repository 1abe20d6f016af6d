// Predicates that throw: nobody gets what they were asked about, and the log stays readable.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Config;
using webshocket::Connection;
using webshocket::Handler;
using webshocket::LogLevel;
using webshocket::per_shard;
using webshocket::where;
using webshocket::test::eventually;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;

namespace {

bool failing(const Connection&) { throw std::runtime_error("boom"); }

class Guarded : public Handler {
 public:
  Guarded() {
    rpc("join", [](Connection& c) { return c.subscribe("room"); });
    rpc("guarded", [] { return 1; }).require(where([](const Connection& c) { return failing(c); }));
  }
};

class Log {
 public:
  void add(std::string_view line) {
    const std::scoped_lock lock(mutex_);
    lines_.emplace_back(line);
  }
  std::size_t count(std::string_view text) const {
    const std::scoped_lock lock(mutex_);
    return static_cast<std::size_t>(std::ranges::count_if(
        lines_, [text](const std::string& line) { return line.find(text) != std::string::npos; }));
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

}  // namespace

TEST_CASE("it counts as false, each time, and is logged now and then") {
  Log log;
  Config config;
  config.shards = 1;
  config.log = [&log](LogLevel, std::string_view line) { log.add(line); };
  ServerFixture server(config, per_shard<Guarded>());
  WsClient client(server.port());
  REQUIRE(client.call("join") == "true");
  CHECK(client.call("guarded").starts_with("-32002 "));
  eventually([&] { return server->stats().total.predicate_errors == 1; }, "it to count");
  CHECK(log.count("the predicate where(…) failed: std::runtime_error: boom") == 1);

  const auto predicate = where([](const Connection& c) { return failing(c); });
  constexpr std::uint64_t kPublishes = 1'000;
  for (std::uint64_t i = 0; i < kPublishes; ++i) CHECK(server->publish("room", 1, predicate));
  CHECK(server->publish("room", 2));
  CHECK(client.event() == "2 room 2");
  CHECK(server->stats().total.predicate_errors == 1 + kPublishes);
  CHECK(log.count("failed") < kPublishes / 2);
  eventually(
      [&] {
        CHECK(server->publish("room", 1, predicate));
        return log.count(" more before)") != 0;
      },
      "a line that tells of the others");
  CHECK(server->stats().total.handler_errors == 0);
}

TEST_CASE("strangers do not fill the log either") {
  Log log;
  Config config;
  config.shards = 1;
  config.allowed_hosts = {"example.com"};
  config.log = [&log](LogLevel, std::string_view line) { log.add(line); };
  ServerFixture server(config, per_shard<Guarded>());
  for (int i = 0; i < 200; ++i) {
    RawPeer peer(server.port());
    CHECK(peer.request().status == 421);
  }
  CHECK(log.count("turned away") >= 20);
  CHECK(log.count("turned away") < 100);
  CHECK(server->stats().total.upgrades_rejected == 200);
}
