#include "tools/wsc/printer.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include <webshocket/packet.hpp>
#include "tools/wsc/value_text.hpp"

namespace ws = webshocket;
using namespace std::chrono_literals;
using wsc::Printer;
using wsc::Style;

namespace {

const Printer kPlain{Style{}};
const Printer kJson{Style{.json = true}};
constexpr Printer::Time kTime{1'700'000'000'007ms};

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto* const begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

std::string shown(ws::Payload payload, std::size_t width = 80) {
  return wsc::text_of(*ws::Document::of(payload), {.width = width});
}

/// The time of day depends on where it is.
std::string without_time(const std::string& line) {
  static const std::regex kClock("^[0-2][0-9]:[0-5][0-9]:20\\.007 ");
  REQUIRE(std::regex_search(line, kClock));
  return std::regex_replace(line, kClock, "");
}

std::string received(const ws::OwnedPacket& packet) {
  return without_time(kPlain.received(*packet, kTime));
}

}  // namespace

TEST_CASE("printer: values are JSON") {
  CHECK(shown(nullptr) == "null");
  CHECK(shown(true) == "true");
  CHECK(shown(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(shown(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
  CHECK(shown(1.0) == "1.0");
  CHECK(shown("größe \"☃\" \\") == R"("größe \"☃\" \\")");
  CHECK(shown(std::vector<int>{}) == "[]");
  CHECK(shown(ws::map()) == "{}");
  CHECK(shown(ws::map("a", std::vector<int>{1, 2}, 3, nullptr)) == R"({"a": [1, 2], "3": null})");
}

TEST_CASE("printer: bytes are hexadecimal digits, and text if they are text") {
  CHECK(shown(std::vector<std::byte>{}) == "bytes(0)");
  CHECK(shown(bytes_of({"\x00\x01\xFF", 3})) == "bytes(3) 00 01 ff");
  CHECK(shown(bytes_of("hi\n")) == R"(bytes(3) 68 69 0a "hi\n")");
  CHECK(shown(bytes_of("a\x1b[31m")) == "bytes(6) 61 1b 5b 33 31 6d");
  CHECK(shown(bytes_of("☃")) == "bytes(3) e2 98 83 \"☃\"");
  CHECK(shown(bytes_of(std::string(17, 'a'))) ==
        "bytes(17) 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 … \"" + std::string(17, 'a') +
            "\"");
  CHECK(shown(bytes_of(std::string(64, 'a'))).ends_with(" \"" + std::string(64, 'a') + "\""));
  CHECK(shown(bytes_of(std::string(65, 'a'))).ends_with(" \"" + std::string(64, 'a') + "\"…"));
  CHECK(wsc::text_of(ws::Value::of(std::int8_t{-1}, bytes_of("x")), {}) == R"(ext(-1, 1) 78 "x")");
}

TEST_CASE("printer: a long value takes a line for each element that matters") {
  const auto value = ws::Document::of(
      ws::map("name", "a room", "members", std::vector<int>{1, 2, 3}, "empty", ws::map()));
  const std::string line = R"({"name": "a room", "members": [1, 2, 3], "empty": {}})";
  CHECK(shown(value) == line);
  CHECK(shown(value, line.size() + 4) == line);
  CHECK(shown(value, 40) ==
        "{\n"
        "  \"name\": \"a room\",\n"
        "  \"members\": [1, 2, 3],\n"
        "  \"empty\": {}\n"
        "}");
  CHECK(shown(ws::map("a", std::vector<std::vector<int>>{{1, 2}, {}}), 8) ==
        "{\n"
        "  \"a\": [\n"
        "    [\n"
        "      1,\n"
        "      2\n"
        "    ],\n"
        "    []\n"
        "  ]\n"
        "}");
  // What stands before it on its line counts.
  CHECK(wsc::text_of(*ws::Document::of(std::vector<int>{1, 2}), {.width = 20}, 18) ==
        "[\n  1,\n  2\n]");
}

TEST_CASE("printer: what came from outside cannot steer the terminal") {
  CHECK(shown("\x1b[2J\r\b\x7f") == R"("\u001b[2J\r\u0008\u007f")");
  CHECK(shown("\u009b2J \u202e \u2028 \u2066") == R"("\u009b2J \u202e \u2028 \u2066")");
  CHECK(shown(ws::map("\x1b", 1)) == R"({"\u001b": 1})");
  CHECK(wsc::visible("no \"quotes\" \x1b[31m\n") == R"(no "quotes" \u001b[31m\n)");
  CHECK(wsc::visible("a\x9b\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80z") ==
        "a\uFFFD\uFFFD\uFFFD\uFFFD"
        "\uFFFD\uFFFD\uFFFD\uFFFD"
        "\uFFFD\uFFFDz");
  CHECK(wsc::visible("\xe2\x98") == "\uFFFD\uFFFD");

  ws::Packet packet;
  packet.source = ws::PacketSource::channel;
  packet.channel = "a\x1b]0;b\x07";
  CHECK(received(ws::OwnedPacket(packet)) == "← channel a\\u001b]0;b\\u0007: null\n");
  CHECK(kPlain.error("lost", "\x1b[2J") == "wsc: \\u001b[2J\n");
  CHECK(kPlain.note("\x1b[2J") == "* \\u001b[2J\n");
}

TEST_CASE("printer: packets for people") {
  CHECK(received(ws::OwnedPacket(ws::PacketSource::custom, "hi")) == "← custom: \"hi\"\n");
  CHECK(received(ws::OwnedPacket(ws::PacketSource::broadcast, 5)) == "← broadcast: 5\n");
  CHECK(received(ws::OwnedPacket(ws::PacketSource::unknown, bytes_of("hello"))) ==
        "← unknown: bytes(5) 68 65 6c 6c 6f \"hello\"\n");
  ws::Packet packet;
  packet.source = ws::PacketSource::channel;
  packet.channel = "news";
  const auto data = ws::Document::of(ws::map("a", 1));
  packet.data = *data;
  CHECK(received(ws::OwnedPacket(packet)) == "← channel news: {\"a\": 1}\n");
  CHECK(without_time(kPlain.sent(*data, kTime)) == "→ custom: {\"a\": 1}\n");
}

TEST_CASE("printer: a packet's first line counts as long as it is") {
  const Printer narrow(Style{.width = 32});
  // "HH:MM:SS.mmm ← custom: " is 23 columns.
  const auto fits = ws::OwnedPacket(ws::PacketSource::custom, std::vector<int>{1, 2});
  CHECK(without_time(narrow.received(*fits, kTime)) == "← custom: [1, 2]\n");
  const auto long_one = ws::OwnedPacket(ws::PacketSource::custom, std::vector<int>{1, 2, 345});
  CHECK(without_time(narrow.received(*long_one, kTime)) == "← custom: [\n  1,\n  2,\n  345\n]\n");
}

TEST_CASE("printer: results and errors for people") {
  CHECK(kPlain.result("add", ws::Value::of(std::int64_t{3})) == "3\n");
  CHECK(kPlain.chunk("count", 0, ws::Value::of("x")) == "\"x\"\n");
  CHECK(kPlain.end("count", 1).empty());
  CHECK(kPlain.error("timeout", "too late") == "wsc: too late\n");
  CHECK(kPlain.error(ws::RpcMethodNotFoundError("no such method")) ==
        "wsc: method_not_found (-32601): no such method\n");
  CHECK(kPlain.error(ws::RpcError("odd", static_cast<ws::RpcErrorCode>(7))) ==
        "wsc: error (7): odd\n");
  CHECK(kPlain.note("connected") == "* connected\n");
}

TEST_CASE("printer: one object a line for programs") {
  ws::Packet packet;
  packet.source = ws::PacketSource::channel;
  packet.channel = "news";
  packet.data = ws::Value::of("a\nb");
  CHECK(kJson.received(packet, kTime) ==
        R"({"type":"packet","time":1700000000.007,"source":"channel","channel":"news",)"
        R"("data":"a\nb"})"
        "\n");
  packet.timestamp = ws::Value::of(1.5);
  packet.correlation_id = "c";
  packet.channel.reset();
  packet.source = ws::PacketSource::unknown;
  const auto raw = bytes_of("a");
  packet.data = ws::Value::of(std::span(raw));
  CHECK(kJson.received(packet, kTime) ==
        R"({"type":"packet","time":1700000000.007,"source":"unknown","timestamp":1.5,)"
        R"("correlation_id":"c","data":"YQ=="})"
        "\n");
  CHECK(kJson.result("add", ws::Value::of(std::int64_t{3})) ==
        "{\"type\":\"result\",\"method\":\"add\",\"result\":3}\n");
  CHECK(kJson.chunk("count", 1, ws::Value::of(true)) ==
        "{\"type\":\"chunk\",\"method\":\"count\",\"index\":1,\"chunk\":true}\n");
  CHECK(kJson.end("count", 2) == "{\"type\":\"end\",\"method\":\"count\",\"chunks\":2}\n");
  CHECK(kJson.error("timeout", "too late") ==
        "{\"type\":\"error\",\"kind\":\"timeout\",\"text\":\"too late\"}\n");
  CHECK(kJson.error(ws::RateLimitError("slowly")) ==
        R"({"type":"error","kind":"rpc","code":-32000,"name":"rate_limit_exceeded",)"
        R"("text":"slowly"})"
        "\n");
}

TEST_CASE("printer: what JSON cannot hold is told as text") {
  const auto raw = bytes_of("x");
  const auto odd = ws::Value::of(std::int8_t{5}, std::span(raw));
  CHECK(kJson.result("f", odd) ==
        "{\"type\":\"result\",\"method\":\"f\",\"text\":\"ext(5, 1)\"}\n");
}

TEST_CASE("printer: colours change nothing but colours") {
  const Printer bright(Style{.color = true});
  const auto data = ws::Document::of(ws::map("a", std::vector<int>{1}, "b", "x", "c", nullptr));
  const auto packet = ws::OwnedPacket(ws::PacketSource::custom, *data);
  const std::string line = bright.received(*packet, kTime);
  static const std::regex kColor("\x1b\\[[0-9]*m");
  CHECK(line.find("\x1b[32m\"x\"\x1b[0m") != std::string::npos);
  CHECK(std::regex_replace(line, kColor, "") == kPlain.received(*packet, kTime));
  CHECK(bright.error("lost", "x") == "\x1b[31mwsc: \x1b[0mx\n");
}
