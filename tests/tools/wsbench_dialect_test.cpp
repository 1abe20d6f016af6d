#include "tools/wsbench/dialect.hpp"

#include <doctest/doctest.h>
#include <webshocket/packet.hpp>

#include <span>
#include <string>

#include "tools/wsbench/failure.hpp"

using wsbench::Dialect;
using wsbench::dialect_of;
using wsbench::DialectOptions;
using wsbench::MessageTemplate;
using wsbench::publication;
using wsbench::Spelling;
using wsbench::Stamps;
using wsbench::UsageFailure;

namespace {

std::string filler(const Stamps& stamps) {
  std::string payload(stamps.size(), ' ');
  stamps.write_filler(payload);
  return payload;
}

}  // namespace

TEST_CASE("message template: what is replaced, and where it stands") {
  MessageTemplate message("{\"c\":\"{channel}\",\"id\":{id},\"d\":\"{payload}\"}", "news", "0123");
  CHECK(message.bytes() == R"({"c":"news","id":100000000000,"d":"0123"})");
  REQUIRE(message.payload_at());
  CHECK(*message.payload_at() == 35);
  std::string sent = message.bytes();
  message.write_id(42, sent.data());
  CHECK(sent == R"({"c":"news","id":100000000042,"d":"0123"})");
  CHECK(MessageTemplate::id_of("100000000042") == 42);
  CHECK_FALSE(MessageTemplate::id_of("42"));
  CHECK_FALSE(MessageTemplate::id_of("10000000004x"));
  CHECK_FALSE(MessageTemplate::id_of(""));
}

TEST_CASE("dialect: raw") {
  const Dialect dialect = dialect_of({}, "/");
  REQUIRE(dialect.subscribers.size() == 1);
  CHECK(dialect.subscribers[0].path == "/raw/sub");
  CHECK(wsbench::subscription(dialect.subscribers[0], "raw").empty());
  CHECK(dialect.publisher.path == "/raw/pub");
  CHECK_FALSE(dialect.channel_in_path());
  CHECK(dialect.spelling == Spelling::binary);
  const Stamps stamps(dialect.spelling, 64);
  CHECK(publication(dialect.publisher, "raw", stamps).bytes() == filler(stamps));
}

TEST_CASE("dialect: raw with channels has a publisher for each") {
  const Dialect dialect = dialect_of({.preset = "raw-channels"}, "/", 5);
  CHECK(dialect.subscribers[0].path == "/raw/sub/{channel}");
  CHECK(dialect.channel_in_path());
}

TEST_CASE("dialect: json and msgpack say packets") {
  for (const char* preset : {"json", "msgpack"}) {
    const bool json = std::string(preset) == "json";
    const Dialect dialect = dialect_of({.preset = preset}, "/", 2);
    const Stamps stamps(dialect.spelling, 100);
    const auto decoded = [&](const std::string& text) {
      return json ? webshocket::deserialize_json(text)
                  : webshocket::deserialize(std::as_bytes(std::span(text)));
    };
    const auto join = decoded(wsbench::subscription(dialect.subscribers[0], "raw1"));
    REQUIRE(join->request() != nullptr);
    CHECK(join->request()->method == "join");
    CHECK(join->request()->args[0].string() == "raw1");

    const MessageTemplate message = publication(dialect.publisher, "raw1", stamps);
    const auto publish = decoded(message.bytes());
    REQUIRE(publish->request() != nullptr);
    CHECK(publish->request()->method == "publish");
    CHECK(publish->request()->args[1].size() == 100);
    CHECK(MessageTemplate::id_of(publish->request()->call_id) == 0);
    CHECK(message.bytes().substr(*message.payload_at(), 100) == filler(stamps));
  }
}

TEST_CASE("dialect: of any other server") {
  DialectOptions options;
  options.subscribe = "SUB {channel}";
  options.publish = "PUB {channel} {payload}";
  options.text = true;
  const Dialect dialect = dialect_of(options, "/ws", 3);
  CHECK(dialect.subscribers[0].path == "/ws");
  CHECK(dialect.publisher.path == "/ws");
  CHECK(dialect.spelling == Spelling::printable);
  CHECK(wsbench::subscription(dialect.subscribers[0], "raw2") == "SUB raw2");
  const Stamps stamps(dialect.spelling, 64);
  CHECK(publication(dialect.publisher, "raw2", stamps).bytes() == "PUB raw2 " + filler(stamps));
}

TEST_CASE("dialect: mixed formats get text, which all of them hold") {
  const Dialect dialect = dialect_of({.mixed = {"raw", "json", "msgpack"}}, "/");
  REQUIRE(dialect.subscribers.size() == 3);
  CHECK(dialect.subscribers[0].path == "/raw/sub");
  CHECK(dialect.subscribers[1].subprotocol == "webshocket.v1.json");
  CHECK(dialect.spelling == Spelling::printable);
}

TEST_CASE("dialect: what makes no sense") {
  CHECK_THROWS_AS(dialect_of({}, "/", 2), UsageFailure);
  CHECK_THROWS_AS(dialect_of({.preset = "msgpack", .text = true}, "/"), UsageFailure);
  DialectOptions options;
  options.publish = "nothing";
  const Dialect dialect = dialect_of(options, "/");
  CHECK_THROWS_AS(publication(dialect.publisher, "raw", Stamps(Spelling::binary, 64)),
                  UsageFailure);
}
