// The upgrade.

#include <algorithm>

#include "tests/conformance/servers.hpp"

namespace webshocket::test {
namespace {

using Lines = std::vector<std::string>;

const Lines kGoodLines = {"Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade",
                          "Sec-WebSocket-Version: 13",
                          "Sec-WebSocket-Key: " + std::string(kUpgradeKey)};

std::string request_of(const Lines& lines, const std::string& start = "GET / HTTP/1.1") {
  std::string text = start + "\r\n";
  for (const std::string& line : lines) text += line + "\r\n";
  return text + "\r\n";
}

Lines without(const std::string& name) {
  Lines lines = kGoodLines;
  std::erase_if(lines, [&](const std::string& line) { return line.starts_with(name + ":"); });
  return lines;
}

Lines with(const std::string& line) {
  Lines lines = without(line.substr(0, line.find(':')));
  lines.push_back(line);
  return lines;
}

HttpAnswer answer_to(std::uint16_t port, std::string_view request) {
  RawPeer peer(port);
  peer.send(request);
  return peer.read_http();
}

bool is_upgrade(const HttpAnswer& answer) {
  return answer.status == 101 && answer.header("Sec-WebSocket-Accept") == kUpgradeAccept;
}

void check_refused(std::uint16_t port, const std::string& request, int status) {
  CAPTURE(request.substr(0, 400));
  RawPeer peer(port);
  peer.send(request);
  const HttpAnswer answer = peer.read_http();
  CHECK(answer.status == status);
  CHECK(answer.header("Content-Type").value_or("").starts_with("text/plain"));
  CHECK_FALSE(answer.body.empty());
  CHECK(answer.header("Content-Length") == std::to_string(answer.body.size()));
  peer.read_end();
}

enum class Speaks { msgpack, json_text, json_binary };

Speaks dialect_of(RawPeer& peer) {
  peer.send(text_frame(R"({"source":4,"data":1})"));
  const Frame reply = peer.read_frame();
  if (reply.payload == R"({"source":4,"data":1})") {
    return reply.opcode == kText ? Speaks::json_text : Speaks::json_binary;
  }
  CHECK(reply.payload.starts_with('\x82'));
  CHECK(reply.opcode == kBinary);
  return Speaks::msgpack;
}

}  // namespace

TEST_CASE("a request gets a 101 without extensions, on any path") {
  on_each_shard_count([](std::uint16_t port) {
    for (const std::string path : {"/", "/chat", "/a/b%20c", "/?x=1&y=2", "/deep/path?q=%2F"}) {
      CAPTURE(path);
      RawPeer peer(port);
      const HttpAnswer answer =
          peer.upgrade({.path = path, .headers = {"Sec-WebSocket-Extensions: permessage-deflate"}});
      CHECK(answer.head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
      CHECK(answer.header("Upgrade") == "websocket");
      CHECK(answer.header("Connection").value_or("").size() == 7);
      CHECK_FALSE(answer.header("Sec-WebSocket-Protocol"));
      CHECK_FALSE(answer.header("Sec-WebSocket-Extensions"));
      CHECK_FALSE(answer.header("Content-Length"));
    }
  });
}

TEST_CASE("the subprotocol decides the dialect, by whole tokens, the first offer of ours") {
  struct Case {
    std::string offer, chosen;
    Speaks speaks;
  };
  const Case cases[] = {
      {"", "", Speaks::json_binary},
      {"webshocket.v1", "webshocket.v1", Speaks::msgpack},
      {"webshocket.v1.json", "webshocket.v1.json", Speaks::json_text},
      {"webshocket.v1, other", "webshocket.v1", Speaks::msgpack},
      {"other, webshocket.v1", "webshocket.v1", Speaks::msgpack},
      {"other,webshocket.v1", "webshocket.v1", Speaks::msgpack},
      {"webshocket.v1, webshocket.v1.json", "webshocket.v1", Speaks::msgpack},
      {"webshocket.v1.json, webshocket.v1", "webshocket.v1.json", Speaks::json_text},
      {"a, b, c,  webshocket.v1.json ,d", "webshocket.v1.json", Speaks::json_text},
      {"xwebshocket.v12", "", Speaks::json_binary},
      {"webshocket.v1.json2, webshocket", "", Speaks::json_binary},
      {"chat, superchat", "", Speaks::json_binary},
  };
  on_each_shard_count([&](std::uint16_t port) {
    for (const Case& c : cases) {
      CAPTURE(c.offer);
      RawPeer peer(port);
      const HttpAnswer answer = peer.upgrade({.subprotocol = c.offer});
      CHECK(answer.header("Sec-WebSocket-Protocol").value_or("") == c.chosen);
      CHECK(dialect_of(peer) == c.speaks);
    }
    RawPeer two_lines(port);
    two_lines.upgrade(
        {.headers = {"Sec-WebSocket-Protocol: other", "sec-websocket-protocol: webshocket.v1"}});
    CHECK(dialect_of(two_lines) == Speaks::msgpack);
  });
}

TEST_CASE("header names have no case, the lists are lists, and any order will do") {
  on_each_shard_count([](std::uint16_t port) {
    for (const Lines& lines :
         {with("Connection: keep-alive, Upgrade"), with("Connection: UPGRADE"),
          with("Connection: a,upgrade ,b"), with("Upgrade: WebSocket"),
          with("Upgrade: h2c, websocket"), with("X-Unknown: 1"), with("Content-Length: 0"),
          with("Origin: http://elsewhere.example")}) {
      CAPTURE(lines.back());
      CHECK(is_upgrade(answer_to(port, request_of(lines))));
    }
    Lines upper = kGoodLines;
    Lines tight = kGoodLines;
    for (std::string& line : upper) {
      const auto colon = line.begin() + static_cast<std::ptrdiff_t>(line.find(':'));
      std::transform(line.begin(), colon, line.begin(),
                     [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    }
    for (std::string& line : tight) line.erase(line.find(':') + 1, 1);
    CHECK(is_upgrade(answer_to(port, request_of(upper))));
    CHECK(is_upgrade(answer_to(port, request_of(tight))));
    Lines turned = kGoodLines;
    for (std::size_t i = 0; i < turned.size(); ++i) {
      std::rotate(turned.begin(), turned.begin() + 1, turned.end());
      CHECK(is_upgrade(answer_to(port, request_of(turned))));
    }
  });
}

TEST_CASE("the request and a message right behind it may be cut at every byte") {
  const std::string message = from_hex("82a6736f7572636504a464617461a26869");
  const std::string bytes =
      upgrade_request({.subprotocol = "webshocket.v1"}) + binary_frame(message);
  on_each_shard_count([&](std::uint16_t port) {
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      CAPTURE(cut);
      RawPeer peer(port);
      peer.send_split(bytes, cut);
      REQUIRE(is_upgrade(peer.read_http()));
      REQUIRE(peer.read_message() == message);
    }
  });
}

TEST_CASE("messages in the segment of the request are answered in order") {
  on_each_shard_count([](std::uint16_t port) {
    std::string bytes = upgrade_request();
    for (int i = 0; i < 100; ++i) {
      bytes += text_frame(R"({"source":4,"data":)" + std::to_string(i) + "}");
    }
    RawPeer peer(port);
    peer.send(bytes);
    REQUIRE(is_upgrade(peer.read_http()));
    for (int i = 0; i < 100; ++i) {
      REQUIRE(peer.read_message() == R"({"source":4,"data":)" + std::to_string(i) + "}");
    }
  });
}

TEST_CASE("bad requests get 400, 405, 426 or 431 with a text, then the end") {
  on_each_shard_count([](std::uint16_t port) {
    for (const char* name :
         {"Host", "Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key"}) {
      check_refused(port, request_of(without(name)), 400);
    }
    for (const Lines& lines :
         {with("Sec-WebSocket-Key: short"), with("Sec-WebSocket-Key: "),
          with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ="), with("Connection: keep-alive"),
          with("Connection: upgraded"), with("Upgrade: h2c"), with("Upgrade: websockets"),
          with("Sec-WebSocket-Protocol: \"quoted\"")}) {
      check_refused(port, request_of(lines), 400);
    }
    check_refused(port, request_of(with("Content-Length: 5")) + "hello", 400);
    check_refused(port, request_of(with("Transfer-Encoding: chunked")) + "0\r\n\r\n", 400);
    Lines two_keys = kGoodLines;
    two_keys.push_back(kGoodLines.back());
    check_refused(port, request_of(two_keys), 400);
    check_refused(port, request_of(kGoodLines, "GET / HTTP/1.0"), 400);
    check_refused(port, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400);
    check_refused(port, "nonsense\r\n\r\n", 400);
    check_refused(port, request_of(with("Broken line without colon")), 400);
    check_refused(port, request_of(with("Na me: x")), 400);
    check_refused(port, request_of(kGoodLines, "POST / HTTP/1.1"), 405);
    check_refused(port, request_of(kGoodLines, "PUT /x HTTP/1.1"), 405);
    for (const char* version : {"8", "7", "12", "14", "x", "13, 8"}) {
      const std::string text = request_of(with("Sec-WebSocket-Version: " + std::string(version)));
      check_refused(port, text, 426);
      CHECK(answer_to(port, text).header("Sec-WebSocket-Version") == "13");
    }
    check_refused(port, request_of(with("X-Big: " + std::string(17 * 1024, 'x'))), 431);
    Lines many = kGoodLines;
    for (int i = 0; i < 200; ++i) many.push_back("X-" + std::to_string(i) + ": 1");
    check_refused(port, request_of(many), 431);
    check_alive(port);
  });
}

TEST_CASE("what is no HTTP at all gets an error or the end, and nobody else notices") {
  on_each_shard_count([](std::uint16_t port) {
    WsClient bystander(port);
    for (const std::string& garbage :
         {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), std::string(100, '\0'),
          std::string("\r\n\r\n\r\n\r\n"), std::string("GET\r\n\r\n"),
          std::string("GET / HTTP/9.9\r\n\r\n"), std::string("\xff\xfe\xfd\r\n\r\n"),
          std::string(70'000, 'a')}) {
      RawPeer peer(port);
      try {
        peer.send(garbage);
        peer.half_close();
        while (peer.ended() == RawPeer::End::none && peer.unread() == 0) {
          if (!peer.absorb()) break;
        }
        if (peer.unread() != 0) CHECK(peer.read_http().status >= 400);
      } catch (const PeerError&) {
        CHECK(peer.ended() != RawPeer::End::none);
      }
      CHECK(bystander.call("add", "[2,3]") == "5");
    }
  });
}

TEST_CASE("the limit of connections is exact over all shards") {
  constexpr std::size_t kLimit = 7;
  constexpr std::size_t kRacers = 40;
  for (const unsigned shards : kShardCounts) {
    CAPTURE(shards);
    ServerProcess server(conformance_program(), {"--port", "0", "--shards", std::to_string(shards),
                                                 "--max-connection", std::to_string(kLimit)});
    std::vector<RawPeer> racers;
    for (std::size_t i = 0; i < kRacers; ++i) racers.emplace_back(server.port());
    for (RawPeer& racer : racers) racer.send(upgrade_request());
    std::vector<RawPeer> winners;
    for (RawPeer& racer : racers) {
      const HttpAnswer answer = racer.read_http();
      if (answer.status == 101) {
        winners.push_back(std::move(racer));
        continue;
      }
      CHECK(answer.head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
      CHECK(answer.header("Content-Type").value_or("").starts_with("text/plain"));
      CHECK(answer.header("Content-Length") == "32");
      CHECK(answer.body == "Server is full, try again later.");
      racer.read_end();
    }
    CHECK(winners.size() == kLimit);
    // Each one that leaves makes room for exactly one.
    winners.front().send(close_frame(1000));
    winners.front().read_close_and_end();
    const auto status = [&] {
      RawPeer peer(server.port());
      const int result = peer.request().status;
      if (result == 101) winners.front() = std::move(peer);
      return result;
    };
    while (status() != 101) {
    }
    CHECK(status() == 503);
    winners.clear();
    CHECK(server.terminate() == 0);
  }
}

}  // namespace webshocket::test
