// Which web pages may connect, and by which names the server is called.

#include <doctest/doctest.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"

using webshocket::Config;
using webshocket::Handler;
using webshocket::HttpRequest;
using webshocket::HttpResponse;
using webshocket::LogLevel;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::test::HttpAnswer;
using webshocket::test::kUpgradeKey;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;

namespace {

class Silent : public Handler {};

void prepare(Server& server) {
  server.on_http("GET", "/page", [](const HttpRequest&) { return HttpResponse{.body = "page"}; });
}

std::string upgrade(std::string_view host, const std::vector<std::string>& origins) {
  std::string text = "GET / HTTP/1.1\r\nHost: " + std::string(host) +
                     "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
                     std::string(kUpgradeKey) + "\r\n";
  for (const std::string& origin : origins) text += "Origin: " + origin + "\r\n";
  return text + "\r\n";
}

HttpAnswer answer_to(const ServerFixture& server, const std::string& request) {
  RawPeer peer(server.port());
  peer.send(request);
  return peer.read_http();
}

int status(const ServerFixture& server, std::string_view host,
           const std::vector<std::string>& origins) {
  return answer_to(server, upgrade(host, origins)).status;
}

}  // namespace

TEST_CASE("by default, a page of the same host, and whoever is no page") {
  const ServerFixture server({.shards = 1}, per_shard<Silent>());
  CHECK(status(server, "example.com", {}) == 101);
  CHECK(status(server, "example.com", {"https://example.com"}) == 101);
  CHECK(status(server, "example.com:8080", {"http://EXAMPLE.com:8080"}) == 101);
  CHECK(status(server, "[::1]:8080", {"http://[::1]:8080"}) == 101);
  for (const char* origin : {"https://evil.org", "https://sub.example.com", "http://example.com:81",
                             "null", "", "nonsense", "http://example.com, http://example.com"}) {
    CAPTURE(origin);
    CHECK(status(server, "example.com", {origin}) == 403);
  }
}

TEST_CASE("with a list, what is in it") {
  const ServerFixture server(
      {.allowed_origins = {"https://app.example", "https://*.example.com", "null"}, .shards = 1},
      per_shard<Silent>());
  for (const char* origin :
       {"https://app.example", "https://a.example.com", "https://a.b.example.com", "null"}) {
    CAPTURE(origin);
    CHECK(status(server, "elsewhere", {origin}) == 101);
  }
  CHECK(status(server, "elsewhere", {}) == 101);
  for (const char* origin : {"https://elsewhere", "https://example.com", "http://app.example",
                             "https://app.example:444", "https://evil.org"}) {
    CAPTURE(origin);
    CHECK(status(server, "elsewhere", {origin}) == 403);
  }
}

TEST_CASE("with *, every one, but still only one") {
  const ServerFixture server({.allowed_origins = {"*"}, .shards = 1}, per_shard<Silent>());
  for (const char* origin : {"https://evil.org", "null", "", "nonsense"}) {
    CHECK(status(server, "example.com", {origin}) == 101);
  }
  const HttpAnswer two =
      answer_to(server, upgrade("example.com", {"http://example.com", "http://example.com"}));
  CHECK(two.status == 400);
  CHECK(two.body == "There is more than one Origin header.");
}

TEST_CASE("the refusal says whose page it was and what to set, to the client and in the log") {
  std::mutex mutex;
  std::vector<std::string> log;
  Config config{.shards = 1};
  config.log = [&](LogLevel level, std::string_view text) {
    const std::scoped_lock lock(mutex);
    if (level == LogLevel::info) log.emplace_back(text);
  };
  ServerFixture server(std::move(config), per_shard<Silent>());
  const HttpAnswer answer = answer_to(server, upgrade("example.com", {"https://evil.org"}));
  CHECK(answer.status == 403);
  CHECK(answer.header("Content-Type") == "text/plain");
  CHECK(answer.body ==
        "The Origin https://evil.org may not open a WebSocket here: it is not that of the Host "
        "example.com, and it is not in allowed_origins.");
  CHECK(server->stats().total.upgrades_rejected == 1);
  const std::string body = answer_to(server, upgrade("x", {std::string(1000, '\xFF')})).body;
  CHECK(body.size() < 1000);
  CHECK(body.find('\xFF') == std::string::npos);
  const std::scoped_lock lock(mutex);
  REQUIRE(log.size() == 2);
  CHECK(log[0].starts_with("127.0.0.1:"));
  CHECK(log[0].ends_with(" was turned away: " + answer.body));
}

TEST_CASE("an origin is nothing to plain HTTP") {
  const ServerFixture server({.shards = 1}, per_shard<Silent>(), prepare);
  CHECK(answer_to(server, "GET /page HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n\r\n").body ==
        "page");
}

TEST_CASE("other hosts are misdirected, pages and WebSockets alike") {
  const ServerFixture server(
      {.allowed_hosts = {"example.com", "*.example.com", "127.0.0.1", "::1"}, .shards = 1},
      per_shard<Silent>(), prepare);
  const auto page = [&](std::string_view host) {
    return answer_to(server, "GET /page HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n");
  };
  for (const char* host : {"example.com", "EXAMPLE.COM:80", "a.example.com:9300", "127.0.0.1",
                           "127.0.0.1:9300", "[::1]", "[::1]:9300"}) {
    CAPTURE(host);
    CHECK(page(host).status == 200);
    CHECK(status(server, host, {}) == 101);
  }
  for (const char* host : {"evil.org", "example.com.evil.org", "127.0.0.2", "localhost", "[::2]",
                           "example.com:x", ""}) {
    CAPTURE(host);
    CHECK(page(host).status == 421);
    CHECK(status(server, host, {}) == 421);
    // A page that was rebound to this server's address is of the same origin.
    CHECK(status(server, host, {"http://" + std::string(host)}) == 421);
  }
  CHECK(page("evil.org").body == "The Host evil.org is no name of this server (allowed_hosts).");
  CHECK(answer_to(server, "GET /page HTTP/1.0\r\n\r\n").status == 421);
}

TEST_CASE("paths are compared as they are sent, without the query") {
  const ServerFixture server({.paths = {"/chat", "/a%20b/"}, .shards = 1}, per_shard<Silent>(),
                             [](Server& made) { made.route("/game", per_shard<Silent>()); });
  const auto opens = [&](std::string_view target) {
    std::string request = upgrade("x", {});
    request.replace(request.find("/ "), 1, target);
    return answer_to(server, request).status;
  };
  for (const char* target : {"/chat", "/chat?", "/chat?a=/x#b", "/game?x=1", "/a%20b/",
                             "http://x/chat", "http://x/game?y"}) {
    CAPTURE(target);
    CHECK(opens(target) ==
          (std::string_view(target).find('#') == std::string_view::npos ? 101 : 400));
  }
  for (const char* target : {"/", "/chat/", "//chat", "/Chat", "/ch%61t", "/chat%2F", "/chat%3Fa",
                             "/a%20b", "/a+b/", "/x/../chat", "/game/", "/gam", "/games"}) {
    CAPTURE(target);
    CHECK(opens(target) == 404);
  }
}
