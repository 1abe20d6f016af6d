// One reply per call, always, with the codes and the words that the wire promises.

#include "api/dispatch.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <webshocket/testing.hpp>

namespace ws = webshocket;
using namespace std::chrono_literals;
using Code = ws::RpcErrorCode;

namespace {

struct Unwritable {};
[[maybe_unused]] void webshocket_write(ws::Sink&, const Unwritable&) {
  throw std::runtime_error("cannot be written");
}

class Methods : public ws::Handler {
 public:
  std::vector<std::string> events;
  bool reject = false;
  bool break_events = false;

  Methods() {
    rpc("add", [](int a, int b) { return a + b; })
        .params("a", "b")
        .require(ws::Is("in"))
        .rate_limit(2, 1min);
    rpc("once", [] { return 1; }).rate_limit(1, 1min, {.disconnect = true});
    rpc("fail", [](std::string text) -> int { throw ws::RpcError(text); });
    rpc("boom", []() -> int { throw std::runtime_error("secret"); });
    rpc("odd", []() -> int { throw 5; });
    rpc("task_fail", &Methods::task_fail);
    rpc("task_boom", &Methods::task_boom);
    rpc("stream", &Methods::stream).params("n").require(ws::Is("in"));
    rpc("stream_fail", &Methods::stream_fail);
    rpc("ext", &Methods::ext);
    rpc("unwritable", [] { return Unwritable{}; });
    rpc("replace", &Methods::replace);
    rpc("sleep", &Methods::sleep);
  }

  ws::RpcDecision before_rpc(const ws::RpcCall& call) override {
    events.push_back("before " + call.method.name());
    if (reject) return ws::RpcDecision::reject("not today", Code::application_error);
    return ws::RpcDecision::proceed();
  }
  void after_rpc(const ws::RpcCall& call, const ws::RpcOutcome& outcome) override {
    events.push_back("after " + call.method.name() +
                     (outcome.error ? " " + std::to_string(static_cast<int>(*outcome.error)) : "") +
                     (outcome.cancelled ? " cancelled" : ""));
  }
  void on_receive(ws::Connection&, const ws::Packet& packet) override {
    if (break_events) throw std::runtime_error("broken");
    events.push_back("receive " + std::to_string(static_cast<int>(packet.source)));
  }

 private:
  ws::Task<int> task_fail() {
    co_await ws::sleep_for(1s);
    throw ws::RpcError("later");
  }
  ws::Task<int> task_boom() {
    co_await ws::sleep_for(1s);
    throw std::runtime_error("secret");
  }
  ws::Stream<int> stream(int n) {
    for (int i = 0; i < n; ++i) {
      co_yield i;
      co_await ws::sleep_for(1s);
    }
  }
  ws::Stream<int> stream_fail(bool expected) {
    co_yield 1;
    if (expected) throw ws::RpcError("enough");
    throw std::runtime_error("secret");
  }
  ws::Value ext() {
    static const std::byte kByte{};
    return ws::Value::of(std::int8_t{1}, std::span(&kByte, 1));
  }
  int replace() {
    rpc("replace", [] { return 2; });
    return 1;
  }
  ws::Task<int> sleep() {
    co_await ws::sleep_for(1s);
    co_return 7;
  }
};

struct Shard : ws::FakeShard<Methods> {
  using FakeShard::FakeShard;
  ws::FakeConnection& ann = connect();
  ws::FakeConnection& bob = connect(ws::Format::json);

  std::vector<std::string> events() { return std::exchange(handler().events, {}); }
};

void check_error(const ws::FakeReply& reply, Code code, const std::string& text) {
  CHECK(reply.error() == code);
  CHECK(reply.error_text() == text);
  CHECK(reply.responses() == 1);
  CHECK(reply.finished());
}

/// A request as it comes from the wire, answered among what was sent.
ws::RpcResponse answer_of(Shard& shard, const ws::RpcRequest& request) {
  shard.ann.take_sent();
  ws::Packet packet;
  packet.source = ws::PacketSource::rpc;
  packet.rpc = request;
  shard.receive(shard.ann, packet);
  REQUIRE(shard.ann.sent().size() == 1);
  const ws::RpcResponse* response = shard.ann.sent()[0]->response();
  REQUIRE(response != nullptr);
  return *response;
}

using Events = std::vector<std::string>;

}  // namespace

TEST_CASE("dispatch: exists, before_rpc, predicate, rate, arguments") {
  Shard shard;
  auto& ann = shard.ann;
  check_error(shard.call(ann, "nosuch"), Code::method_not_found, "RPC method 'nosuch' not found.");
  CHECK(shard.events().empty());

  // Neither allowed nor given the right arguments: access is asked first.
  check_error(shard.call(ann, "add"), Code::access_denied, "Access denied for RPC method 'add'.");
  CHECK(shard.events() == Events{"before add", "after add -32002"});

  shard.handler().reject = true;
  check_error(shard.call(ann, "add"), Code::application_error, "not today");
  CHECK(shard.events() == Events{"before add", "after add -32001"});
  shard.handler().reject = false;

  // The refused ones did not use up the rate, wrong arguments do.
  ann["in"] = true;
  CHECK(shard.call(ann, "add", 1, 2).as<int>() == 3);
  check_error(shard.call(ann, "add", 1), Code::invalid_params,
              "Server error (TypeError): missing a required argument: 'b'");
  check_error(shard.call(ann, "add", 1), Code::rate_limit_exceeded,
              "Rate limit exceeded for RPC method 'add'.");
  shard.advance(1min);
  CHECK(shard.call(ann, "add", 1, 2).as<int>() == 3);
}

TEST_CASE("dispatch: rates are per connection; disconnect comes after the reply") {
  Shard shard;
  CHECK(shard.call(shard.ann, "once").as<int>() == 1);
  CHECK(shard.call(shard.bob, "once").as<int>() == 1);
  check_error(shard.call(shard.ann, "once"), Code::rate_limit_exceeded,
              "Rate limit exceeded for RPC method 'once'.");
  CHECK(shard.ann.close_code() == ws::CloseCode::try_again_later);
  CHECK(shard.ann.close_reason() == "Rate limit exceeded");
  CHECK_FALSE(shard.bob.close_code());
}

TEST_CASE("dispatch: what a method throws") {
  Shard shard;
  auto& ann = shard.ann;
  check_error(shard.call(ann, "fail", "no luck"), Code::application_error, "no luck");
  check_error(shard.call(ann, "fail", ""), Code::application_error, "");
  check_error(shard.call(ann, "boom"), Code::internal_server_error, "Server error (internal)");
  check_error(shard.call(ann, "odd"), Code::internal_server_error, "Server error (internal)");
  REQUIRE(shard.log().size() == 2);
  CHECK(shard.log()[0] == "error: RPC method 'boom' failed: std::runtime_error: secret");
  CHECK_FALSE(ann.close_code());

  const auto late = shard.call(ann, "task_fail");
  const auto boom = shard.call(ann, "task_boom");
  CHECK_FALSE(late.finished());
  shard.advance(1s);
  check_error(late, Code::application_error, "later");
  check_error(boom, Code::internal_server_error, "Server error (internal)");
}

TEST_CASE("dispatch: expose_errors tells kind and text") {
  ws::Config config;
  config.expose_errors = true;
  Shard shard(config);
  check_error(shard.call(shard.ann, "boom"), Code::internal_server_error,
              "Server error (std::runtime_error): secret");
  check_error(shard.call(shard.ann, "odd"), Code::internal_server_error, "Server error (internal)");
  const auto reply = shard.call(shard.ann, "stream_fail", false);
  CHECK(reply.error_text() == "\nStream aborted: secret");
}

TEST_CASE("dispatch: results that cannot be written are internal errors") {
  Shard shard;
  CHECK(shard.call(shard.ann, "ext").values().front()->type() == ws::Value::Type::ext);
  check_error(shard.call(shard.bob, "ext"), Code::internal_server_error, "Server error (internal)");
  check_error(shard.call(shard.ann, "unwritable"), Code::internal_server_error,
              "Server error (internal)");
}

TEST_CASE("dispatch: streams, their errors and their end") {
  Shard shard;
  auto& ann = shard.ann;
  const auto denied = shard.call(ann, "stream", 1);
  check_error(denied, Code::access_denied, "Access denied for RPC method 'stream'.");
  ann["in"] = true;
  const auto wrong = shard.call(ann, "stream", "x");
  check_error(wrong, Code::internal_server_error,
              "\nStream aborted: argument 'n': expected an integer, got string");

  const auto failed = shard.call(ann, "stream_fail", true);
  CHECK(failed.values().size() == 1);
  CHECK(failed.responses() == 2);
  CHECK(failed.error() == Code::internal_server_error);
  CHECK(failed.error_text() == "\nStream aborted: enough");
  CHECK(shard.call(ann, "stream_fail", false).error_text() == "\nStream aborted: internal");

  const auto none = shard.call(ann, "stream", 0);
  CHECK(none.finished());
  CHECK(none.values().empty());
  CHECK(none.responses() == 1);
}

TEST_CASE("dispatch: the flags of responses on the wire") {
  Shard shard;
  ws::RpcRequest request;
  request.method = "nosuch";
  request.call_id = "7";
  auto response = answer_of(shard, request);
  CHECK(response.call_id == "7");
  CHECK(response.is_end);
  CHECK_FALSE(response.is_stream);

  request.method = "stream";
  response = answer_of(shard, request);
  CHECK(response.error == Code::access_denied);
  CHECK(response.is_stream);
  CHECK(response.is_end);

  request.method = "boom";
  response = answer_of(shard, request);
  CHECK_FALSE(response.is_end);
  CHECK(response.response.string() == "Server error (internal)");

  const ws::Value empty = ws::Value::of(std::string_view());
  request.method = "fail";
  request.args = std::span(&empty, 1);
  response = answer_of(shard, request);
  CHECK(response.error == Code::application_error);
  CHECK(response.response.is_null());
  CHECK_FALSE(response.is_end);

  request = {};
  request.method = "once";
  response = answer_of(shard, request);
  CHECK_FALSE(response.call_id.empty());
  CHECK_FALSE(response.error);
  CHECK_FALSE(response.is_end);
}

TEST_CASE("dispatch: __abort__ has no answer, whatever it holds") {
  Shard shard;
  auto& ann = shard.ann;
  ann["in"] = true;
  const auto stream = shard.call(ann, "stream", 5);
  const auto other = shard.call(ann, "stream", 2);
  shard.events();
  shard.abort(ann, stream);
  CHECK(shard.events() == Events{"after stream cancelled"});
  shard.advance(1h);
  CHECK(stream.responses() == 1);
  CHECK_FALSE(stream.finished());
  CHECK(other.responses() == 3);

  // Of a call that has ended, of another connection's call, of nothing.
  shard.abort(ann, other);
  const auto sleeping = shard.call(ann, "sleep");
  shard.abort(shard.bob, sleeping);
  CHECK_FALSE(shard.call(ann, "__abort__").finished());
  CHECK_FALSE(shard.call(ann, "__abort__", 5).finished());
  shard.advance(1s);
  CHECK(sleeping.as<int>() == 7);
  CHECK(ann.sent().empty());
}

TEST_CASE("dispatch: only requests under the source rpc are calls") {
  Shard shard;
  ws::Packet packet;
  packet.source = ws::PacketSource::rpc;
  shard.receive(shard.ann, packet);
  packet.rpc = ws::RpcResponse{};
  shard.receive(shard.ann, packet);
  ws::RpcRequest request;
  request.method = "once";
  packet.rpc = request;
  packet.source = ws::PacketSource::custom;
  shard.receive(shard.ann, packet);
  CHECK(shard.events() == Events{"receive 5", "receive 5", "receive 4"});
  CHECK(shard.ann.sent().empty());
}

TEST_CASE("dispatch: an event that throws closes its connection, and no other") {
  Shard shard;
  shard.handler().break_events = true;
  shard.receive(shard.ann, 1);
  CHECK(shard.ann.close_code() == ws::CloseCode::internal_error);
  CHECK(shard.bob.state() == ws::ConnectionState::connected);
  REQUIRE(shard.log().size() == 1);
  CHECK(shard.log()[0] == "error: on_receive failed: std::runtime_error: broken");
}

TEST_CASE("dispatch: a method may replace itself, and be taken away") {
  Shard shard;
  auto& ann = shard.ann;
  CHECK(shard.call(ann, "replace").as<int>() == 1);
  CHECK(shard.call(ann, "replace").as<int>() == 2);
  const auto sleeping = shard.call(ann, "sleep");
  CHECK(shard.handler().remove_rpc("sleep"));
  CHECK_FALSE(shard.handler().remove_rpc("sleep"));
  CHECK(shard.handler().find_rpc("sleep") == nullptr);
  CHECK(shard.call(ann, "sleep").error() == Code::method_not_found);
  shard.advance(1s);
  CHECK(sleeping.as<int>() == 7);
  CHECK_THROWS_AS(shard.handler().rpc("__abort__", [] {}), ws::UsageError);
}
