// What a client accepts as an answer to its request.

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <webshocket/client.hpp>

#include "tests/support/raw_server.hpp"

using webshocket::Client;
using webshocket::ClientConfig;
using webshocket::ConnectionFailedError;
using webshocket::Format;
using webshocket::Retry;
using webshocket::test::play;
using webshocket::test::RawPeer;
using webshocket::test::RawServer;
using webshocket::test::ReceivedRequest;
using webshocket::test::served_text;
using webshocket::test::upgrade_reply;
using namespace std::chrono_literals;

namespace {

constexpr Retry kThreeTries{.attempts = 3, .interval = 1ms, .jitter = 0ms};

/// Why a client with this configuration does not take the answer; which is final.
template <class Reply>
std::string refusal(ClientConfig config, Reply reply) {
  RawServer server;
  auto script = play([&] {
    auto [peer, request] = server.accept_request();
    peer.send(reply(request));
    peer.read_end();
  });
  Client client(server.uri(), std::move(config));
  std::string why;
  try {
    client.connect(kThreeTries);
    FAIL("it was taken");
  } catch (const ConnectionFailedError& error) {
    REQUIRE(error.tries().size() == 1);
    CHECK(error.http_status() == 0);
    why = error.tries().front();
  }
  script.get();
  CHECK(server.is_idle());
  return why;
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const auto at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), by);
}

}  // namespace

TEST_CASE("a 101 that is not what the standard wants is final") {
  const auto refused = [](const std::string& what, const std::string& by) {
    return refusal({}, [&](const ReceivedRequest& request) {
      return replaced(upgrade_reply(request, "webshocket.v1"), what, by);
    });
  };
  CHECK(refused("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x") ==
        "The server's Sec-WebSocket-Accept does not belong to our key.");
  CHECK(refused("Sec-WebSocket-Accept", "X-Accept") ==
        "The server's Sec-WebSocket-Accept does not belong to our key.");
  CHECK(refused("Upgrade: websocket", "Upgrade: h2c") == "The server upgraded to no websocket.");
  CHECK(refused("Connection: upgrade", "Connection: close") ==
        "The server's Connection names no upgrade.");
  CHECK(refused("webshocket.v1", "chat") ==
        "The server chose a subprotocol that was not offered: chat");
  CHECK(refused("Upgrade:", "Sec-WebSocket-Extensions: permessage-deflate\r\nUpgrade:") ==
        "The server's extensions: permessage-deflate was not offered");
}

TEST_CASE("a server that chooses no subprotocol") {
  const auto without = [](const ReceivedRequest& request) { return upgrade_reply(request, ""); };
  CHECK(refusal({}, without) == "the server does not speak webshocket.v1");
  CHECK(refusal({.format = Format::json}, without) ==
        "the server does not speak webshocket.v1.json");
  // What asks for none, or can do without.
  for (const ClientConfig& config :
       {ClientConfig{.format = Format::json, .json_in_binary = true},
        ClientConfig{.format = Format::raw},
        ClientConfig{.format = Format::raw, .subprotocols = {"chat", "echo"}}}) {
    RawServer server;
    auto script = play([&] {
      auto [peer, request] = server.accept_request();
      CHECK(request.header("Sec-WebSocket-Protocol").value_or("") ==
            (config.subprotocols.empty() ? "" : "chat, echo"));
      peer.send(without(request));
      CHECK(peer.read_close().code == 1000);
    });
    Client client(server.uri(), config);
    client.connect();
    client.close();
    script.get();
  }
}

TEST_CASE("what is no HTTP, or too much of it") {
  const auto refused = [](const std::string& bytes) {
    return refusal({}, [&](const ReceivedRequest&) { return bytes; });
  };
  CHECK(refused("SSH-2.0-OpenSSH_9.2\r\n").starts_with("the server's answer is no HTTP: "));
  CHECK(refused(std::string(100, '\0')).starts_with("the server's answer is no HTTP: "));
  CHECK(refused("HTTP/1.1 101 Yes\r\nX: " + std::string(100'000, 'x'))
            .starts_with("the server's answer is no HTTP: "));
}

TEST_CASE("a first answer that is none yet is passed over") {
  RawServer server;
  auto script = play([&] {
    auto [peer, request] = server.accept_request();
    peer.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
    peer.send(upgrade_reply(request, "webshocket.v1"));
    CHECK(peer.read_close().code == 1000);
  });
  Client client(server.uri());
  client.connect();
  client.close();
  script.get();
}

TEST_CASE("frames that come with the 101 are not lost, wherever the segments part") {
  RawServer server;
  const std::string frames = served_text("one") + served_text("two");
  std::size_t size = 0;
  for (std::size_t at = 0; at <= size; ++at) {
    auto script = play([&] {
      auto [peer, request] = server.accept_request();
      const std::string all = upgrade_reply(request, "") + frames;
      size = all.size();
      peer.send_split(all, at);
      CHECK(peer.read_close().code == 1000);
    });
    Client client(server.uri(), {.format = Format::raw});
    client.connect();
    REQUIRE(client.recv()->data.as<std::string>() == "one");
    REQUIRE(client.recv()->data.as<std::string>() == "two");
    client.close();
    script.get();
  }
}

TEST_CASE("a CLOSE that comes with the 101") {
  RawServer server;
  auto script = play([&] {
    auto [peer, request] = server.accept_request();
    peer.send(upgrade_reply(request, "") + served_text("last") +
              webshocket::test::served_close(4001, "not you"));
    CHECK(peer.read_close() == webshocket::test::Close{4001, "not you"});
  });
  Client client(server.uri(), {.format = Format::raw});
  client.connect();
  CHECK(client.recv()->data.as<std::string>() == "last");
  try {
    (void)client.recv();
    FAIL("nothing comes any more");
  } catch (const webshocket::ConnectionClosedError& error) {
    CHECK(error.code() == webshocket::CloseCode{4001});
    CHECK(error.reason() == "not you");
  }
  script.get();
}
