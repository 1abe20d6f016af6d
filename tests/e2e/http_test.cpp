// Plain HTTP beside WebSocket.

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Handler;
using webshocket::HttpRequest;
using webshocket::HttpResponse;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::test::HttpAnswer;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;

namespace fs = std::filesystem;

namespace {

class Silent : public Handler {
 public:
  Silent() {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
  }
};

class Site {
 public:
  Site() {
    std::string name = (fs::temp_directory_path() / "webshocket_http_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder = name;
    std::ofstream(folder / "index.html") << "<p>index";
    std::ofstream(folder / "large.txt") << std::string(3'000'000, 'L');
    std::ofstream(folder / ".secret") << "secret";
  }
  ~Site() { fs::remove_all(folder); }
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  void prepare(Server& server) const {
    server.on_http("GET", "/hello", [](const HttpRequest& request) {
      return HttpResponse{.body = "hello " + request.query_value("who").value_or("nobody"),
                          .headers = {{"X-Test", "1"}}};
    });
    server.on_http("POST", "/echo", [](const HttpRequest& request) {
      return HttpResponse{.status = 201, .body = request.method + ":" + request.body};
    });
    server.on_http("PUT", "/echo", [](const HttpRequest&) { return HttpResponse(); });
    server.on_http("GET", "/crash",
                   [](const HttpRequest&) -> HttpResponse { throw std::runtime_error("oops"); });
    server.on_http("GET", "/who", [](const HttpRequest& request) {
      return HttpResponse{.body = request.target + " " + *request.header("hOsT")};
    });
    server.serve_files("/files", folder.string());
  }
  fs::path folder;
};

struct Fixture {
  Fixture()
      : server({.shards = 2}, per_shard<Silent>(), [this](Server& made) { site.prepare(made); }) {}
  Site site;
  ServerFixture server;
};

std::string get(std::string_view path, std::string_view headers = "",
                std::string_view method = "GET") {
  return std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: here\r\n" +
         std::string(headers) + "\r\n";
}

std::string post(std::string_view path, std::string_view body) {
  return get(path, "Content-Length: " + std::to_string(body.size()) + "\r\n", "POST") +
         std::string(body);
}

HttpAnswer ask(std::uint16_t port, std::string_view request) {
  RawPeer peer(port);
  peer.send(request);
  return peer.read_http();
}

}  // namespace

TEST_CASE("GET, query, headers") {
  const Fixture f;
  const HttpAnswer answer = ask(f.server.port(), get("/hello?who=you%21"));
  CHECK(answer.status == 200);
  CHECK(answer.body == "hello you!");
  CHECK(answer.header("x-test") == "1");
  CHECK(answer.header("Content-Type") == "text/plain; charset=utf-8");
  CHECK(ask(f.server.port(), get("/who?a=b")).body == "/who?a=b here");
}

TEST_CASE("HEAD is GET without the body") {
  const Fixture f;
  RawPeer peer(f.server.port());
  peer.send(get("/hello", "", "HEAD") + get("/hello"));
  const std::string head = peer.read_until("\r\n\r\n");
  CHECK(head.starts_with("HTTP/1.1 200"));
  CHECK(head.find("Content-Length: 12") != std::string::npos);
  CHECK(peer.read_http().body == "hello nobody");
}

TEST_CASE("POST with a body: by length, in chunks, in pieces") {
  const Fixture f;
  CHECK(ask(f.server.port(), post("/echo", "data")).body == "POST:data");
  CHECK(ask(f.server.port(), post("/echo", "data")).status == 201);
  RawPeer peer(f.server.port());
  peer.send(get("/echo", "Transfer-Encoding: chunked\r\n", "POST") + "3\r\nabc\r\n2;x=y\r\nde\r\n");
  peer.send("0\r\n\r\n");
  CHECK(peer.read_http().body == "POST:abcde");
  const std::string large(500'000, 'b');
  peer.send(post("/echo", large));
  CHECK(peer.read_http().body == "POST:" + large);
  for (const char c : post("/echo", "slow")) peer.send(std::string_view(&c, 1));
  CHECK(peer.read_http().body == "POST:slow");
}

TEST_CASE("a path that is not there, a method that is not") {
  const Fixture f;
  CHECK(ask(f.server.port(), get("/nowhere")).status == 404);
  const HttpAnswer wrong = ask(f.server.port(), get("/echo", "", "DELETE"));
  CHECK(wrong.status == 405);
  CHECK(wrong.header("Allow") == "POST, PUT");
  CHECK(ask(f.server.port(), get("/hello", "", "POST")).status == 405);
}

TEST_CASE("a handler that throws is answered with 500, and the server goes on") {
  Fixture f;
  const HttpAnswer answer = ask(f.server.port(), get("/crash"));
  CHECK(answer.status == 500);
  CHECK(answer.body.find("oops") == std::string::npos);
  CHECK(f.server->stats().total.handler_errors == 1);
  CHECK(ask(f.server.port(), get("/hello")).status == 200);
}

TEST_CASE("one connection, many requests; the last says so") {
  const Fixture f;
  RawPeer peer(f.server.port());
  for (int i = 0; i < 50; ++i) {
    peer.send(get("/hello?who=" + std::to_string(i)));
    CHECK(peer.read_http().body == "hello " + std::to_string(i));
  }
  peer.send(get("/hello", "Connection: close\r\n"));
  CHECK(peer.read_http().body == "hello nobody");
  CHECK(peer.read_end() == RawPeer::End::fin);
}

TEST_CASE("pipelined requests are answered in order, files among them") {
  const Fixture f;
  RawPeer peer(f.server.port());
  std::string all;
  for (int i = 0; i < 20; ++i) {
    all += get("/hello?who=" + std::to_string(i)) + get("/files/index.html") + post("/echo", "x");
  }
  SUBCASE("in one segment") { peer.send(all); }
  SUBCASE("cut in the middle") { peer.send_split(all, all.size() / 2 + 7); }
  for (int i = 0; i < 20; ++i) {
    CHECK(peer.read_http().body == "hello " + std::to_string(i));
    CHECK(peer.read_http().body == "<p>index");
    CHECK(peer.read_http().body == "POST:x");
  }
}

TEST_CASE("an upgrade behind a plain request, on the same connection") {
  const Fixture f;
  RawPeer peer(f.server.port());
  peer.send(get("/hello") + webshocket::test::upgrade_request());
  CHECK(peer.read_http().status == 200);
  CHECK(peer.read_http().status == 101);
  peer.send(webshocket::test::SentFrame{.opcode = webshocket::test::kPing, .payload = "p"});
  CHECK(peer.read_frame().payload == "p");
}

TEST_CASE("files: type, 404, hidden, outside, large") {
  const Fixture f;
  const std::uint16_t port = f.server.port();
  const HttpAnswer index = ask(port, get("/files/"));
  CHECK(index.body == "<p>index");
  CHECK(index.header("Content-Type") == "text/html; charset=utf-8");
  RawPeer head(port);
  head.send(get("/files/index.html", "", "HEAD") + get("/hello"));
  CHECK(head.read_until("\r\n\r\n").find("Content-Length: 8") != std::string::npos);
  CHECK(head.read_http().body == "hello nobody");
  CHECK(ask(port, get("/files/nothing")).status == 404);
  CHECK(ask(port, get("/files/.secret")).status == 404);
  CHECK(ask(port, get("/files/%2e%2e/x")).status == 404);
  CHECK(ask(port, post("/files/index.html", "")).status != 200);
  CHECK(ask(port, get("/files/large.txt")).body == std::string(3'000'000, 'L'));
}

TEST_CASE("a folder's prefix is a folder's, not the beginning of any name") {
  const Fixture f;
  CHECK(ask(f.server.port(), get("/filesindex.html")).status == 404);
  CHECK(ask(f.server.port(), get("/files")).status == 200);
  CHECK(ask(f.server.port(), get("/file")).status == 404);
}

TEST_CASE("a client that has said all it will say still gets its answer") {
  const Fixture f;
  for (const std::string path : {"/hello", "/files/index.html", "/files/large.txt"}) {
    CAPTURE(path);
    RawPeer peer(f.server.port());
    peer.send(get(path) + get(path) + get(path));
    peer.half_close();
    for (int i = 0; i < 3; ++i) CHECK(peer.read_http().status == 200);
    CHECK(peer.read_end() == RawPeer::End::fin);
  }
}

TEST_CASE("without pages, plain HTTP is told that an upgrade is expected") {
  const ServerFixture server({.shards = 1}, per_shard<Silent>());
  const HttpAnswer answer = ask(server.port(), get("/"));
  CHECK(answer.status >= 400);
  CHECK(answer.status < 500);
  CHECK(answer.status != 404);
}

TEST_CASE("a request that is too large is refused with the status that says so") {
  const ServerFixture server(
      {.shards = 1, .max_handshake_size = 1'000, .max_http_body = 100}, per_shard<Silent>(),
      [](Server& made) { made.on_http("POST", "/x", [](const auto&) { return HttpResponse(); }); });
  CHECK(ask(server.port(), post("/x", std::string(100, 'x'))).status == 200);
  CHECK(ask(server.port(), post("/x", std::string(101, 'x'))).status == 413);
  CHECK(ask(server.port(), get("/x", "A: " + std::string(2'000, 'a') + "\r\n")).status == 431);
}
