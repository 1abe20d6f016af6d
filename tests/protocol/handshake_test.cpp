#include "protocol/handshake.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

using namespace webshocket::protocol;

namespace {

const std::string kKey = "dGhlIHNhbXBsZSBub25jZQ==";
const std::string kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What a browser sends.
std::vector<HttpHeader> good_headers() {
  return {{"Host", "127.0.0.1:9300"},
          {"Upgrade", "websocket"},
          {"Connection", "Upgrade"},
          {"Sec-WebSocket-Version", "13"},
          {"Sec-WebSocket-Key", kKey}};
}

HttpHead head_of(std::vector<HttpHeader> headers) {
  HttpHead head;
  head.method = "GET";
  head.target = head.path = "/";
  head.headers = std::move(headers);
  return head;
}

/// The good request with one header changed, or left out if the value is nullptr.
HttpHead changed(std::string_view name, const char* value) {
  HttpHead head = head_of(good_headers());
  std::erase_if(head.headers,
                [&](const HttpHeader& header) { return same_text(header.name, name); });
  if (value != nullptr) head.headers.push_back({std::string(name), value});
  return head;
}

HttpHead with(std::vector<HttpHeader> more) {
  HttpHead head = head_of(good_headers());
  head.headers.insert(head.headers.end(), more.begin(), more.end());
  return head;
}

bool accepted(const HttpHead& head) {
  return std::holds_alternative<UpgradeOffer>(check_upgrade(head));
}

HttpError refusal(const HttpHead& head) {
  const auto result = check_upgrade(head);
  REQUIRE(std::holds_alternative<HttpError>(result));
  return std::get<HttpError>(result);
}

std::vector<std::string> offers(const HttpHead& head) {
  const auto result = check_upgrade(head);
  REQUIRE(std::holds_alternative<UpgradeOffer>(result));
  return std::get<UpgradeOffer>(result).subprotocols;
}

HttpReply good_reply() {
  HttpReply reply;
  reply.status = 101;
  reply.reason = "Switching Protocols";
  reply.headers = {
      {"Connection", "upgrade"}, {"Upgrade", "websocket"}, {"Sec-WebSocket-Accept", kAccept}};
  return reply;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("the accept key of RFC 6455, section 1.3") { CHECK(accept_key(kKey) == kAccept); }

TEST_CASE("a key from 16 bytes") {
  std::array<std::byte, 16> random{};
  CHECK(encode_key(random) == "AAAAAAAAAAAAAAAAAAAAAA==");
  const std::string_view nonce = "the sample nonce";
  std::copy_n(std::as_bytes(std::span(nonce)).begin(), 16, random.begin());
  CHECK(encode_key(random) == kKey);
}

TEST_CASE("a good request") {
  const auto result = check_upgrade(head_of(good_headers()));
  REQUIRE(std::holds_alternative<UpgradeOffer>(result));
  CHECK(std::get<UpgradeOffer>(result).key == kKey);
  CHECK(std::get<UpgradeOffer>(result).subprotocols.empty());
}

TEST_CASE("headers in any order and any case") {
  std::vector<HttpHeader> headers = good_headers();
  headers.push_back({"Sec-WebSocket-Protocol", "webshocket.v1"});
  std::mt19937 random(7);
  for (int round = 0; round < 100; ++round) {
    std::shuffle(headers.begin(), headers.end(), random);
    std::vector<HttpHeader> shouted = headers;
    for (HttpHeader& header : shouted) {
      for (char& c : header.name) {
        if (random() % 2 != 0) c = static_cast<char>(std::toupper(c));
      }
    }
    CHECK(accepted(head_of(shouted)));
  }
}

TEST_CASE("Connection and Upgrade are lists, in any case") {
  for (const char* value : {"Upgrade", "upgrade", "UPGRADE", "keep-alive, Upgrade",
                            "Upgrade,keep-alive", "a ,\tupgrade , b", ",upgrade,"}) {
    CHECK(accepted(changed("Connection", value)));
  }
  for (const char* value : {"websocket", "WebSocket", "WEBSOCKET", "h2c, websocket"}) {
    CHECK(accepted(changed("Upgrade", value)));
  }
  HttpHead repeated = changed("Connection", "keep-alive");
  repeated.headers.push_back({"connection", "upgrade"});
  CHECK(accepted(repeated));

  for (const char* value : {"", "keep-alive", "upgraded", "xupgrade", "up grade"}) {
    CHECK(refusal(changed("Connection", value)).text ==
          "The Connection header does not name upgrade.");
  }
  for (const char* value : {"", "h2c", "websockets", "web socket", "websocket/13"}) {
    CHECK(refusal(changed("Upgrade", value)).text == "The Upgrade header does not name websocket.");
  }
}

TEST_CASE("each missing header is named, with 400") {
  for (const std::string name :
       {"Host", "Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key"}) {
    const HttpError error = refusal(changed(name, nullptr));
    CHECK(error.status == 400);
    CHECK(error.text.find(name) != std::string::npos);
  }
  CHECK(refusal(changed("Host", "")).text == "The Host header is empty.");
}

TEST_CASE("other methods: 405") {
  for (const std::string method : {"POST", "PUT", "HEAD", "OPTIONS", "CONNECT"}) {
    HttpHead head = head_of(good_headers());
    head.method = method;
    const HttpError error = refusal(head);
    CHECK(error.status == 405);
    REQUIRE(error.headers.size() == 1);
    CHECK(error.headers[0].name == "Allow");
    CHECK(error.headers[0].value == "GET");
  }
}

TEST_CASE("HTTP/1.0 cannot upgrade") {
  HttpHead head = head_of(good_headers());
  head.version_minor = 0;
  CHECK(refusal(head).status == 400);
}

TEST_CASE("other versions: 426, naming ours") {
  for (const char* value : {"8", "7", "0", "14", "13, 8", "013", "", "thirteen"}) {
    const HttpError error = refusal(changed("Sec-WebSocket-Version", value));
    CHECK(error.status == 426);
    Buffer out;
    write_http_error(out, error);
    CHECK(out.text() ==
          "HTTP/1.1 426 Upgrade Required\r\nContent-Type: text/plain\r\nUpgrade: websocket\r\n"
          "Sec-WebSocket-Version: 13\r\nContent-Length: 37\r\nConnection: close, upgrade\r\n\r\n"
          "The Sec-WebSocket-Version must be 13.");
  }
  CHECK(refusal(with({{"Sec-WebSocket-Version", "8"}})).status == 426);
}

TEST_CASE("the key is 16 bytes in base64, once") {
  for (const char* value :
       {"", "short", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ===", "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25jZQAA",
        "dGhlIHNhbXBs-SBub25jZQ==", "dGhlIHNhbXBs SBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=A"}) {
    CAPTURE(value);
    const HttpError error = refusal(changed("Sec-WebSocket-Key", value));
    CHECK(error.status == 400);
    CHECK(error.text == "The Sec-WebSocket-Key is not 16 bytes in base64.");
  }
  CHECK(refusal(with({{"Sec-WebSocket-Key", kKey}})).status == 400);
}

TEST_CASE("a request with a body could hide frames: 400") {
  CHECK(refusal(with({{"Content-Length", "5"}})).status == 400);
  CHECK(refusal(with({{"Transfer-Encoding", "chunked"}})).status == 400);
  CHECK(accepted(with({{"Content-Length", "0"}})));
}

TEST_CASE("subprotocols: a list over several headers, in the client's order, each once") {
  CHECK(offers(with({{"Sec-WebSocket-Protocol", "webshocket.v1"}})) == Names{"webshocket.v1"});
  CHECK(offers(with({{"Sec-WebSocket-Protocol", " b ,a,, b"},
                     {"sec-websocket-protocol", "c,a"}})) == Names{"b", "a", "c"});
  CHECK(offers(with({{"Sec-WebSocket-Protocol", ""}})).empty());
  for (const char* value : {"a b", "a;b", "\"a\"", "a, b/c", "\xE9"}) {
    CHECK(refusal(with({{"Sec-WebSocket-Protocol", value}})).status == 400);
  }
}

TEST_CASE("ours are chosen by whole names, the client's first wins") {
  const auto choose = [](const Names& names) {
    return std::string(choose_subprotocol(names).value_or("none"));
  };
  CHECK(choose({}) == "none");
  CHECK(choose({"webshocket.v1"}) == "webshocket.v1");
  CHECK(choose({"webshocket.v1.json"}) == "webshocket.v1.json");
  CHECK(choose({"webshocket.v1", "other"}) == "webshocket.v1");
  CHECK(choose({"other", "webshocket.v1"}) == "webshocket.v1");
  CHECK(choose({"webshocket.v1.json", "webshocket.v1"}) == "webshocket.v1.json");
  CHECK(choose({"webshocket.v1", "webshocket.v1.json"}) == "webshocket.v1");
  CHECK(choose({"xwebshocket.v12"}) == "none");
  CHECK(choose({"webshocket.v12", "webshocket", "webshocket.v1.jso"}) == "none");
  CHECK(choose({"WEBSHOCKET.V1"}) == "none");
}

TEST_CASE("the reply, byte for byte") {
  Buffer out;
  write_upgrade_reply(out, kKey, "webshocket.v1");
  CHECK(out.text() ==
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Sec-WebSocket-Protocol: webshocket.v1\r\n"
        "Connection: upgrade\r\n"
        "Upgrade: websocket\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        "\r\n");
  out.clear();
  const std::vector<HttpHeader> extra{{"Set-Cookie", "a=b"},
                                      {"Bad", "x\r\nInjected: 1"},
                                      {"Bad\n", "x"},
                                      {"Upgrade", "h2c"},
                                      {"connection", "close"},
                                      {"Content-Length", "5"},
                                      {"sec-websocket-extensions", "permessage-deflate"},
                                      {"Sec-WebSocket-Accept", "x"},
                                      {"X-Node", "1"}};
  write_upgrade_reply(out, kKey, std::nullopt, {}, extra);
  CHECK(out.text() ==
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Connection: upgrade\r\n"
        "Upgrade: websocket\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        "Set-Cookie: a=b\r\n"
        "X-Node: 1\r\n"
        "\r\n");
  out.clear();
  write_upgrade_reply(out, kKey, "a\r\nInjected: 1");
  CHECK(out.text().find("Injected") == std::string_view::npos);
}

TEST_CASE("the request, byte for byte") {
  Buffer out;
  UpgradeRequestOptions options{.host = "127.0.0.1:9300", .target = "/path", .key = kKey};
  CHECK(write_upgrade_request(out, options));
  CHECK(out.text() ==
        "GET /path HTTP/1.1\r\n"
        "Host: 127.0.0.1:9300\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "\r\n");
  out.clear();
  options.subprotocols = {"webshocket.v1", "other"};
  options.headers = {{"Authorization", "Bearer x"}, {"Host", "evil"}, {"X", "a\r\nY: b"}};
  CHECK(write_upgrade_request(out, options));
  CHECK(out.text().substr(out.text().find("Sec-WebSocket-Protocol")) ==
        "Sec-WebSocket-Protocol: webshocket.v1, other\r\n"
        "Authorization: Bearer x\r\n"
        "\r\n");
}

TEST_CASE("a request that cannot be written is not") {
  const UpgradeRequestOptions good{.host = "h", .target = "/", .key = kKey};
  const auto refused = [](UpgradeRequestOptions options) {
    Buffer out;
    const bool written = write_upgrade_request(out, options);
    CHECK(written == !out.empty());
    return !written;
  };
  CHECK(!refused(good));
  for (const std::string host : {"", "a b", "a\r\nX: y", "a/b", "user@a", "\xC3\xA9", "a\x7F"}) {
    UpgradeRequestOptions options = good;
    options.host = host;
    CHECK(refused(options));
  }
  for (const std::string target :
       {"", "path", "/a b", "/a\r\nX: y", "/\xC3\xA9", "/a#b", "/a\tb", "http://h/"}) {
    UpgradeRequestOptions options = good;
    options.target = target;
    CHECK(refused(options));
  }
  UpgradeRequestOptions options = good;
  options.key = "short";
  CHECK(refused(options));
  options = good;
  options.subprotocols = {"good", "not good"};
  CHECK(refused(options));
  options.subprotocols = {""};
  CHECK(refused(options));
}

TEST_CASE("what the client accepts as a reply") {
  const auto fault = [](const HttpReply& reply, const Names& offered = {}) {
    return check_upgrade_reply(reply, kKey, offered).value_or("");
  };
  const auto set = [](std::string_view name, std::string value) {
    HttpReply reply = good_reply();
    std::erase_if(reply.headers,
                  [&](const HttpHeader& header) { return same_text(header.name, name); });
    reply.headers.push_back({std::string(name), std::move(value)});
    return reply;
  };
  CHECK(fault(good_reply()).empty());
  CHECK(fault(set("upgrade", "WebSocket")).empty());
  CHECK(fault(set("connection", "keep-alive, Upgrade")).empty());

  CHECK(fault(set("Upgrade", "h2c")).find("websocket") != std::string::npos);
  CHECK(fault(set("Connection", "close")).find("Connection") != std::string::npos);
  for (const std::string accept :
       {"", "x", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo"}) {
    CHECK(fault(set("Sec-WebSocket-Accept", accept)).find("Accept") != std::string::npos);
  }
  HttpReply old = good_reply();
  old.version_minor = 0;
  CHECK(fault(old).find("HTTP/1.0") != std::string::npos);
  HttpReply none = good_reply();
  none.headers.pop_back();
  CHECK(fault(none).find("Accept") != std::string::npos);

  const HttpReply chosen = set("Sec-WebSocket-Protocol", "webshocket.v1");
  CHECK(fault(chosen, {"other", "webshocket.v1"}).empty());
  CHECK(fault(good_reply(), {"webshocket.v1"}).empty());
  CHECK(fault(chosen).find("webshocket.v1") != std::string::npos);
  CHECK(!fault(chosen, {"webshocket.v1.json"}).empty());
  CHECK(!fault(set("Sec-WebSocket-Protocol", "a, webshocket.v1"), {"a", "webshocket.v1"}).empty());

  HttpReply full;
  full.status = 503;
  full.reason = "Service Unavailable";
  full.body = "Server is full,\ttry again later.\r\nsecond line";
  CHECK(fault(full) ==
        "The server answered 503 Service Unavailable: Server is full, try again later.");
  full.body = std::string(1000, 'x');
  CHECK(fault(full).size() < 300);
}

TEST_CASE("the two ends agree, over the wire") {
  std::mt19937 random(11);
  for (int round = 0; round < 50; ++round) {
    std::array<std::byte, 16> bytes;
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    const UpgradeRequestOptions options{.host = "localhost:1",
                                        .target = "/chat?x=1",
                                        .key = encode_key(bytes),
                                        .subprotocols = {"webshocket.v1.json", "webshocket.v1"},
                                        .headers = {{"Origin", "http://a"}}};
    Buffer request;
    REQUIRE(write_upgrade_request(request, options));
    request.append("early frames");
    HttpRequestReader server;
    std::span<const std::byte> input = request.span();
    REQUIRE(server.feed(input) == HttpRequestReader::Status::complete);
    CHECK(server.upgrade());
    CHECK(input.size() == 12);
    const auto offer = check_upgrade(server.head());
    REQUIRE(std::holds_alternative<UpgradeOffer>(offer));
    const auto& [key, subprotocols] = std::get<UpgradeOffer>(offer);
    CHECK(key == options.key);

    Buffer reply;
    write_upgrade_reply(reply, key, choose_subprotocol(subprotocols));
    reply.append("frame");
    HttpReplyReader client;
    input = reply.span();
    REQUIRE(client.feed(input) == HttpReplyReader::Status::complete);
    CHECK(input.size() == 5);
    CHECK(check_upgrade_reply(client.reply(), options.key, options.subprotocols) == std::nullopt);
    CHECK(*client.reply().find("Sec-WebSocket-Protocol") == "webshocket.v1.json");
  }
}
