#include "protocol/http.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

using namespace webshocket::protocol;

using RequestStatus = HttpRequestReader::Status;
using ReplyStatus = HttpReplyReader::Status;

namespace {

/// Feeds the text in memory of exactly its size; returns what the reader left.
template <typename Reader>
std::string feed(Reader& reader, std::string_view text, typename Reader::Status& status) {
  const auto memory = std::make_unique<std::byte[]>(text.size());
  if (!text.empty()) std::memcpy(memory.get(), text.data(), text.size());
  std::span<const std::byte> input(memory.get(), text.size());
  status = reader.feed(input);
  return std::string(text.substr(text.size() - input.size()));
}

/// What a request becomes, however it is cut.
struct Outcome {
  RequestStatus status{};
  std::string method = {}, target = {}, path = {}, query = {}, body = {}, rest = {};
  std::vector<std::string> headers = {};
  int version_minor = 0;
  bool keep_alive = false;
  bool upgrade = false;
  int error = 0;
  std::string fault = {};

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome outcome(std::string_view text, std::size_t first, std::size_t second,
                HttpLimits limits = {}) {
  HttpRequestReader reader(limits);
  Outcome out;
  std::size_t from = 0;
  for (const std::size_t to : {first, second, text.size()}) {
    out.rest += feed(reader, text.substr(from, to - from), out.status);
    from = to;
  }
  if (out.status == RequestStatus::error) {
    out.error = reader.error().status;
    out.fault = reader.error().text;
    out.rest.clear();
    return out;
  }
  const HttpHead& head = reader.head();
  out.method = head.method;
  out.target = head.target;
  out.path = head.path;
  out.query = head.query;
  for (const HttpHeader& header : head.headers) {
    out.headers.push_back(header.name + "=" + header.value);
  }
  out.version_minor = head.version_minor;
  out.keep_alive = head.keep_alive;
  out.upgrade = reader.upgrade();
  out.body = reader.body();
  return out;
}

/// Reads the text whole and cut at every byte; all must agree.
Outcome read(std::string_view text, HttpLimits limits = {}) {
  const Outcome whole = outcome(text, text.size(), text.size(), limits);
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    CAPTURE(cut);
    CHECK(outcome(text, cut, text.size(), limits) == whole);
    CHECK(outcome(text, cut, cut + 1, limits) == whole);
  }
  return whole;
}

int refused(std::string_view text, HttpLimits limits = {}) {
  CAPTURE(text);
  const Outcome out = read(text, limits);
  CHECK(out.status == RequestStatus::error);
  CHECK(!out.fault.empty());
  return out.error;
}

const std::string kHost = "Host: example\r\n";

std::string with(std::string_view headers) {
  return "GET / HTTP/1.1\r\n" + kHost + std::string(headers) + "\r\n";
}

}  // namespace

TEST_CASE("a request, taken apart") {
  const Outcome out = read(
      "GET /chat/room%201?token=a&b=c?d HTTP/1.1\r\n"
      "Host: 127.0.0.1:9300\r\n"
      "X-Empty:\r\n"
      "X-Spaced: \t two words \t\r\n"
      "accept: */*\r\n"
      "ACCEPT: text/html\r\n"
      "\r\n");
  CHECK(out.status == RequestStatus::complete);
  CHECK(out.method == "GET");
  CHECK(out.target == "/chat/room%201?token=a&b=c?d");
  CHECK(out.path == "/chat/room%201");
  CHECK(out.query == "token=a&b=c?d");
  CHECK(out.headers == std::vector<std::string>{"Host=127.0.0.1:9300",
                                                "X-Empty=", "X-Spaced=two words", "accept=*/*",
                                                "ACCEPT=text/html"});
  CHECK(out.version_minor == 1);
  CHECK(out.keep_alive);
  CHECK(!out.upgrade);
  CHECK(out.body.empty());
}

TEST_CASE("every form of a target") {
  const auto target = [](std::string_view method, std::string_view text) {
    return read(std::string(method) + " " + std::string(text) + " HTTP/1.1\r\n" + kHost + "\r\n");
  };
  CHECK(target("GET", "/").path == "/");
  CHECK(target("GET", "/?").path == "/");
  CHECK(target("GET", "/?").query.empty());
  CHECK(target("GET", "/a?u=http://b/c").path == "/a");
  CHECK(target("GET", "/a?u=http://b/c").query == "u=http://b/c");
  CHECK(target("GET", "http://example:80/a/b?c").path == "/a/b");
  CHECK(target("GET", "http://example:80/a/b?c").query == "c");
  CHECK(target("GET", "http://example").path == "/");
  CHECK(target("OPTIONS", "*").path == "*");
  CHECK(target("CONNECT", "example:443").target == "example:443");
  CHECK(target("CONNECT", "example:443").status == RequestStatus::complete);
  CHECK(target("GET", "/#part").error == 400);
  CHECK(target("GET", "nothing").error == 400);
}

TEST_CASE("headers are found in any case, tokens in lists over several headers") {
  HttpRequestReader reader;
  RequestStatus status{};
  feed(reader, with("Connection: keep-alive , UPGRADE\r\nconnection:,, x-y\r\nEmpty: ,\r\n"),
       status);
  REQUIRE(status == RequestStatus::complete);
  const HttpHead& head = reader.head();
  REQUIRE(head.find("hOST") != nullptr);
  CHECK(*head.find("hOST") == "example");
  CHECK(head.find("Hos") == nullptr);
  CHECK(head.count("CONNECTION") == 2);
  CHECK(head.has_token("Connection", "upgrade"));
  CHECK(head.has_token("connection", "Keep-Alive"));
  CHECK(head.has_token("Connection", "X-Y"));
  CHECK(!head.has_token("Connection", "up"));
  CHECK(!head.has_token("Connection", "upgrades"));
  CHECK(!head.has_token("Connection", "keep-alive , UPGRADE"));
  CHECK(!head.has_token("Empty", ""));
  CHECK(!head.has_token("Upgrade", "websocket"));
}

TEST_CASE("keep-alive") {
  CHECK(read(with("")).keep_alive);
  CHECK(!read(with("Connection: close\r\n")).keep_alive);
  CHECK(!read(with("Connection: Upgrade, CLOSE\r\n")).keep_alive);
  CHECK(!read("GET / HTTP/1.0\r\n\r\n").keep_alive);
  CHECK(read("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
}

TEST_CASE("upgrade needs both headers") {
  CHECK(read(with("Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n")).upgrade);
  CHECK(read(with("connection: upgrade\r\nUPGRADE: WebSocket\r\n")).upgrade);
  CHECK(!read(with("Upgrade: websocket\r\n")).upgrade);
  CHECK(!read(with("Connection: upgrade\r\n")).upgrade);
  CHECK(!read(with("Upgrade: websocket\r\nConnection: upgraded\r\n")).upgrade);
}

TEST_CASE("what follows the request stays in the input") {
  const std::string upgrade = with("Upgrade: websocket\r\nConnection: Upgrade\r\n");
  const std::string frame("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
  CHECK(read(upgrade + frame).rest == frame);
  CHECK(read(with("") + with("")).rest == with(""));
  CHECK(read("POST / HTTP/1.1\r\n" + kHost + "Content-Length: 3\r\n\r\nabcGET /").rest == "GET /");
  CHECK(read("POST / HTTP/1.1\r\n" + kHost +
             "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /")
            .rest == "GET /");
}

TEST_CASE("one request after the other") {
  HttpRequestReader reader;
  const std::string text = "\r\nPOST /a HTTP/1.1\r\n" + kHost + "Content-Length: 2\r\n\r\nhi" +
                           with("Upgrade: websocket\r\nConnection: Upgrade\r\n") + "frames";
  std::span<const std::byte> input = std::as_bytes(std::span(text));
  CHECK(!reader.started());
  CHECK(reader.feed(input) == RequestStatus::complete);
  CHECK(reader.started());
  CHECK(reader.body() == "hi");
  const std::size_t left = input.size();
  CHECK(reader.feed(input) == RequestStatus::complete);
  CHECK(input.size() == left);

  reader.reset();
  CHECK(!reader.started());
  CHECK(reader.body().empty());
  CHECK(reader.head().headers.empty());
  CHECK(reader.feed(input) == RequestStatus::complete);
  CHECK(reader.head().path == "/");
  CHECK(reader.body().empty());
  CHECK(reader.upgrade());
  CHECK(input.size() == 6);
}

TEST_CASE("started: with the first byte of the request, empty lines before it aside") {
  HttpRequestReader reader;
  RequestStatus status{};
  for (const std::string_view text : {"", "\r", "\n", "\r\n"}) {
    feed(reader, text, status);
    CHECK(status == RequestStatus::incomplete);
    CHECK(!reader.started());
  }
  feed(reader, "G", status);
  CHECK(reader.started());
}

TEST_CASE("a head that can be read in two ways is refused") {
  SUBCASE("lines") {
    CHECK(refused("GET / HTTP/1.1\nHost: a\r\n\r\n") == 400);
    CHECK(refused("GET / HTTP/1.1\r\nHost: a\n\r\n") == 400);
    CHECK(refused("GET / HTTP/1.1\r\nHost: a\r\n\n") == 400);
    CHECK(refused("GET / HTTP/1.1\r\rHost: a\r\n\r\n") == 400);
    CHECK(refused("GET / HTTP/1.1\r\nHost: a\r\n\rX") == 400);
    CHECK(refused("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refused("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n") == 400);
  }
  SUBCASE("folded headers") {
    CHECK(refused(with("A: b\r\n c\r\n")) == 400);
    CHECK(refused(with("A: b\r\n\tc\r\n")) == 400);
    CHECK(refused("GET / HTTP/1.1\r\n Host: a\r\n\r\n") == 400);
    CHECK(read(with("A: b\r\n c\r\n")).fault == "A header is folded over two lines.");
  }
  SUBCASE("names") {
    for (const std::string_view line :
         {"A : b", " A: b", "A b: c", ": b", "A(: b", "A\"B: c", "A", "A\x80: b", "A\t: b", "@: b",
          "Content-Length : 5", "Transfer-Encoding : chunked"}) {
      CHECK(refused(with(std::string(line) + "\r\n")) == 400);
    }
  }
  SUBCASE("control characters") {
    for (int c = 0; c < 0x20; ++c) {
      if (c == '\t' || c == '\r' || c == '\n') continue;
      CHECK(refused(with("A: b" + std::string(1, static_cast<char>(c)) + "c\r\n")) == 400);
      CHECK(refused("GET /" + std::string(1, static_cast<char>(c)) + " HTTP/1.1\r\n\r\n") == 400);
    }
    CHECK(refused(with("A: b\x7F\r\n")) == 400);
    CHECK(read(with("A: b\tc\xE9\r\n")).status == RequestStatus::complete);
  }
  SUBCASE("the request line") {
    for (const std::string_view line :
         {"GET /", "GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1",
          "GET\t/ HTTP/1.1", "GET /a b HTTP/1.1", "GET", "GET / HTTP/1.1 x", "GET /\x80 HTTP/1.1",
          "GET / HTTP", "GET / HTTP/1", "GET / http/1.1", "GET / ICE/1.0x", "/ HTTP/1.1"}) {
      const int status = refused(std::string(line) + "\r\n" + kHost + "\r\n");
      CHECK((status == 400 || status == 501 || status == 505));
    }
  }
  SUBCASE("methods and versions") {
    CHECK(refused("BREW / HTTP/1.1\r\n" + kHost + "\r\n") == 400);
    CHECK(refused("get / HTTP/1.1\r\n" + kHost + "\r\n") == 400);
    CHECK(refused("GET / HTTP/2.0\r\n" + kHost + "\r\n") == 505);
    CHECK(refused("GET / HTTP/0.9\r\n" + kHost + "\r\n") == 505);
  }
  SUBCASE("hosts") {
    CHECK(refused("GET / HTTP/1.1\r\n\r\n") == 400);
    CHECK(refused("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n") == 400);
    for (const std::string_view host : {"a b", "a/b", "a@b", "a\\b", "a,\"", "<a>", "\xE9"}) {
      CHECK(refused("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n") == 400);
    }
    for (const std::string_view host : {"", "a", "a.b:80", "[::1]:9300", "1.2.3.4", "x_y"}) {
      CHECK(read("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n").status ==
            RequestStatus::complete);
    }
    CHECK(read("GET / HTTP/1.0\r\n\r\n").status == RequestStatus::complete);
  }
}

TEST_CASE("a body whose end can be read in two ways is refused") {
  const auto post = [](std::string_view headers, std::string_view body = "") {
    return "POST / HTTP/1.1\r\n" + kHost + std::string(headers) + "\r\n" + std::string(body);
  };
  SUBCASE("lengths") {
    for (const std::string_view value :
         {"5, 5", "+5", "-5", "0x5", "5 5", "5a", "", "a", "99999999999999999999", "5,", "5;"}) {
      CHECK(refused(post("Content-Length: " + std::string(value) + "\r\n", "hello")) == 400);
    }
    CHECK(refused(post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")) == 400);
    CHECK(refused(post("Content-Length: 5\r\ncontent-length: 6\r\n", "hello")) == 400);
    CHECK(read(post("Content-Length: 005 \r\n", "hello")).body == "hello");
  }
  SUBCASE("length beside chunks, in either order") {
    const std::string chunks = "5\r\nhello\r\n0\r\n\r\n";
    CHECK(refused(post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunks)) == 400);
    CHECK(refused(post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunks)) == 400);
    CHECK(refused(post("Transfer-Encoding: gzip\r\nContent-Length: 5\r\n", chunks)) == 400);
  }
  SUBCASE("codings") {
    for (const std::string_view value : {"gzip", "gzip, chunked", "chunked, chunked", "xchunked",
                                         "chunked, identity", "identity", "", "chunked;q=1"}) {
      CHECK(refused(post("Transfer-Encoding: " + std::string(value) + "\r\n", "0\r\n\r\n")) == 501);
    }
    CHECK(refused(post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                       "0\r\n\r\n")) == 400);
    CHECK(refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == 400);
    CHECK(read(post("Transfer-Encoding: CHUNKED\r\n", "0\r\n\r\n")).status ==
          RequestStatus::complete);
  }
  SUBCASE("chunks") {
    for (const std::string_view body : {"g\r\n",
                                        "\r\n",
                                        " 5\r\nhello\r\n",
                                        "5 \r\nhello\r\n",
                                        "5\nhello\r\n",
                                        "5\rXhello\r\n",
                                        "0x5\r\n",
                                        "-1\r\n",
                                        "+5\r\n",
                                        "5\r\nhello0\r\n",
                                        "5\r\nhello\n",
                                        "5\r\nhello\rX",
                                        "5\r\nhelloworld",
                                        "5;a\nb\r\n",
                                        "5;a\x01\r\n",
                                        "11111111111111111\r\n",
                                        "0\r\n\rX",
                                        "0\r\n\n",
                                        "0\r\nA: b\n",
                                        "0\r\n A: b\r\n",
                                        "0\r\nA: \x01\r\n",
                                        "0\r\nA: b\rX",
                                        ";a\r\n"}) {
      CAPTURE(body);
      CHECK(refused(post("Transfer-Encoding: chunked\r\n", body)) == 400);
    }
    CHECK(refused(post("Transfer-Encoding: chunked\r\n", "5;" + std::string(300, 'x'))) == 400);
    CHECK(refused(post("Transfer-Encoding: chunked\r\n", std::string(300, '0') + "\r\n")) == 400);
    const Outcome out = read(post("Transfer-Encoding: chunked\r\n",
                                  "5\r\nhello\r\n0A;name=\"a b\"\r\n, world! !\r\n"
                                  "000\r\nTrailer: ignored\r\nMore: x\r\n\r\nnext"));
    CHECK(out.status == RequestStatus::complete);
    CHECK(out.body == "hello, world! !");
    CHECK(out.rest == "next");
  }
}

TEST_CASE("limits") {
  SUBCASE("of the head: 431, and it says which") {
    const std::string head = with("A: " + std::string(100, 'x') + "\r\n");
    CHECK(read(head, {.head = head.size()}).status == RequestStatus::complete);
    const Outcome out = read(head, {.head = head.size() - 1});
    CHECK(out.error == 431);
    CHECK(out.fault == "Request head is larger than " + std::to_string(head.size() - 1) +
                           " bytes (max_handshake_size).");
    // Also when no line ever ends, and when the lines are empty.
    CHECK(refused(std::string(50, 'x'), {.head = 20}) != 0);
    CHECK(refused("GET /" + std::string(50, 'x'), {.head = 20}) == 431);
    CHECK(refused("\r\n\r\n\r\n\r\n\r\n\r\n", {.head = 10}) == 431);
    HttpRequestReader standard;
    RequestStatus status{};
    feed(standard, "GET / HTTP/1.1\r\nA: " + std::string(17000, 'x'), status);
    CHECK(standard.error().status == 431);
    CHECK(standard.error().text == "Request head is larger than 16384 bytes (max_handshake_size).");
  }
  SUBCASE("of the headers") {
    CHECK(read(with("A: b\r\n"), {.headers = 2}).status == RequestStatus::complete);
    CHECK(read(with("A: b\r\n"), {.headers = 1}).fault ==
          "Request has more than 1 headers (max_handshake_headers).");
    CHECK(read(with("A: b\r\n"), {.headers = 1}).error == 431);
  }
  SUBCASE("of the body, before its bytes come") {
    const std::string head = "POST / HTTP/1.1\r\n" + kHost;
    CHECK(read(head + "Content-Length: 10\r\n\r\n0123456789", {.body = 10}).body.size() == 10);
    CHECK(refused(head + "Content-Length: 11\r\n\r\n", {.body = 10}) == 413);
    CHECK(refused(head + "Content-Length: 18446744073709551615\r\n\r\n", {.body = 10}) != 0);
    CHECK(refused(head + "Transfer-Encoding: chunked\r\n\r\nb\r\n", {.body = 10}) == 413);
    CHECK(refused(head + "Transfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n5\r\n", {.body = 10}) ==
          413);
    CHECK(refused(head + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n", {.body = 10}) ==
          413);
  }
  SUBCASE("of the trailer") {
    CHECK(refused("POST / HTTP/1.1\r\n" + kHost +
                      "Transfer-Encoding: chunked\r\n\r\n0\r\nA: " + std::string(200, 'x'),
                  {.head = 100}) == 400);
  }
}

TEST_CASE("100-continue is asked for once, and not when the body is there") {
  const std::string head =
      "POST / HTTP/1.1\r\n" + kHost + "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
  HttpRequestReader reader;
  RequestStatus status{};
  feed(reader, head, status);
  CHECK(status == RequestStatus::incomplete);
  CHECK(reader.take_continue());
  CHECK(!reader.take_continue());
  feed(reader, "hi", status);
  CHECK(status == RequestStatus::complete);

  reader.reset();
  feed(reader, head + "hi", status);
  CHECK(status == RequestStatus::complete);
  CHECK(!reader.take_continue());

  CHECK(refused(with("Expect: miracles\r\n")) == 417);
  Buffer out;
  write_http_continue(out);
  CHECK(out.text() == "HTTP/1.1 100 Continue\r\n\r\n");
}

TEST_CASE("a reply, read by the client") {
  const auto read_reply = [](std::string_view text, bool end = false, HttpLimits limits = {}) {
    HttpReplyReader whole(limits);
    ReplyStatus status{};
    std::string rest = feed(whole, text, status);
    if (end) status = whole.end_of_input();
    for (std::size_t cut = 0; cut < text.size(); ++cut) {
      HttpReplyReader parts(limits);
      ReplyStatus other{};
      std::string left = feed(parts, text.substr(0, cut), other);
      left += feed(parts, text.substr(cut), other);
      if (end) other = parts.end_of_input();
      CHECK(other == status);
      CHECK(parts.reply().status == whole.reply().status);
      CHECK(parts.reply().body == whole.reply().body);
      CHECK(parts.error() == whole.error());
      if (status == ReplyStatus::complete) CHECK(left == rest);
    }
    return std::tuple(status, whole.reply(), rest, whole.error());
  };
  SUBCASE("101: what follows are frames") {
    const auto [status, reply, rest, error] = read_reply(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        "Content-Length: 5\r\n\r\n\x81\x02hi");
    CHECK(status == ReplyStatus::complete);
    CHECK(reply.status == 101);
    CHECK(reply.reason == "Switching Protocols");
    CHECK(reply.has_token("upgrade", "WEBSOCKET"));
    CHECK(rest == "\x81\x02hi");
  }
  SUBCASE("an error with its text") {
    const auto [status, reply, rest, error] = read_reply(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n"
        "Content-Length: 32\r\n\r\nServer is full, try again later.");
    CHECK(status == ReplyStatus::complete);
    CHECK(reply.status == 503);
    CHECK(reply.body == "Server is full, try again later.");
  }
  SUBCASE("bodies of every framing, cut off at the limit") {
    const auto body = [&](std::string_view text, bool end = false) {
      return std::get<1>(read_reply(text, end, {.body = 4})).body;
    };
    CHECK(body("HTTP/1.1 404 N\r\nContent-Length: 3\r\n\r\nabc") == "abc");
    CHECK(body("HTTP/1.1 404 N\r\nContent-Length: 6\r\n\r\nabcdef") == "abcd");
    CHECK(body("HTTP/1.1 404 N\r\nTransfer-Encoding: "
               "chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n") == "abcd");
    CHECK(body("HTTP/1.1 404 N\r\n\r\nabcdef", true) == "abcd");
    CHECK(body("HTTP/1.1 404\r\n\r\n", true).empty());
    CHECK(std::get<0>(read_reply("HTTP/1.1 404 N\r\n\r\nabcdef")) == ReplyStatus::incomplete);
    CHECK(std::get<0>(read_reply("HTTP/1.1 204 N\r\n\r\n")) == ReplyStatus::complete);
  }
  SUBCASE("interim replies are skipped") {
    const auto [status, reply, rest, error] = read_reply(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        "HTTP/1.1 101 Go\r\nA: b\r\n\r\n");
    CHECK(status == ReplyStatus::complete);
    CHECK(reply.status == 101);
    REQUIRE(reply.headers.size() == 1);
    CHECK(reply.headers.front().name == "A");
    std::string endless;
    for (int i = 0; i < 20; ++i) endless += "HTTP/1.1 100 Continue\r\n\r\n";
    CHECK(std::get<0>(read_reply(endless)) == ReplyStatus::error);
  }
  SUBCASE("what is no reply") {
    for (const std::string_view text :
         {"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n",
          "HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "\r\n\r\n", "HTTP/1.1 999 X\r\n\r\n"}) {
      CAPTURE(text);
      const auto [status, reply, rest, error] = read_reply(text);
      CHECK(status == ReplyStatus::error);
      CHECK(!error.empty());
    }
  }
  SUBCASE("the connection ends too early") {
    for (const std::string_view text :
         {"", "HTTP/1.1 101", "HTTP/1.1 400 Bad\r\nContent-Length: 5\r\n\r\nabc",
          "HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"}) {
      const auto [status, reply, rest, error] = read_reply(text, true);
      CHECK(status == ReplyStatus::error);
      CHECK(error.find("ended") != std::string::npos);
    }
  }
  SUBCASE("limits") {
    const auto [status, reply, rest, error] =
        read_reply("HTTP/1.1 200 " + std::string(50, 'x'), false, {.head = 30});
    CHECK(status == ReplyStatus::error);
    CHECK(error == "Reply head is larger than 30 bytes.");
  }
}

TEST_CASE("responses, byte for byte") {
  Buffer out;
  const std::vector<HttpHeader> json{{"Content-Type", "application/json"}};
  write_http_response(out, 200, json, "{}", true);
  CHECK(out.text() ==
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
        "Connection: keep-alive\r\n\r\n{}");
  out.clear();
  write_http_response(out, 200, json, "{}", false, true);
  CHECK(out.text() ==
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
        "Connection: close\r\n\r\n");
  out.clear();
  write_http_response(out, 204, {}, "ignored", true);
  CHECK(out.text() == "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
  out.clear();
  write_http_response(out, 299, {}, "", true);
  CHECK(out.text() ==
        "HTTP/1.1 299 Unknown\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
  out.clear();
  write_http_response(out, -7, {}, "", true);
  CHECK(out.text().substr(0, 13) == "HTTP/1.1 500 ");
  out.clear();
  write_http_error(out, {503, "Server is full, try again later.", {}});
  CHECK(out.text() ==
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 32\r\n"
        "Connection: close\r\n\r\nServer is full, try again later.");
}

TEST_CASE("headers that would break out of a response are left out") {
  Buffer out;
  const std::vector<HttpHeader> headers{{"Good", "1"},
                                        {"Bad", "1\r\nSet-Cookie: x"},
                                        {"Bad\r\nX", "1"},
                                        {"Bad", "1\n"},
                                        {"Bad", std::string("\0", 1)},
                                        {"", "1"},
                                        {"Bad:", "1"},
                                        {"Content-Length", "7"},
                                        {"transfer-encoding", "chunked"},
                                        {"Connection", "keep"},
                                        {"Also-Good", "2"}};
  write_http_response(out, 200, headers, "x", true);
  CHECK(out.text() ==
        "HTTP/1.1 200 OK\r\nGood: 1\r\nAlso-Good: 2\r\nContent-Length: 1\r\n"
        "Connection: keep-alive\r\n\r\nx");
}

TEST_CASE("reasons") {
  CHECK(http_reason(101) == "Switching Protocols");
  CHECK(http_reason(505) == "HTTP Version Not Supported");
  CHECK(http_reason(404) == "Not Found");
  CHECK(http_reason(299) == "Unknown");
  CHECK(http_reason(0) == "Unknown");
}
