// What a client's calls throw, each error brought about.

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <webshocket/client.hpp>
#include <webshocket/server.hpp>

#include "tests/support/raw_server.hpp"
#include "tests/support/server_fixture.hpp"

using webshocket::CallOptions;
using webshocket::Client;
using webshocket::ClientConfig;
using webshocket::ClientLoop;
using webshocket::ConnectionClosedError;
using webshocket::ConnectionFailedError;
using webshocket::Format;
using webshocket::Handler;
using webshocket::PacketError;
using webshocket::PacketValidationError;
using webshocket::per_shard;
using webshocket::ReceiveTimeoutError;
using webshocket::RpcError;
using webshocket::RpcErrorCode;
using webshocket::RpcMethodNotFoundError;
using webshocket::RpcTimeoutError;
using webshocket::Task;
using webshocket::TimeoutError;
using webshocket::UsageError;
using webshocket::WebSocketError;
using webshocket::test::eventually;
using webshocket::test::play;
using webshocket::test::RawPeer;
using webshocket::test::RawServer;
using webshocket::test::read_call;
using webshocket::test::response;
using webshocket::test::ServerFixture;
using namespace std::chrono_literals;

namespace {

class Failing : public Handler {
 public:
  Failing() {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
    rpc("add", [](int a, int b) { return a + b; }).params("a", "b");
    rpc("fail", []() -> int { throw RpcError("no money"); });
    rpc("break", []() -> int { throw std::runtime_error("secret"); });
    rpc("denied", [] { return 1; }).require(webshocket::Has("role"));
    rpc("once", [] { return 1; }).rate_limit(1, 1h);
    rpc("stream_once", &Failing::numbers).rate_limit(1, 1h);
    rpc("numbers", &Failing::numbers);
    rpc("broken", &Failing::broken);
  }

 private:
  webshocket::Stream<int> numbers() {
    for (int i = 0; i < 3; ++i) co_yield i;
  }
  webshocket::Stream<int> broken() {
    co_yield 1;
    throw std::runtime_error("half way");
  }
};

template <class Error, class Function>
std::string text_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    if constexpr (std::is_same_v<Error, RpcError>) {
      return std::to_string(static_cast<int>(error.code())) + " " + error.what();
    } else {
      return error.what();
    }
  }
  FAIL("nothing was thrown");
  return {};
}

}  // namespace

TEST_CASE("what a server answers to a call that fails") {
  ServerFixture server({.shards = 1}, per_shard<Failing>());
  for (const Format format : {Format::msgpack, Format::json}) {
    Client client(server.uri(), {.format = format});
    client.connect();
    const auto error_of = [&](auto... call) {
      return text_of<RpcError>([&] { client.call<int>(call...); });
    };
    CHECK(error_of("fail") == "-32001 no money");
    CHECK(error_of("break") == "-32603 Server error (internal)");
    CHECK(error_of("denied") == "-32002 Access denied for RPC method 'denied'.");
    CHECK(error_of("add", "x", 2).starts_with("-32602 "));
    CHECK(error_of("add").starts_with("-32602 "));
    CHECK(error_of("nowhere") == "-32601 RPC method 'nowhere' not found.");
    CHECK_THROWS_AS(client.call<int>("nowhere"), RpcMethodNotFoundError);
    CHECK(client.call<int>("add", 1, 2) == 3);
    CHECK(client.send_rpc("fail")->error == RpcErrorCode::application_error);
    CHECK_FALSE(client.send_rpc("nowhere").ok());
    CHECK_THROWS_AS(client.send_rpc("nowhere").throw_if_error(), RpcMethodNotFoundError);
    CHECK_THROWS_AS((void)client.send_rpc("fail").as<int>(), RpcError);
    const auto awaiting = [](Client& of) -> Task<int> {
      co_return co_await of.call_async<int>("nowhere");
    };
    CHECK_THROWS_AS(client.loop().run(awaiting(client)), RpcMethodNotFoundError);
  }
}

TEST_CASE("a rate limit is thrown by whom it stops, and told to whom asks") {
  ServerFixture server({.shards = 1}, per_shard<Failing>());
  Client client(server.uri());
  client.connect();
  CHECK(client.call<int>("once") == 1);
  CHECK_THROWS_AS(client.call<int>("once"), webshocket::RateLimitError);
  CHECK(client.send_rpc("once")->error == RpcErrorCode::rate_limit_exceeded);
  const CallOptions raising{.raise_on_rate_limit = true};
  CHECK_THROWS_AS((void)client.send_rpc(raising, "once"), webshocket::RateLimitError);
  CHECK(client.send_rpc(raising, "fail")->error == RpcErrorCode::application_error);
  const auto awaiting = [](Client& of, CallOptions options) -> Task<bool> {
    const auto answer = co_await of.send_rpc_async(options, "once");
    co_return answer.ok();
  };
  CHECK_FALSE(client.loop().run(awaiting(client, {})));
  CHECK_THROWS_AS(client.loop().run(awaiting(client, raising)), webshocket::RateLimitError);

  for (const int n : client.stream<int>("stream_once")) CHECK(n < 3);
  auto stream = client.stream<int>("stream_once");
  CHECK_THROWS_AS((void)stream.next(), webshocket::RateLimitError);
  CHECK_FALSE(stream.next().has_value());
}

TEST_CASE("a stream's end by an error is told once") {
  ServerFixture server({.shards = 1, .expose_errors = true}, per_shard<Failing>());
  Client client(server.uri());
  client.connect();
  auto broken = client.stream<int>("broken");
  CHECK(broken.next() == 1);
  CHECK(text_of<RpcError>([&] { (void)broken.next(); }).starts_with("-32603 "));
  CHECK_FALSE(broken.next().has_value());
  CHECK_THROWS_AS((void)client.stream<int>("nowhere").next(), RpcMethodNotFoundError);
  auto plain = client.stream<int>("add", 1, 2);
  CHECK(plain.next() == 3);
  CHECK_FALSE(plain.next().has_value());
  CHECK(text_of<RpcError>([&] { client.call<int>("numbers"); }) ==
        "-32602 the method streams its answer: call it by stream()");
  auto wrong = client.stream<std::string>("numbers");
  CHECK_THROWS_AS((void)wrong.next(), PacketValidationError);
  CHECK(client.call<int>("add", 2, 2) == 4);
}

TEST_CASE("a call that is not answered in time; the answer comes later, and nobody wants it") {
  RawServer server;
  std::promise<void> late;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    late.get_future().wait();
    for (const char* id : {"1", "2", "4", "17", "x", ""}) peer.send(response(id, "1"));
    peer.send(response(read_call(peer, "quick"), "42"));
    peer.read_close();
    peer.send(webshocket::test::served_close(1000));
  });
  Client client(server.uri(), {.format = Format::json});
  client.connect();
  const CallOptions hasty{.timeout = 1ms};
  CHECK(text_of<RpcTimeoutError>([&] { client.call<int>(hasty, "slow"); }) ==
        "no answer to 'slow' within 1 ms");
  CHECK_THROWS_AS((void)client.stream<int>(hasty, "slow").next(), RpcTimeoutError);
  const auto awaiting = [](Client& of, CallOptions options) -> Task<int> {
    co_return co_await of.call_async<int>(options, "slow");
  };
  CHECK_THROWS_AS(client.loop().run(awaiting(client, hasty)), RpcTimeoutError);
  CHECK(client.stats().calls_in_flight == 0);
  late.set_value();
  CHECK(client.call<int>("quick") == 42);
  CHECK(client.stats().answers_unwanted == 6);
  client.close();
  script.get();
}

TEST_CASE("nothing comes in time") {
  RawServer server;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    peer.read_close();
    peer.send(webshocket::test::served_close(1000));
  });
  Client client(server.uri());
  client.connect();
  CHECK_THROWS_AS((void)client.recv(1ms), ReceiveTimeoutError);
  CHECK_THROWS_AS((void)client.recv(0ms), ReceiveTimeoutError);
  CHECK_THROWS_AS(client.loop().run(client.recv_async(1ms)), ReceiveTimeoutError);
  client.close();
  script.get();

  auto connect = std::async(std::launch::async, [&] { client.connect(); });
  auto silent = server.accept_request();
  CHECK_THROWS_AS(client.wait_connected(1ms), TimeoutError);
  CHECK_THROWS_AS(client.loop().run(client.wait_connected_async(1ms)), TimeoutError);
  silent.first.reset();
  CHECK_THROWS_AS(connect.get(), ConnectionFailedError);
  CHECK_THROWS_AS(client.wait_connected(), ConnectionClosedError);
}

TEST_CASE("a value that the format cannot hold, and a result of another type") {
  ServerFixture server({.shards = 1}, per_shard<Failing>());
  const std::byte byte{1};
  const auto ext = webshocket::Value::of(std::int8_t{5}, std::span(&byte, 1));
  Client json(server.uri(), {.format = Format::json});
  json.connect();
  CHECK_THROWS_AS(json.send(ext), PacketError);
  CHECK_THROWS_AS((void)json.try_send(ext), PacketError);
  CHECK_THROWS_AS((void)json.send_async(ext), PacketError);
  CHECK(text_of<PacketError>([&] { json.call<int>("echo", ext); }) ==
        "an argument of 'echo' cannot be written in the connection's format, json");
  CHECK_THROWS_AS((void)json.call_async<int>("echo", ext), PacketError);
  CHECK_THROWS_AS((void)json.stream<int>("echo", ext), PacketError);
  CHECK(json.stats().calls_in_flight == 0);
  CHECK_THROWS_AS(json.call<int>("echo", "text"), PacketValidationError);
  CHECK_THROWS_AS(json.call<std::vector<int>>("echo", 1), PacketValidationError);
  CHECK_THROWS_AS((void)json.send_rpc("echo", "x").as<int>(), PacketValidationError);
  CHECK_NOTHROW(json.call<void>("echo", "text"));
  CHECK(json.call<int>("add", 1, 1) == 2);
  Client msgpack(server.uri());
  msgpack.connect();
  CHECK_NOTHROW(msgpack.send(ext));
}

TEST_CASE("a configuration that cannot be right names the field") {
  const auto refused = [](const ClientConfig& config) {
    return text_of<UsageError>([&] { Client client("ws://127.0.0.1:1", config); });
  };
  const auto names = [&](std::string_view field, const ClientConfig& config) {
    const std::string text = refused(config);
    CAPTURE(text);
    CHECK(text.starts_with("ClientConfig::" + std::string(field) + " = "));
  };
  names("subprotocols", {.subprotocols = {"chat"}});
  names("subprotocols", {.format = Format::raw, .subprotocols = {"a b"}});
  names("json_in_binary", {.json_in_binary = true});
  names("headers", {.headers = {{"Host", "x"}}});
  names("headers", {.headers = {{"Sec-WebSocket-Key", "x"}}});
  names("headers", {.headers = {{"a b", "x"}}});
  names("headers", {.headers = {{"X-A", "1\r\nX-B: 2"}}});
  names("unix_path", {.unix_path = std::string(200, 'p')});
  names("local_address", {.local_address = "localhost"});
  names("reconnect.interval", {.reconnect = webshocket::Retry{.interval = -1ms}});
  names("reconnect.deadline", {.reconnect = webshocket::Retry{.deadline = -1ms}});
  names("connect_timeout", {.connect_timeout = -1ms});
  names("call_timeout", {.call_timeout = 0ms});
  names("ping_interval", {.ping_interval = -1ms});
  names("ping_timeout", {.ping_timeout = -1ms});
  names("close_timeout", {.close_timeout = 0ms});
  Client client("ws://127.0.0.1:1");
  CHECK_THROWS_AS(client.connect({.jitter = -1ms}), UsageError);
}

TEST_CASE("what a loop's thread must not do") {
  ServerFixture server({.shards = 1}, per_shard<Failing>());
  Client client(server.uri());
  client.connect();
  const ClientLoop loop = client.loop();
  const auto try_all = [](Client& of) -> Task<int> {
    int refused = 0;
    const auto attempt = [&](auto call) {
      try {
        call();
      } catch (const UsageError&) {
        ++refused;
      }
    };
    attempt([&] { of.connect(); });
    attempt([&] { of.wait_connected(); });
    attempt([&] { of.call<int>("add", 1, 2); });
    attempt([&] { (void)of.send_rpc("add", 1, 2); });
    attempt([&] { (void)of.stream<int>("numbers"); });
    attempt([&] { (void)of.recv(); });
    attempt([&] { of.loop().run(of.connect_async()); });
    of.send("goes");
    co_return refused;
  };
  CHECK(loop.run(try_all(client)) == 7);
  CHECK_THROWS_AS((void)ClientLoop::current(), UsageError);
}

TEST_CASE("what the configuration rules out") {
  ServerFixture server({.raw_paths = {"/raw"}, .shards = 1}, per_shard<Failing>());
  ClientConfig config;
  config.on_receive = [](Client&, const webshocket::Packet&) {};
  Client listening(server.uri(), config);
  listening.connect();
  CHECK_THROWS_AS((void)listening.recv(), UsageError);
  CHECK_THROWS_AS((void)listening.recv_async(), UsageError);
  Client raw(server.uri() + "/raw", {.format = Format::raw});
  raw.connect();
  CHECK_THROWS_AS(raw.call<int>("add", 1, 2), UsageError);
  CHECK_THROWS_AS((void)raw.stream<int>("numbers"), UsageError);
  CHECK_THROWS_AS(Client("ws://h", std::shared_ptr<const ClientConfig>(), ClientLoop()),
                  UsageError);
}

TEST_CASE("calls while there is no connection") {
  Client client("ws://127.0.0.1:1");
  const std::string text = "not connected: call connect() first";
  CHECK(text_of<ConnectionClosedError>([&] { client.call<int>("add", 1, 2); }) == text);
  CHECK(text_of<ConnectionClosedError>([&] { client.send(1); }) == text);
  CHECK(text_of<ConnectionClosedError>([&] { (void)client.stream<int>("n"); }) == text);
  CHECK(text_of<ConnectionClosedError>([&] { client.wait_connected(); }) == text);
  CHECK_THROWS_AS((void)client.recv(), ConnectionClosedError);
  CHECK_THROWS_AS(client.loop().run(client.send_async(1)), ConnectionClosedError);
  CHECK_THROWS_AS(client.loop().run(client.call_async<int>("add")), ConnectionClosedError);
  CHECK(client.try_send(1) == webshocket::SendStatus::dropped);
  CHECK(client.stats().calls_in_flight == 0);
}

TEST_CASE("no more calls than max_calls wait") {
  RawServer server;
  std::promise<void> refused;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    refused.get_future().wait();
    peer.send(response(read_call(peer, "a"), "1"));
    peer.send(response(read_call(peer, "e"), "5"));
    peer.read_until_close();
    peer.send(webshocket::test::served_close(1000));
  });
  Client client(server.uri(), {.format = Format::json, .max_calls = 2});
  client.connect();
  auto first = std::async(std::launch::async, [&] { return client.call<int>("a"); });
  eventually([&] { return client.stats().calls_in_flight == 1; }, "the first call");
  const auto stream = client.stream<int>("b");
  const std::string text = "max_calls reached: 2 calls wait for answers already";
  CHECK(text_of<WebSocketError>([&] { client.call<int>("c"); }) == text);
  CHECK(text_of<WebSocketError>([&] { (void)client.stream<int>("d"); }) == text);
  refused.set_value();
  CHECK(first.get() == 1);
  CHECK(client.call<int>("e") == 5);
  client.close();
  script.get();
}
