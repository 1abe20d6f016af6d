// Streams, their end, their abort.

#include "tests/conformance/servers.hpp"

namespace webshocket::test {
namespace {

constexpr Dialect kDialects[] = {Dialect::msgpack, Dialect::json, Dialect::generic};

template <class Body>
void on_each(Body body) {
  on_each_shard_count([&](std::uint16_t port) {
    for (const Dialect dialect : kDialects) {
      CAPTURE(static_cast<int>(dialect));
      body(port, dialect);
    }
  });
}

/// `RESPONSE ERROR STREAM END`
std::string part(WsClient& client, const std::string& id) {
  const OwnedPacket packet = client.response(id);
  const RpcResponse& response = *packet->response();
  return to_json(response.response) +
         (response.error ? " " + std::to_string(static_cast<int>(*response.error)) : "") +
         (response.is_stream ? " stream" : "") + (response.is_end ? " end" : "");
}

/// What the server has sent ahead when an abort gets there is little then.
void read_little(WsClient& client) { client.peer().shrink_receive_buffer(256 * 1024); }

void abort_call(WsClient& client, const std::string& id) {
  client.start("__abort__", "[\"" + id + "\"]");
}

}  // namespace

TEST_CASE("chunks, then an end marker that carries nothing") {
  on_each([](std::uint16_t port, Dialect dialect) {
    WsClient client(port, dialect);
    const std::string id = client.start("count", "[3]");
    CHECK(part(client, id) == "0 stream");
    CHECK(part(client, id) == "1 stream");
    CHECK(part(client, id) == "2 stream");
    CHECK(part(client, id) == "null stream end");
    const std::string none = client.start("count", "[0]");
    CHECK(part(client, none) == "null stream end");
    CHECK(client.call("add", "[2,3]") == "5");
    CHECK_FALSE(client.has_response(id));
    CHECK_FALSE(client.has_response(none));
  });
}

TEST_CASE("streams of one connection run side by side and each keeps its order") {
  on_each([](std::uint16_t port, Dialect dialect) {
    WsClient client(port, dialect);
    std::vector<std::string> ids;
    for (int i = 0; i < 8; ++i) ids.push_back(client.start("count", "[500]"));
    CHECK(client.call("add", "[2,3]") == "5");
    for (const std::string& id : ids) {
      for (int i = 0; i < 500; ++i) REQUIRE(part(client, id) == std::to_string(i) + " stream");
      CHECK(part(client, id) == "null stream end");
    }
  });
}

TEST_CASE("wrong arguments of a stream come as an aborted stream") {
  on_each([](std::uint16_t port, Dialect dialect) {
    WsClient client(port, dialect);
    for (const char* args : {"[]", R"(["x"])", "[1,2]", "[null]"}) {
      CAPTURE(args);
      const OwnedPacket packet = client.response(client.start("count", args));
      const RpcResponse& response = *packet->response();
      REQUIRE(response.error);
      CHECK(static_cast<int>(*response.error) == -32603);
      CHECK(response.response.string().starts_with("\nStream aborted: "));
      CHECK(response.response.string().size() > 17);
      CHECK(response.is_stream);
      CHECK(response.is_end);
    }
    CHECK(client.call("add", "[2,3]") == "5");
  });
}

TEST_CASE("an aborted stream ends without a word, and the abort has no answer") {
  on_each_shard_count([](std::uint16_t port) {
    WsClient client(port);
    read_little(client);
    const std::string id = client.start("count", "[1000000000]");
    for (int i = 0; i < 10; ++i) REQUIRE(part(client, id) == std::to_string(i) + " stream");
    const std::string other = client.start("sleep", "[30]");
    abort_call(client, id);
    // What was under way still comes; it is in order, and has no end marker.
    CHECK(client.call("add", "[2,3]") == "5");
    int next = 10;
    while (client.has_response(id)) {
      REQUIRE(part(client, id) == std::to_string(next) + " stream");
      ++next;
    }
    CHECK(client.answer(other) == "\"slept\"");
    CHECK(client.call("add", "[2,3]") == "5");
    CHECK_FALSE(client.has_response(id));
    for (int i = 0; i < 10; ++i) CHECK_FALSE(client.has_response("c" + std::to_string(i)));
    CHECK(client.take_events().empty());
  });
}

TEST_CASE("an abort of nothing is harmless, whatever its arguments") {
  on_each([](std::uint16_t port, Dialect dialect) {
    WsClient client(port, dialect);
    for (const char* args : {"[]", R"(["unknown"])", "[1]", "[null]", "[[]]", R"(["a","b"])"}) {
      CAPTURE(args);
      const std::string id = client.start("__abort__", args);
      CHECK(client.call("add", "[2,3]") == "5");
      CHECK_FALSE(client.has_response(id));
    }
    const std::string done = client.start("count", "[1]");
    CHECK(part(client, done) == "0 stream");
    CHECK(part(client, done) == "null stream end");
    abort_call(client, done);
    abort_call(client, done);
    CHECK(client.call("add", "[2,3]") == "5");
    CHECK(client.take_events().empty());
  });
}

TEST_CASE("many streams are aborted at once, many are left behind") {
  on_each([](std::uint16_t port, Dialect dialect) {
    WsClient client(port, dialect);
    std::string burst;
    std::vector<std::string> ids;
    for (int i = 0; i < 50; ++i) {
      auto [payload, id] = client.request("count", "[1000000000]");
      burst += binary_frame(payload);
      burst += binary_frame(client.request("__abort__", "[\"" + id + "\"]").first);
      ids.push_back(std::move(id));
    }
    client.peer().send(burst);
    CHECK(client.call("add", "[2,3]") == "5");
    for (const std::string& id : ids) {
      for (int i = 0; client.has_response(id); ++i) {
        REQUIRE(part(client, id) == std::to_string(i) + " stream");
      }
    }
    CHECK(client.call("add", "[2,3]") == "5");
    for (const std::string& id : ids) CHECK_FALSE(client.has_response(id));
    for (int i = 0; i < 3; ++i) {
      WsClient leaver(port, dialect);
      CHECK(part(leaver, leaver.start("count", "[1000000000]")) == "0 stream");
    }
    check_alive(port);
  });
}

}  // namespace webshocket::test
