// How a client's connection ends, and what of it whoever waits is told. No wait here may end by its
// time: they are all longer than the test.

#include <doctest/doctest.h>

#include <chrono>
#include <future>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <webshocket/client.hpp>

#include "tests/support/raw_server.hpp"
#include "tests/support/server_fixture.hpp"

using webshocket::CallOptions;
using webshocket::Client;
using webshocket::ClientConfig;
using webshocket::ClientLoop;
using webshocket::CloseCode;
using webshocket::ConnectionClosedError;
using webshocket::ConnectionState;
using webshocket::Format;
using webshocket::Task;
using webshocket::test::Close;
using webshocket::test::eventually;
using webshocket::test::kBinary;
using webshocket::test::kContinuation;
using webshocket::test::kPing;
using webshocket::test::kPong;
using webshocket::test::kText;
using webshocket::test::play;
using webshocket::test::RawPeer;
using webshocket::test::RawServer;
using webshocket::test::SentFrame;
using webshocket::test::served;
using webshocket::test::served_close;
using webshocket::test::served_text;
using namespace std::chrono_literals;

namespace {

ClientConfig patient() {
  return {.format = Format::json,
          .connect_timeout = 1h,
          .call_timeout = 1h,
          .ping_interval = 0ms,
          .close_timeout = 1h};
}

template <class Wait>
ConnectionClosedError end_of(Wait wait) {
  try {
    wait();
  } catch (const ConnectionClosedError& error) {
    return error;
  }
  FAIL("it has not ended");
  return ConnectionClosedError("");
}

/// "CODE reason" as every kind of wait is told it, when the server does this.
template <class Script>
std::string told(Script script) {
  RawServer server;
  auto server_side = play([&] {
    RawPeer peer = server.accept_client();
    for (int i = 0; i < 4; ++i) peer.read_message();  // two calls, two streams
    script(peer);
  });
  Client client(server.uri(), patient());
  client.connect();

  std::vector<std::future<ConnectionClosedError>> waits;
  const auto wait = [&waits](auto function) {
    waits.push_back(std::async(std::launch::async, [function] { return end_of(function); }));
  };
  wait([&] { (void)client.recv(1h); });
  wait([&] { client.call<int>("slow"); });
  wait([&] { (void)client.stream<int>("numbers").next(); });
  const ClientLoop loop = client.loop();
  wait([&] { loop.run(client.call_async<int>("slow")); });
  const auto read_stream = [](Client& of) -> Task<void> {
    auto stream = of.stream_async<int>("numbers");
    while (co_await stream.next()) {
    }
  };
  wait([&] { loop.run(read_stream(client)); });
  wait([&] { (void)loop.run(client.recv_async(1h)); });

  std::string first;
  for (auto& each : waits) {
    const ConnectionClosedError error = each.get();
    const std::string text =
        std::to_string(static_cast<int>(error.code())) + " " + error.reason() + "|" + error.what();
    if (first.empty()) first = text;
    CHECK(text == first);
  }
  server_side.get();
  eventually([&] { return client.state() == ConnectionState::closed; }, "the state");
  CHECK(end_of([&] { client.send(1); }).what() == first.substr(first.find('|') + 1));
  CHECK(client.try_send(1) == webshocket::SendStatus::dropped);
  CHECK(client.stats().calls_in_flight == 0);
  return first;
}

/// What a client answers to these bytes, and what its callers are told, which must be the same.
Close complaint(const std::string& bytes, ClientConfig config = patient()) {
  RawServer server;
  Close seen;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    peer.read_message();
    peer.send(bytes);
    seen = peer.read_close();
    peer.read_end();
  });
  Client client(server.uri(), std::move(config));
  client.connect();
  const ConnectionClosedError error = end_of([&] { client.call<int>("slow"); });
  script.get();
  CHECK(static_cast<unsigned>(error.code()) == seen.code);
  CHECK(error.reason() == seen.reason);
  return seen;
}

}  // namespace

TEST_CASE("a CLOSE by the server ends every wait with its code and reason") {
  for (const unsigned code : {1000U, 1001U, 1008U, 1011U, 1013U, 4000U}) {
    CHECK(told([code](RawPeer& peer) {
            peer.send(served_close(code, "because"));
            CHECK(peer.read_close() == Close{code, "because"});
          }) == std::to_string(code) + " because|the connection was closed with " +
                    std::to_string(code) + ": because");
  }
}

TEST_CASE("a CLOSE without a body") {
  CHECK(told([](RawPeer& peer) {
          peer.send(served_close(0));
          CHECK(peer.read_close() == Close{});
        }) == "1005 |the connection was closed with 1005");
}

TEST_CASE("an end without a CLOSE") {
  CHECK(told([](RawPeer& peer) {
          peer.half_close();
          peer.read_end();
        }) == "1006 |the connection was lost");
  CHECK(told([](RawPeer& peer) { peer.reset(); }) == "1006 |the connection was lost");
  CHECK(told([](RawPeer& peer) {
          peer.send(served_text(R"({"source":4,"da)").substr(0, 9));
          peer.reset();
        }) == "1006 |the connection was lost");
}

TEST_CASE("waits do not wait for the server to hang up") {
  std::promise<void> all_told;
  RawServer server;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    peer.send(served_close(1001));
    peer.read_close();
    all_told.get_future().wait();
  });
  Client client(server.uri(), patient());
  client.connect();
  CHECK(end_of([&] { (void)client.recv(1h); }).code() == CloseCode::going_away);
  CHECK(client.state() == ConnectionState::closed);
  all_told.set_value();
  script.get();
}

TEST_CASE("a CLOSE is read even if a reset follows") {
  RawServer server;
  for (int i = 0; i < 20; ++i) {
    auto script = play([&] {
      RawPeer peer = server.accept_client();
      peer.wait_for_input();
      peer.send(served_close(1008, "too loud"));
    });  // what the client has said is unread
    Client client(server.uri(), patient());
    client.connect();
    const auto error = end_of([&] { client.call<int>("shout"); });
    REQUIRE(error.code() == CloseCode::policy_violation);
    REQUIRE(error.reason() == "too loud");
    script.get();
  }
}

TEST_CASE("what was received before the end is still given out") {
  RawServer server;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    peer.send(served_text(R"({"source":4,"data":1})") + served_text(R"({"source":4,"data":2})") +
              served_close(1001));
    peer.read_close();
  });
  Client client(server.uri(), patient());
  client.connect();
  script.get();
  eventually([&] { return client.state() == ConnectionState::closed; }, "the end");
  CHECK(client.recv()->data.as<int>() == 1);
  CHECK(client.recv()->data.as<int>() == 2);
  CHECK(end_of([&] { (void)client.recv(); }).code() == CloseCode::going_away);
}

TEST_CASE("what a server must not send") {
  const auto frame = [](SentFrame sent) { return served(std::move(sent)); };
  CHECK(complaint(webshocket::test::text_frame("masked")).code == 1002);
  CHECK(complaint(frame({.opcode = kText, .rsv = 4})).code == 1002);
  CHECK(complaint(frame({.opcode = kText, .rsv = 1})).code == 1002);
  CHECK(complaint(frame({.opcode = 0x3})).code == 1002);
  CHECK(complaint(frame({.opcode = 0xB})).code == 1002);
  CHECK(complaint(frame({.opcode = kContinuation})).code == 1002);
  CHECK(complaint(frame({.opcode = kPing, .fin = false})).code == 1002);
  CHECK(complaint(frame({.opcode = kPing, .payload = std::string(126, 'p')})).code == 1002);
  CHECK(complaint(frame({.payload = "x", .length_bytes = 2})).code == 1002);
  CHECK(complaint(frame({.opcode = kText, .payload = "a", .fin = false}) +
                  frame({.opcode = kText, .payload = "b"}))
            .code == 1002);
  CHECK(complaint(frame({.opcode = webshocket::test::kClose, .payload = "x"})).code == 1002);
  for (const unsigned code : {999U, 1004U, 1005U, 1006U, 1015U, 2999U, 5000U}) {
    CHECK(complaint(served_close(code)).code == 1002);
  }
  CHECK(complaint(frame({.opcode = kText, .payload = "\xC0\xAF"})).code == 1007);
  CHECK(complaint(served_close(1000, "\xFF")).code == 1007);
  ClientConfig small = patient();
  small.max_message = 1'000;
  CHECK(complaint(frame({.payload = "", .length = 1'001}), small).code == 1009);
  CHECK(complaint(frame({.payload = std::string(600, 'x'), .fin = false}) +
                      frame({.opcode = kContinuation, .payload = std::string(600, 'x')}),
                  small)
            .code == 1009);
  CHECK(complaint(frame({.length_bytes = 8, .length = 1ULL << 62U})).code == 1009);
}

TEST_CASE("an unasked PONG, empty messages and fragments are harmless") {
  RawServer server;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    peer.send(served({.opcode = kPong, .payload = "?"}) + served({.opcode = kBinary}) +
              served({.opcode = kText, .payload = "", .fin = false}) +
              served({.opcode = kPing, .payload = "between"}) +
              served({.opcode = kContinuation, .payload = "", .fin = false}) +
              served({.opcode = kContinuation, .payload = "split"}));
    const auto pong = peer.read_frame();
    CHECK(pong.opcode == kPong);
    CHECK(pong.payload == "between");
    CHECK(pong.masked);
    CHECK(peer.read_close().code == 1000);
    peer.send(served_close(1000));
  });
  Client client(server.uri(), {.format = Format::raw});
  client.connect();
  CHECK(client.recv()->data.bytes().empty());
  CHECK(client.recv()->data.as<std::string>() == "split");
  client.close();
  script.get();
}
