// RFC 6455, section 4.2: what a server takes for an opening handshake, line by line.

#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/header_lines.hpp"
#include "tests/support/raw_echo.hpp"
#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"

namespace webshocket::test {
namespace {

const std::string kKeyLine = "Sec-WebSocket-Key: " + std::string(kUpgradeKey);
const HeaderLines kGood({"Host: server.example", "Upgrade: websocket", "Connection: Upgrade",
                         kKeyLine, "Sec-WebSocket-Version: 13"});

struct Row {
  std::string name;
  std::string request;
  int status;
};

std::string request_of(const Lines& lines, const std::string& start = "GET /chat HTTP/1.1",
                       const std::string& line_end = "\r\n") {
  return head_of(start, lines, line_end);
}

template <class Change>
std::string in_case(std::string text, Change change) {
  std::ranges::transform(text, text.begin(), [&](char c) {
    return static_cast<char>(change(static_cast<unsigned char>(c)));
  });
  return text;
}

/// Each connection gets its status; a 101 echoes, anything else ends.
void check(const std::vector<Row>& rows) {
  Config config;
  config.shards = 2;
  config.allowed_origins = {"*"};
  const ServerFixture server(std::move(config), per_shard<RawEcho>());
  for (const Row& row : rows) {
    std::string complaint;
    try {
      RawPeer peer(server.port());
      peer.send(row.request);
      const HttpAnswer answer = peer.read_http();
      if (answer.status != row.status) complaint = "it got " + answer.head + answer.body;
      if (answer.status == 101) {
        if (answer.header("Sec-WebSocket-Accept") != kUpgradeAccept) complaint = answer.head;
        peer.send(text_frame("hello"));
        if (peer.read_message() != "hello") complaint = "the echo is another text";
      } else if (peer.read_end() != RawPeer::End::fin) {
        complaint = "the connection was reset";
      }
    } catch (const std::exception& error) {
      complaint = error.what();
    }
    CHECK_MESSAGE(complaint.empty(), row.name, ": ", complaint);
  }
}

}  // namespace

TEST_CASE("a good request in every spelling: 101") {
  std::vector<Row> rows;
  for (const std::string& line : kGood.all()) {
    const std::string name = name_of(line);
    const std::string rest = line.substr(name.size());
    for (const auto& [how, change] :
         {std::pair("lower", &::tolower), std::pair("upper", &::toupper)}) {
      Lines lines = kGood.without(name);
      lines.push_back(in_case(name, change) + rest);
      rows.push_back({name + " in " + how + " case", request_of(lines), 101});
    }
    const std::string value = rest.substr(2);
    for (const auto& [before, after] :
         {std::pair(":", ""), std::pair(":   ", ""), std::pair(":\t", ""), std::pair(": ", "  "),
          std::pair(": ", "\t ")}) {
      std::string spaced = name;
      spaced.append(before).append(value).append(after);
      rows.push_back(
          {"blanks around the value, '" + spaced + "'", request_of(kGood.with(spaced)), 101});
    }
  }
  Lines order = kGood.all();
  std::ranges::sort(order);
  do {
    std::string names;
    for (const std::string& line : order) names += name_of(line) + " ";
    rows.push_back({"the order " + names, request_of(order), 101});
  } while (std::ranges::next_permutation(order).found);
  for (const char* line :
       {"Upgrade: WebSocket", "Upgrade: WEBSOCKET", "Upgrade: h2c, websocket",
        "Upgrade: websocket,h2c", "Upgrade: , websocket ,", "Connection: upgrade",
        "Connection: UPGRADE", "Connection: keep-alive, Upgrade", "Connection: Upgrade,keep-alive",
        "Connection: ,,Upgrade , x"}) {
    rows.push_back({line, request_of(kGood.with(line)), 101});
  }
  for (const char* line :
       {"Connection: keep-alive", "Upgrade: h2c", "Origin: http://a.example", "Origin: null",
        "Cookie: a=b; c=d", "Authorization: Basic eDp5", "User-Agent: x", "Pragma: no-cache",
        "Content-Length: 0", "X-Empty:", "X-Empty: ", "X-Colons: a:b:c", "X-Latin: \xe9",
        "Sec-WebSocket-Protocol: chat, superchat", "Sec-WebSocket-Protocol: chat",
        "Sec-WebSocket-Extensions: x-unknown; a=1", "Sec-WebSocket-Extensions: foo, bar; baz=\"q\"",
        "Sec-WebSocket-Key1: 18x 6]8vM;54 *(5:  {   U1]8  z [  8"}) {
    rows.push_back({std::string("besides, ") + line, request_of(kGood.and_also(line)), 101});
  }
  Lines two_lists = kGood.and_also("Sec-WebSocket-Protocol: chat");
  two_lists.emplace_back("sec-websocket-protocol: superchat");
  rows.push_back({"subprotocols in two headers", request_of(two_lists), 101});
  for (const char* target :
       {"/", "/a/b?c=d&e", "/?", "/%20", "/a;b", "http://server.example/chat?x=1",
        "HTTP://server.example/", "http://server.example"}) {
    rows.push_back({std::string("the target ") + target,
                    request_of(kGood.all(), "GET " + std::string(target) + " HTTP/1.1"), 101});
  }
  rows.push_back({"empty lines before it", "\r\n\r\n" + request_of(kGood.all()), 101});
  check(rows);
}

TEST_CASE("a bad request is named, and ends the connection") {
  std::vector<Row> rows;
  for (const std::string& line : kGood.all()) {
    rows.push_back({"without " + line, request_of(kGood.without(name_of(line))), 400});
    rows.push_back({"an empty value, " + name_of(line), request_of(kGood.with(name_of(line) + ":")),
                    name_of(line) == "Sec-WebSocket-Version" ? 426 : 400});
    rows.push_back({"a blank before the colon, " + line,
                    request_of(kGood.with(name_of(line) + " " + line.substr(name_of(line).size()))),
                    400});
  }
  for (const char* line : {"Upgrade: websockets",
                           "Upgrade: web socket",
                           "Upgrade: websocket/13x y",
                           "Upgrade: h2c",
                           "Upgrade: \"websocket\"",
                           "Connection: keep-alive",
                           "Connection: upgraded",
                           "Connection: close",
                           "Connection: \"Upgrade\"",
                           "Connection: Up grade",
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=",
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ",
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ===",
                           "Sec-WebSocket-Key: ====",
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTEyMw==",
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZS\x01ub25jZQ==",
                           "Sec-WebSocket-Key: dGhl IHNhbXBsZSBub25jZQ==",
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ_==",
                           "Sec-WebSocket-Key: 16 bytes, not 24",
                           "Host: a b",
                           "Host: a/b",
                           "Host: a@b"}) {
    rows.push_back({line, request_of(kGood.with(line)), 400});
  }
  for (const char* version : {"0", "6", "7", "8", "12", "14", "013", "13.0", "+13", "0x0D",
                              "thirteen", "13, 8", "8, 13", "-13", "130", "4294967309"}) {
    rows.push_back({"version " + std::string(version),
                    request_of(kGood.with("Sec-WebSocket-Version: " + std::string(version))), 426});
  }
  rows.push_back({"two versions", request_of(kGood.and_also("Sec-WebSocket-Version: 13")), 426});
  for (const std::string& line :
       {kKeyLine, std::string("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="),
        std::string("sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA=="),
        std::string("Host: server.example"), std::string("Host: other.example"),
        std::string("HOST: other.example"), std::string("Content-Length: -1"),
        std::string("Sec-WebSocket-Protocol: a b"), std::string("Sec-WebSocket-Protocol: \"a\""),
        std::string("Sec-WebSocket-Protocol: a;b"), std::string("no colon"),
        std::string(": no name"), std::string("X Y: a blank in the name"),
        std::string("X\x01: a control character in it"), std::string("X: a control character\x01"),
        std::string("X: a NUL\0", 9), std::string("X: a carriage return\rinside"),
        std::string("X: folded\r\n over two lines"), std::string("X: folded\r\n\tby a tab")}) {
    rows.push_back({"besides, " + line, request_of(kGood.and_also(line)), 400});
  }
  rows.push_back({"a body", request_of(kGood.and_also("Content-Length: 5")) + "hello", 400});
  rows.push_back(
      {"a body in chunks",
       request_of(kGood.and_also("Transfer-Encoding: chunked")) + "5\r\nhello\r\n0\r\n\r\n", 400});
  rows.push_back({"folded in the first header", request_of([] {
                    Lines lines = kGood.all();
                    lines.front() = "Host:\r\n server.example";
                    return lines;
                  }()),
                  400});
  rows.push_back({"line feeds alone", request_of(kGood.all(), "GET / HTTP/1.1", "\n"), 400});
  rows.push_back({"a line feed alone at the end",
                  request_of(kGood.all()).substr(0, request_of(kGood.all()).size() - 2) + "\n",
                  400});
  for (const char* method : {"POST", "PUT", "OPTIONS", "DELETE", "PATCH"}) {
    rows.push_back({method, request_of(kGood.all(), std::string(method) + " /chat HTTP/1.1"), 405});
  }
  rows.push_back({"get", request_of(kGood.all(), "get /chat HTTP/1.1"), 400});
  rows.push_back({"HTTP/1.0", request_of(kGood.all(), "GET /chat HTTP/1.0"), 400});
  for (const char* start : {"GET /chat", "GET /chat ", "GET  /chat HTTP/1.1", "GET /chat  HTTP/1.1",
                            " GET /chat HTTP/1.1", "GET\t/chat HTTP/1.1", "GET /a b HTTP/1.1",
                            "GET chat HTTP/1.1", "GET /chat#x HTTP/1.1", "GET /\x01 HTTP/1.1",
                            "GET /chat HTTP/1.1 ", "GET /chat http/1.1", "GET /chat FTP/1.1"}) {
    rows.push_back({"the start " + std::string(start), request_of(kGood.all(), start), 400});
  }
  for (const char* version : {"HTTP/2.0", "HTTP/0.9", "HTTP/3.1", "HTTP/x.y"}) {
    rows.push_back({version, request_of(kGood.all(), "GET /chat " + std::string(version)), 505});
  }
  rows.push_back(
      {"a long header", request_of(kGood.and_also("X: " + std::string(20'000, 'x'))), 431});
  rows.push_back({"a long target",
                  request_of(kGood.all(), "GET /" + std::string(20'000, 'x') + " HTTP/1.1"), 431});
  Lines many = kGood.all();
  for (int i = 0; i < 200; ++i) many.push_back("X-" + std::to_string(i) + ": 1");
  rows.push_back({"200 headers", request_of(many), 431});
  check(rows);
}

TEST_CASE("frames behind the request belong to the connection, however they come") {
  Config config;
  config.shards = 2;
  const ServerFixture server(std::move(config), per_shard<RawEcho>());
  const std::string request = request_of(kGood.all());
  const std::string ping = SentFrame{.opcode = kPing, .payload = "p"}.bytes();
  const std::string bytes =
      request + text_frame("one") + ping + binary_frame("two") + close_frame(1000, "three");
  const auto await_answers = [](RawPeer& peer) {
    CHECK(peer.read_http().status == 101);
    CHECK(peer.read_frame() == Frame{.fin = true, .opcode = kText, .payload = "one"});
    CHECK(peer.read_frame() == Frame{.fin = true, .opcode = kPong, .payload = "p"});
    CHECK(peer.read_frame() == Frame{.fin = true, .opcode = kBinary, .payload = "two"});
    CHECK(peer.read_close_and_end() == Close{1000, "three"});
  };
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    CAPTURE(cut);
    RawPeer peer(server.port());
    peer.send_split(bytes, cut);
    await_answers(peer);
  }
  RawPeer slow(server.port());
  for (const char byte : bytes) slow.send({&byte, 1});
  await_answers(slow);
  RawPeer wrong(server.port());
  wrong.send(request + SentFrame{.opcode = 3}.bytes());
  CHECK(wrong.read_http().status == 101);
  CHECK(wrong.read_close_and_end().code == 1002);
  RawPeer leaving(server.port());
  leaving.send(request + text_frame("last words"));
  leaving.half_close();
  CHECK(leaving.read_http().status == 101);
  CHECK(leaving.read_message() == "last words");
  CHECK(leaving.read_end() == RawPeer::End::fin);
}

}  // namespace webshocket::test
