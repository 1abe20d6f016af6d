// Why a connection does not come about, and how often it is tried.

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include <webshocket/client.hpp>
#include <webshocket/server.hpp>

#include "tests/support/raw_server.hpp"
#include "tests/support/server_fixture.hpp"

using webshocket::Client;
using webshocket::ClientConfig;
using webshocket::ConnectionClosedError;
using webshocket::ConnectionFailedError;
using webshocket::ConnectionState;
using webshocket::InvalidUriError;
using webshocket::Retry;
using webshocket::test::eventually;
using webshocket::test::play;
using webshocket::test::RawPeer;
using webshocket::test::RawServer;
using webshocket::test::ServerFixture;
using webshocket::test::upgrade_reply;
using namespace std::chrono_literals;

namespace {

constexpr Retry kThreeTries{.attempts = 3, .interval = 1ms, .max_interval = 1ms, .jitter = 0ms};

ConnectionFailedError failure(Client& client, const Retry& retry = {.attempts = 1}) {
  try {
    client.connect(retry);
  } catch (const ConnectionFailedError& error) {
    return error;
  }
  FAIL("it has connected");
  return ConnectionFailedError("");
}

/// Why each try failed, in one line.
std::string reasons(const ConnectionFailedError& error) {
  std::string line;
  for (const std::string& why : error.tries()) line += line.empty() ? why : "; " + why;
  return line;
}

/// A port on which nobody listens, and which nobody else is given meanwhile.
class DeadPort {
 public:
  DeadPort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  DeadPort(const DeadPort&) = delete;
  DeadPort& operator=(const DeadPort&) = delete;
  ~DeadPort() { ::close(fd_); }
  std::string uri() const { return "ws://127.0.0.1:" + std::to_string(port_); }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

/// Answers each request with the next of these.
std::future<void> answer_all(RawServer& server, std::vector<std::string> answers) {
  return play([&server, answers = std::move(answers)] {
    for (const std::string& answer : answers) {
      auto [peer, request] = server.accept_request();
      peer.send(answer);
      peer.half_close();
      peer.read_end();
    }
  });
}

std::string answer(int status, const std::string& body = {}) {
  return "HTTP/1.1 " + std::to_string(status) +
         " No\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

TEST_CASE("refused, as often as it is tried") {
  const DeadPort port;
  Client client(port.uri());
  const auto once = failure(client);
  CHECK(once.what() == "cannot connect to " + port.uri() + ": Connection refused");
  CHECK(reasons(once) == "Connection refused");
  CHECK(once.http_status() == 0);
  CHECK(client.state() == ConnectionState::disconnected);
  const auto thrice = failure(client, kThreeTries);
  CHECK(thrice.tries().size() == 3);
  const std::string text = thrice.what();
  CHECK(text.starts_with("cannot connect to " + port.uri() + " after 3 tries in "));
  CHECK(text.ends_with("1: Connection refused; 2: Connection refused; 3: Connection refused"));
  CHECK(client.stats().connects == 0);
}

TEST_CASE("the password of the URI is told to nobody") {
  const DeadPort port;
  std::string uri = port.uri();
  uri.insert(uri.find("//") + 2, "ann:secret@");
  std::string logged;
  ClientConfig config;
  config.log = [&](webshocket::LogLevel, std::string_view text) { logged += text; };
  Client client(uri, config);
  const std::string text = failure(client).what();
  CHECK(text.find("cannot connect to " + port.uri()) == 0);
  CHECK(text.find("secret") == std::string::npos);
  (void)failure(client, {.attempts = 2, .interval = 1ms, .jitter = 0ms});
  CHECK_FALSE(logged.empty());
  CHECK(logged.find("secret") == std::string::npos);
}

TEST_CASE("a name that does not exist") {
  Client client("ws://nobody.invalid:1");
  const auto error = failure(client, {.attempts = 2, .interval = 1ms, .jitter = 0ms});
  REQUIRE(error.tries().size() == 2);
  for (const std::string& why : error.tries()) {
    CHECK(why.starts_with("cannot look up nobody.invalid: "));
  }
}

TEST_CASE("nobody takes the connection") {
  RawServer server("127.0.0.1", 0);
  const RawPeer first(server.port());  // the backlog is full with it
  Client client(server.uri(), {.connect_timeout = 30ms});
  CHECK(reasons(failure(client)).starts_with("no connection within "));
}

TEST_CASE("the request is never answered") {
  RawServer server;
  SUBCASE("within the time of a try") {
    Client client(server.uri(), {.connect_timeout = 20ms});
    const auto error = failure(client, {.attempts = 2, .interval = 1ms, .jitter = 0ms});
    REQUIRE(error.tries().size() == 2);
    CHECK(error.tries()[1].starts_with("no answer within "));
  }
  SUBCASE("within the time of all tries") {
    Client client(server.uri());
    const auto error = failure(client, {.attempts = 0, .deadline = 20ms});
    REQUIRE(error.tries().size() == 1);
    CHECK(error.tries()[0].starts_with("no answer within "));
  }
  SUBCASE("and half an answer is none") {
    Client client(server.uri(), {.connect_timeout = 200ms});
    auto script = play([&] {
      auto [peer, request] = server.accept_request();
      peer.send("HTTP/1.1 101 Switching");
      peer.read_end();
    });
    CHECK(reasons(failure(client)).starts_with("no answer within "));
    script.get();
  }
}

TEST_CASE("the server goes in the middle of the upgrade") {
  RawServer server;
  Client client(server.uri());
  SUBCASE("with a FIN") {
    auto script = play([&] {
      auto [peer, request] = server.accept_request();
      peer.half_close();
      peer.read_end();
    });
    CHECK(reasons(failure(client)) == "the server hung up before it had answered");
    script.get();
  }
  SUBCASE("with a FIN inside its answer") {
    auto script = play([&] {
      auto [peer, request] = server.accept_request();
      peer.send(upgrade_reply(request, "webshocket.v1").substr(0, 60));
      peer.half_close();
      peer.read_end();
    });
    CHECK(reasons(failure(client)) == "the server hung up before it had answered");
    script.get();
  }
  SUBCASE("with a reset") {
    auto script = play([&] { server.accept_request().first.reset(); });
    CHECK(reasons(failure(client)) == "Connection reset by peer (during the upgrade)");
    script.get();
  }
}

TEST_CASE("an answer of 503 is passed on, and tried again") {
  RawServer server;
  const std::string full = answer(503, "Server is full, try again later.");
  auto script = answer_all(server, {full, full, full});
  Client client(server.uri());
  const auto error = failure(client, kThreeTries);
  CHECK(error.http_status() == 503);
  const std::string why = "The server answered 503 No: Server is full, try again later.";
  CHECK(reasons(error) == why + "; " + why + "; " + why);
  script.get();
}

TEST_CASE("an answer is read even if the server did not wait for the request, and reset") {
  RawServer server;
  for (int i = 0; i < 20; ++i) {
    auto script = play([&] {
      RawPeer peer = server.accept();
      peer.wait_for_input();
      peer.send(answer(503, "later"));
    });  // the request is unread
    Client client(server.uri());
    REQUIRE(reasons(failure(client)) == "The server answered 503 No: later");
    script.get();
  }
}

TEST_CASE("what gets better is tried until it is better") {
  RawServer server;
  auto script = play([&] {
    for (const int status : {500, 408, 425, 429}) {
      auto [peer, request] = server.accept_request();
      peer.send(answer(status));
      peer.half_close();
      peer.read_end();
    }
    RawPeer peer = server.accept_client();
    CHECK(peer.read_close().code == 1000);
  });
  Client client(server.uri(), {.close_timeout = 1h});
  client.connect({.attempts = 0, .interval = 1ms, .jitter = 0ms});
  CHECK(client.state() == ConnectionState::connected);
  client.close();
  script.get();
}

TEST_CASE("what cannot get better is not tried again") {
  RawServer server;
  for (const int status : {400, 401, 403, 404, 426, 302}) {
    auto script = answer_all(server, {answer(status, "no")});
    Client client(server.uri());
    const auto error = failure(client, kThreeTries);
    CHECK(error.http_status() == status);
    CHECK(reasons(error) == "The server answered " + std::to_string(status) + " No: no");
    script.get();
  }
  CHECK(server.is_idle());
}

TEST_CASE("a real server that is full, and one that wants nobody") {
  class Guarded : public webshocket::Handler {
    webshocket::Upgrade on_upgrade(const webshocket::UpgradeRequest& request) override {
      if (request.path == "/in") return webshocket::Upgrade::accept();
      return webshocket::Upgrade::reject(401, "who are you?");
    }
  };
  ServerFixture server({.shards = 1, .max_connections = 1}, webshocket::per_shard<Guarded>());
  const std::string uri = "ws://127.0.0.1:" + std::to_string(server.port());
  Client stranger(uri + "/out");
  const auto refused = failure(stranger, kThreeTries);
  CHECK(refused.http_status() == 401);
  CHECK(reasons(refused) == "The server answered 401 Unauthorized: who are you?");

  Client first(uri + "/in");
  first.connect();
  Client second(uri + "/in");
  const auto full = failure(second);
  CHECK(full.http_status() == 503);
  CHECK(reasons(full) ==
        "The server answered 503 Service Unavailable: Server is full, try again later.");
  // It gets in as soon as there is room.
  auto waiting = play([&] {
    second.connect({.attempts = 0, .interval = 1ms, .max_interval = 2ms, .jitter = 0ms});
  });
  first.close();
  waiting.get();
  CHECK(second.state() == ConnectionState::connected);
}

TEST_CASE("no URI of a WebSocket") {
  for (const char* uri :
       {"", "127.0.0.1", "127.0.0.1:80", "http://127.0.0.1", "ws:127.0.0.1", "ws:/127.0.0.1",
        "ws://", "ws://:80", "ws://host:0", "ws://host:65536", "ws://host:x", "ws://a b",
        "ws://host/#part", "ws://[::1", "ws://host\r\n", "ws://h\xC3\xA9"}) {
    CAPTURE(uri);
    CHECK_THROWS_AS(Client client(uri), InvalidUriError);
  }
}

TEST_CASE("close() ends the tries") {
  const DeadPort port;
  std::promise<void> pausing;
  ClientConfig config;
  config.log = [&](webshocket::LogLevel level, std::string_view) {
    if (level == webshocket::LogLevel::info) pausing.set_value();
  };
  Client client(port.uri(), config);
  auto connect = std::async(std::launch::async, [&] {
    client.connect({.attempts = 0, .interval = 1h, .max_interval = 1h});
  });
  pausing.get_future().wait();
  CHECK(client.state() == ConnectionState::connecting);
  client.close();
  CHECK_THROWS_AS(connect.get(), ConnectionClosedError);
  CHECK(client.state() == ConnectionState::closed);
}
