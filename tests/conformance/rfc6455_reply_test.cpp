// RFC 6455, section 4.1: what a client takes for the answer to its opening handshake.

#include <doctest/doctest.h>

#include <algorithm>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/client.hpp>
#include <webshocket/error.hpp>

#include "protocol/handshake.hpp"
#include "tests/support/header_lines.hpp"
#include "tests/support/raw_server.hpp"

namespace webshocket::test {
namespace {

/// <accept> stands for what belongs to the key.
const HeaderLines kGood({"Upgrade: websocket", "Connection: Upgrade",
                         "Sec-WebSocket-Accept: <accept>"});

struct Row {
  std::string name;
  std::string reply;
  bool hangs_up = false;
};

std::string reply_of(const Lines& lines,
                     const std::string& start = "HTTP/1.1 101 Switching Protocols",
                     const std::string& line_end = "\r\n") {
  return head_of(start, lines, line_end);
}

std::string for_key(std::string reply, const std::string& key) {
  const std::string_view mark = "<accept>";
  const auto at = reply.find(mark);
  return at == std::string::npos ? reply
                                 : reply.replace(at, mark.size(), protocol::accept_key(key));
}

/// A client's try against each of them. `is_taken`: it opens, and an echo shows that it is well.
void check(const std::vector<Row>& rows, bool is_taken) {
  ClientConfig config;
  config.format = Format::raw;
  config.subprotocols = {"chat", "superchat"};
  config.on_receive = [](Client& client, const Packet& packet) { client.send(packet.data); };
  RawServer server;
  const ClientLoop loop;
  for (const Row& row : rows) {
    std::string complaint;
    try {
      Client client(server.uri(), config, loop);
      auto script = play([&] {
        auto [peer, request] = server.accept_request();
        peer.send(for_key(row.reply, request.header("Sec-WebSocket-Key").value_or("")));
        if (row.hangs_up) peer.half_close();
        if (!is_taken) {
          peer.read_end();
          return;
        }
        peer.send(served_text("hello"));
        if (peer.read_message() != "hello") throw PeerError("the echo is another text");
      });
      bool opened = true;
      try {
        client.connect();
      } catch (const ConnectionFailedError& error) {
        opened = false;
        if (is_taken) complaint = error.what();
      }
      if (opened && !is_taken) complaint = "it was taken";
      if (!is_taken) client.close();
      script.get();
    } catch (const std::exception& error) {
      complaint += error.what();
    }
    CHECK_MESSAGE(complaint.empty(), row.name, ": ", complaint);
  }
}

}  // namespace

TEST_CASE("a good reply in every spelling opens the connection") {
  std::vector<Row> rows = {
      {"as it should be", reply_of(kGood.all())},
      {"no phrase", reply_of(kGood.all(), "HTTP/1.1 101 ")},
      {"another phrase", reply_of(kGood.all(), "HTTP/1.1 101 Web Socket Protocol Handshake")},
      {"behind a 100", "HTTP/1.1 100 Continue\r\n\r\n" + reply_of(kGood.all())},
      {"behind two replies of 103",
       "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" +
           reply_of(kGood.all())},
  };
  Lines order = kGood.all();
  std::ranges::sort(order);
  do {
    rows.push_back({"the order " + order[0] + ", " + order[1], reply_of(order)});
  } while (std::ranges::next_permutation(order).found);
  for (const char* line : {"Upgrade: WebSocket", "Upgrade: WEBSOCKET", "Upgrade:websocket",
                           "Upgrade:  websocket \t", "Connection: upgrade", "Connection: UPGRADE",
                           "Connection: keep-alive, Upgrade", "Connection: Upgrade,x",
                           "Sec-WebSocket-Accept:<accept>", "Sec-WebSocket-Accept:  <accept>  "}) {
    rows.push_back({line, reply_of(kGood.with(line))});
  }
  for (const auto& [name, line] :
       {std::pair("Upgrade", "upgrade: websocket"), std::pair("Upgrade", "UPGRADE: websocket"),
        std::pair("Connection", "connection: Upgrade"),
        std::pair("Connection", "CONNECTION: Upgrade"),
        std::pair("Sec-WebSocket-Accept", "sec-websocket-accept: <accept>"),
        std::pair("Sec-WebSocket-Accept", "SEC-WEBSOCKET-ACCEPT: <accept>")}) {
    Lines lines = kGood.without(name);
    lines.emplace_back(line);
    rows.push_back({line, reply_of(lines)});
  }
  for (const char* line : {"Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: superchat",
                           "sec-websocket-protocol:  chat ", "Server: x", "Date: today",
                           "Set-Cookie: a=b", "X-Empty:", "Connection: keep-alive"}) {
    rows.push_back({std::string("besides, ") + line, reply_of(kGood.and_also(line))});
  }
  check(rows, true);
}

TEST_CASE("a bad reply is none") {
  std::vector<Row> rows;
  for (const std::string& line : kGood.all()) {
    rows.push_back({"without " + line, reply_of(kGood.without(name_of(line)))});
    rows.push_back({"an empty value, " + name_of(line), reply_of(kGood.with(name_of(line) + ":"))});
    rows.push_back({"a blank before the colon, " + line,
                    reply_of(kGood.with(name_of(line) + " " + line.substr(name_of(line).size())))});
  }
  for (const char* line :
       {"Upgrade: websockets", "Upgrade: h2c", "Upgrade: \"websocket\"", "Connection: keep-alive",
        "Connection: close", "Connection: upgraded",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Accept: x<accept>",
        "Sec-WebSocket-Accept: <accept>x", "Sec-WebSocket-Accept: \"<accept>\"",
        "Sec-WebSocket-Accept: <accept>, <accept>", "Sec-WebSocket-Accept: ="}) {
    rows.push_back({line, reply_of(kGood.with(line))});
  }
  for (const char* line :
       {"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Protocol: soap",
        "Sec-WebSocket-Protocol: Chat", "Sec-WebSocket-Protocol: chat, superchat",
        "Sec-WebSocket-Protocol: chat2", "Sec-WebSocket-Extensions: x-unknown",
        "Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Extensions: \"\"",
        "no colon", ": no name", "X Y: a blank in the name", "X: a control character\x01",
        "X: folded\r\n over two lines"}) {
    rows.push_back({std::string("besides, ") + line, reply_of(kGood.and_also(line))});
  }
  Lines two_choices = kGood.and_also("Sec-WebSocket-Protocol: chat");
  two_choices.emplace_back("Sec-WebSocket-Protocol: superchat");
  rows.push_back({"two subprotocols", reply_of(two_choices)});
  for (const char* start : {"HTTP/1.0 101 Switching Protocols", "HTTP/2.0 101 Switching Protocols",
                            "HTTP/0.9 101 Switching Protocols", "http/1.1 101 Switching Protocols",
                            "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 1010 x", "HTTP/1.1 10 x",
                            "HTTP/1.1 abc x", "ICY 101 OK", "101 Switching Protocols"}) {
    rows.push_back({"the start '" + std::string(start) + "'", reply_of(kGood.all(), start)});
  }
  for (const char* status :
       {"200 OK", "201 Created", "204 No Content", "301 Moved", "302 Found", "304 Not Modified",
        "307 Temporary Redirect", "400 Bad Request", "401 Unauthorized", "403 Forbidden",
        "404 Not Found", "407 Proxy Authentication Required", "408 Request Timeout",
        "426 Upgrade Required", "429 Too Many Requests", "500 Internal Server Error",
        "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"}) {
    const std::string start = "HTTP/1.1 " + std::string(status);
    rows.push_back({status, reply_of({"Content-Length: 0"}, start)});
    rows.push_back({std::string(status) + ", though all the headers are right",
                    reply_of(kGood.and_also("Content-Length: 0"), start)});
  }
  const std::string good = reply_of(kGood.all());
  rows.push_back({"line feeds alone", reply_of(kGood.all(), "HTTP/1.1 101 Yes", "\n")});
  rows.push_back({"what is no HTTP", "SSH-2.0-OpenSSH_9.2\r\n"});
  rows.push_back({"a frame", served_text("hello")});
  rows.push_back(
      {"too much of a head", reply_of(kGood.and_also("X: " + std::string(100'000, 'x')))});
  rows.push_back({"nothing, then the end", "", true});
  rows.push_back({"half a line, then the end", good.substr(0, 10), true});
  rows.push_back({"all but the last byte, then the end", good.substr(0, good.size() - 1), true});
  rows.push_back({"a 100, then the end", "HTTP/1.1 100 Continue\r\n\r\n", true});
  check(rows, false);
}

}  // namespace webshocket::test
