#include "engine/config.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <webshocket/error.hpp>
#include <webshocket/queue_handler.hpp>
#include <webshocket/server.hpp>

using webshocket::Config;
using webshocket::Listener;
using webshocket::Server;
using webshocket::UsageError;
using webshocket::engine::checked;
using namespace std::chrono_literals;

namespace {

struct Bad {
  std::string says;  ///< field and value
  std::function<void(Config&)> change;
};

const std::vector<Bad>& bad_configs() {
  static const std::vector<Bad> list{
      {"Config::shards = 1025:", [](Config& c) { c.shards = 1025; }},
      {"Config::cpus = 4000000000:",
       [](Config& c) {
         c.cpus = {0, 4'000'000'000};
       }},
      {"Config::host = \"\":", [](Config& c) { c.host = ""; }},
      {"Config::host = \"\":", [](Config& c) { c.listeners = {{.host = ""}}; }},
      {"Config::paths = \"chat\":",
       [](Config& c) {
         c.paths = {"/ok", "chat"};
       }},
      {"Config::paths = \"\":", [](Config& c) { c.listeners = {{.paths = {""}}}; }},
      {"Config::raw_paths = \"raw\":", [](Config& c) { c.raw_paths = {"raw"}; }},
      {"Config::raw_paths = \"/a?b\":", [](Config& c) { c.raw_paths = {"/a?b"}; }},
      {"Config::paths = \"/a#b\":", [](Config& c) { c.paths = {"/a#b"}; }},
      {"Config::paths = \"/a b\":", [](Config& c) { c.paths = {"/a b"}; }},
      {"Config::paths = \"/\xC3\xA4\":", [](Config& c) { c.paths = {"/\xC3\xA4"}; }},
      {"Config::trusted_proxies = \"10.0.0.1/8\":",
       [](Config& c) {
         c.trusted_proxies = {"::1", "10.0.0.1/8"};
       }},
      {"Config::forwarded_header = \"\":", [](Config& c) { c.forwarded_header = ""; }},
      {"Config::forwarded_header = \"a b\":", [](Config& c) { c.forwarded_header = "a b"; }},
      {"Config::allowed_origins = \"example.com\":",
       [](Config& c) {
         c.allowed_origins = {"*", "example.com"};
       }},
      {"Config::allowed_hosts = \"example.com:80\":",
       [](Config& c) { c.allowed_hosts = {"example.com:80"}; }},
      {"= 108:", [](Config& c) { c.listeners = {{.unix_path = std::string(108, 'u')}}; }},
      {"= 1001:", [](Config& c) { c.listeners.resize(1001); }},
      {"Config::offload_threads = 0:", [](Config& c) { c.offload_threads = 0; }},
      {"Config::offload_threads = 1025:", [](Config& c) { c.offload_threads = 1025; }},
      {"Config::max_message = 4294967296:", [](Config& c) { c.max_message = 1ULL << 32U; }},
      {"Config::max_handshake_size = 255:", [](Config& c) { c.max_handshake_size = 255; }},
      {"Config::handshake_timeout = -1 ms:", [](Config& c) { c.handshake_timeout = -1ms; }},
      {"Config::tls_budget = -1 ms:", [](Config& c) { c.tls_budget = -1ms; }},
      {"Config::tls.ticket_lifetime = -1 s:", [](Config& c) { c.tls.ticket_lifetime = -1s; }},
      {"Config::listeners[1].tls.ticket_lifetime = 604801 s:",
       [](Config& c) {
         c.listeners = {{}, {.tls = {.ticket_lifetime = 604'801s}}};
       }},
      {"Config::tls.client_ca_file = \"ca.pem\":",
       [](Config& c) { c.tls.client_ca_file = "ca.pem"; }},
      {"Config::tls.client_certificate_optional = true:",
       [](Config& c) { c.tls.client_certificate_optional = true; }},
      {"Config::tls.certificates = \"a.pem\":",
       [](Config& c) {
         c.tls.certificates = {{"a.pem", {}}};
         c.listeners = {{}};
       }},
      {"Config::http_keep_alive = -1 ms:", [](Config& c) { c.http_keep_alive = -1ms; }},
      {"Config::message_timeout = -1 ms:", [](Config& c) { c.message_timeout = -1ms; }},
      {"Config::accept_rate = 1000000001:", [](Config& c) { c.accept_rate = 1'000'000'001; }},
      {"Config::accept_rate_per_ip = 1000000001:",
       [](Config& c) { c.accept_rate_per_ip = 1'000'000'001; }},
      {"Config::message_rate = 1000000001:", [](Config& c) { c.message_rate = 1'000'000'001; }},
      {"Config::receive_burst = 1000000001:", [](Config& c) { c.receive_burst = 1'000'000'001; }},
      {"Config::ping_interval = -5000 ms:", [](Config& c) { c.ping_interval = -5s; }},
      {"Config::ping_timeout = -1 ms:", [](Config& c) { c.ping_timeout = -1ms; }},
      {"Config::close_timeout = -1 ms:", [](Config& c) { c.close_timeout = -1ms; }},
      {"Config::drain_timeout = -1 ms:", [](Config& c) { c.drain_timeout = -1ms; }},
      {"Config::slow_callback_threshold = -1 ms:",
       [](Config& c) { c.slow_callback_threshold = -1ms; }},
      {"Config::drain_delay = -1 ms:", [](Config& c) { c.drain_delay = -1ms; }},
      {"Config::drain_spread = -1 ms:", [](Config& c) { c.drain_spread = -1ms; }},
      {"Config::reconnect_hint = -1 ms:", [](Config& c) { c.reconnect_hint = -1ms; }},
      {"Config::listeners.fd = -2:", [](Config& c) { c.listeners = {{.fd = -2}}; }},
      {"Config::listeners.fd = 3:",
       [](Config& c) { c.listeners = {{.unix_path = "/tmp/x", .fd = 3}}; }},
      {"Config::listeners.reuse_port = true:",
       [](Config& c) { c.listeners = {{.unix_path = "/tmp/x", .reuse_port = true}}; }},
      {"Config::outbox_low_mark = 65536:", [](Config& c) { c.outbox_limit = 1000; }},
  };
  return list;
}

}  // namespace

TEST_CASE("a bad value is named, with its field") {
  for (const Bad& bad : bad_configs()) {
    CAPTURE(bad.says);
    Config config;
    bad.change(config);
    try {
      static_cast<void>(checked(config));
      FAIL_CHECK("accepted");
    } catch (const UsageError& error) {
      CHECK_MESSAGE(std::string(error.what()).find(bad.says) != std::string::npos, error.what());
    }
  }
}

TEST_CASE("a server is not even made of a bad configuration") {
  CHECK_THROWS_AS(Server({.shards = 5'000}), UsageError);
  CHECK_THROWS_AS(Server({}, webshocket::HandlerFactory()), UsageError);
}

TEST_CASE("the defaults are right, and filled in") {
  const Config config = checked({.port = 5000, .paths = {"/chat"}, .proxy_protocol = true});
  CHECK(config.shards >= 1);
  REQUIRE(config.listeners.size() == 1);
  CHECK(config.listeners[0].host == "127.0.0.1");
  CHECK(config.listeners[0].port == 5000);
  CHECK(config.listeners[0].unix_path.empty());
  CHECK(config.listeners[0].paths == std::vector<std::string>{"/chat"});
  CHECK(config.listeners[0].proxy_protocol);
  CHECK_FALSE(checked({}).listeners[0].proxy_protocol);
}

TEST_CASE("what is given stays as it is") {
  Config given;
  given.shards = 7;
  given.listeners = {{.unix_path = "/tmp/x"}, {.host = "::1", .port = 1}};
  given.outbox_limit = 0;  // unlimited: no low mark is too high for it
  given.max_handshake_size = 0;
  const Config config = checked(given);
  CHECK(config.shards == 7);
  REQUIRE(config.listeners.size() == 2);
  CHECK(config.listeners[0].unix_path == "/tmp/x");
  CHECK(config.listeners[1].host == "::1");
  CHECK(config.outbox_low_mark == given.outbox_low_mark);
}

TEST_CASE("for ever is a time, too") {
  const Config config = checked({.message_timeout = std::chrono::milliseconds::max()});
  CHECK(std::chrono::nanoseconds(config.message_timeout) > std::chrono::hours(24 * 365));
}

TEST_CASE("zero is unlimited: for a message, as much as can be counted") {
  CHECK(checked({.max_message = 0}).max_message == std::numeric_limits<std::uint32_t>::max());
  const Config config = checked({.handshake_timeout = 0ms, .ping_interval = 0ms});
  CHECK(config.handshake_timeout == 0ms);
  CHECK(config.ping_interval == 0ms);
}
