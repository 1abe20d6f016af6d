// Requests that are too large in every way in which they can be.

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Handler;
using webshocket::HttpResponse;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::test::HttpAnswer;
using webshocket::test::PeerError;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;

namespace {

class Echo : public Handler {
 public:
  Echo() {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
  }
};

void serve_take(Server& server) {
  server.on_http("POST", "/take", [](const auto&) { return HttpResponse(); });
}

std::string many(std::size_t count, std::string_view line) {
  std::string lines;
  for (std::size_t i = 0; i < count; ++i) lines += line;
  return lines;
}

constexpr std::size_t kHead = 16 * 1024;
constexpr std::size_t kBody = 1024 * 1024;

void send_what_it_takes(RawPeer& peer, std::string_view request) {
  try {
    peer.send(request);
  } catch (const PeerError&) {  // NOLINT(bugprone-empty-catch): it has said what it thinks of it
  }
}

struct Case {
  const char* what;
  std::string request;
  int status;
  std::string_view limit;
  std::size_t enough;  ///< so much of the request is too much already
};

}  // namespace

TEST_CASE("what is too large is refused with the limit's name, and costs no more than the limit") {
  ServerFixture server({.shards = 1}, per_shard<Echo>(), serve_take);
  WsClient other(server.port());
  const std::string begin = "GET / HTTP/1.1\r\nHost: here\r\n";
  const std::string post = "POST /take HTTP/1.1\r\nHost: here\r\n";
  const std::vector<Case> cases{
      {"a target", "GET /" + std::string(20'000, 'x'), 431, "max_handshake_size", kHead + 1},
      {"a name", begin + std::string(20'000, 'x'), 431, "max_handshake_size", kHead + 1},
      {"a value", begin + "X: " + std::string(5'000'000, 'x'), 431, "max_handshake_size",
       kHead + 1},
      {"many headers", begin + many(200, "A: b\r\n"), 431, "max_handshake_headers",
       begin.size() + 129 * 6},
      {"many long headers", begin + many(120, "Name: " + std::string(200, 'v') + "\r\n"), 431,
       "max_handshake_size", kHead + 1},
      {"empty lines", many(20'000, "\r\n"), 431, "max_handshake_size", kHead + 1},
      {"a body by length", post + "Content-Length: 10000000\r\n\r\n" + std::string(100'000, 'b'),
       413, "max_http_body", kHead},
      {"a body beyond all lengths", post + "Content-Length: 9000000000000000000\r\n\r\n", 413,
       "max_http_body", kHead},
      {"a chunk", post + "Transfer-Encoding: chunked\r\n\r\n7fffffff\r\n", 413, "max_http_body",
       kHead},
      {"many chunks",
       post + "Transfer-Encoding: chunked\r\n\r\n" +
           many(20, "10000\r\n" + std::string(0x10000, 'c') + "\r\n"),
       413, "max_http_body", kBody + kHead},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    for (const std::size_t size : {c.enough, c.request.size()}) {
      CAPTURE(size);
      RawPeer peer(server.port());
      send_what_it_takes(peer, std::string_view(c.request).substr(0, size));
      const HttpAnswer answer = peer.read_http();
      CHECK(answer.status == c.status);
      CHECK(answer.body.find(c.limit) != std::string::npos);
      CHECK(other.call("echo", "[1]") == "1");
    }
  }
  CHECK(server->stats().total.upgrades_rejected == 2 * cases.size());
  CHECK(server->stats().total.http_requests == 0);
}
