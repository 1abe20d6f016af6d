// What a client tells its owner, and the states that it goes through.

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <latch>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <webshocket/client.hpp>
#include <webshocket/server.hpp>

#include "tests/support/raw_server.hpp"
#include "tests/support/server_fixture.hpp"

using webshocket::Client;
using webshocket::ClientConfig;
using webshocket::CloseCode;
using webshocket::ConnectionClosedError;
using webshocket::ConnectionFailedError;
using webshocket::ConnectionState;
using webshocket::Format;
using webshocket::Packet;
using webshocket::Retry;
using webshocket::Task;
using webshocket::test::eventually;
using webshocket::test::play;
using webshocket::test::RawPeer;
using webshocket::test::RawServer;
using webshocket::test::read_call;
using webshocket::test::response;
using webshocket::test::served_close;
using webshocket::test::served_text;
using namespace std::chrono_literals;

namespace {

ClientConfig in_json() { return {.format = Format::json, .call_timeout = 1h, .close_timeout = 1h}; }

constexpr Retry kAlways{.attempts = 0, .interval = 1ms, .max_interval = 2ms, .jitter = 0ms};

/// Answers the client's CLOSE.
void see_off(RawPeer& peer, unsigned code = 1000) {
  CHECK(peer.read_until_close().code == code);
  peer.send(served_close(code));
}

class Log {
 public:
  void add(const std::string& line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(line);
  }
  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  std::string text() const {
    std::string all;
    for (const std::string& line : lines()) all += all.empty() ? line : ", " + line;
    return all;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

}  // namespace

TEST_CASE("on_connect has ended when connect() returns, and may call") {
  RawServer server;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    peer.send(response(read_call(peer, "join"), "5"));
    see_off(peer);
  });
  int joined = 0;
  ClientConfig config = in_json();
  config.on_connect = [&joined](Client& client) -> Task<void> {
    CHECK(client.state() == ConnectionState::connected);
    joined = co_await client.call_async<int>("join");
  };
  Client client(server.uri(), config);
  client.connect();
  CHECK(joined == 5);
  client.connect();
  client.close();
  script.get();
  CHECK(client.stats().connects == 1);
}

TEST_CASE("an on_connect that throws makes the try fail, and the next one may be better") {
  RawServer server;
  auto script = play([&] {
    for (int i = 0; i < 3; ++i) {
      RawPeer peer = server.accept_client();
      see_off(peer);
    }
  });
  Log log;
  std::atomic<int> greetings{0};
  ClientConfig config = in_json();
  config.on_connect = [&](Client&) -> Task<void> {
    const int number = ++greetings;
    if (number == 1) throw std::runtime_error("not yet");
    co_await webshocket::sleep_for(0ms);
    if (number == 2) throw std::runtime_error("nor now");
  };
  config.on_disconnect = [&](Client&, CloseCode code, std::string_view) {
    log.add(std::to_string(static_cast<int>(code)));
  };
  Client client(server.uri(), config);
  std::string why;
  try {
    client.connect();
  } catch (const ConnectionFailedError& error) {
    why = error.what();
  }
  CHECK(why ==
        "cannot connect to " + server.uri() + ": on_connect failed: std::runtime_error: not yet");
  CHECK(client.state() == ConnectionState::disconnected);
  client.connect(kAlways);
  CHECK(greetings == 3);
  CHECK(log.text() == "1000, 1000");
  client.close();
  CHECK(log.text() == "1000, 1000, 1000");
  script.get();
}

TEST_CASE("an on_connect that is no coroutine") {
  RawServer server;
  auto script = play([&] {
    for (int i = 0; i < 2; ++i) {
      RawPeer peer = server.accept_client();
      see_off(peer);
    }
  });
  ClientConfig config = in_json();
  bool throws = true;
  config.on_connect = [&](Client&) -> Task<void> {
    if (throws) throw std::runtime_error("at once");
    return {};
  };
  Client client(server.uri(), config);
  CHECK_THROWS_AS(client.connect(), ConnectionFailedError);
  throws = false;
  client.connect();
  client.close();
  script.get();
}

TEST_CASE("the states, in order") {
  RawServer server;
  Client client(server.uri(), in_json());
  CHECK(client.state() == ConnectionState::disconnected);
  auto connect = std::async(std::launch::async, [&] { client.connect(); });
  {
    auto [peer, request] = server.accept_request();
    CHECK(client.state() == ConnectionState::connecting);
    peer.send(webshocket::test::upgrade_reply(request, "webshocket.v1.json"));
    connect.get();
    CHECK(client.state() == ConnectionState::connected);
    auto close = std::async(std::launch::async, [&] { client.close(CloseCode{4001}, "bye"); });
    CHECK(peer.read_close() == webshocket::test::Close{4001, "bye"});
    CHECK(client.state() == ConnectionState::closed);
    peer.send(served_close(4001));
    peer.half_close();
    close.get();
  }
  CHECK(client.state() == ConnectionState::closed);
  auto again = play([&] {
    RawPeer peer = server.accept_client();
    peer.half_close();
    peer.read_end();
  });
  client.connect();
  again.get();
  eventually([&] { return client.state() == ConnectionState::closed; }, "the loss");
  Client never(server.uri());
  never.close();
  CHECK(never.state() == ConnectionState::closed);
}

TEST_CASE("on_disconnect comes once per connection, with who closed and why") {
  RawServer server;
  Log log;
  ClientConfig config = in_json();
  config.on_disconnect = [&](Client&, CloseCode code, std::string_view reason) {
    log.add(std::to_string(static_cast<int>(code)) + " " + std::string(reason));
    throw std::runtime_error("ignored");
  };
  Client client(server.uri(), config);
  CHECK_THROWS_AS(client.connect({.attempts = 1, .deadline = 1ms}), ConnectionFailedError);
  server.accept().reset();
  const auto connection = [&](auto script) {
    auto running = play([&] {
      RawPeer peer = server.accept_client();
      script(peer);
    });
    client.connect();
    running.get();
  };
  connection([](RawPeer& peer) {
    peer.send(served_close(1013, "full"));
    peer.read_close();
  });
  eventually([&] { return log.lines().size() == 1; }, "the first end");
  connection([](RawPeer& peer) { peer.reset(); });
  eventually([&] { return log.lines().size() == 2; }, "the second end");
  connection([](RawPeer& peer) {
    peer.send(served_close(0));
    peer.read_close();
  });
  eventually([&] { return log.lines().size() == 3; }, "the third end");
  CHECK(log.text() == "1013 full, 1006 , 1005 ");
}

TEST_CASE("what on_receive throws is logged, and harms nobody") {
  RawServer server;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    peer.send(served_text(R"({"source":4,"data":1})") + served_text(R"({"source":4,"data":2})"));
    see_off(peer);
  });
  Log log;
  std::promise<int> second;
  ClientConfig config = in_json();
  config.on_receive = [&](Client&, const Packet& packet) {
    const int n = packet.data.as<int>();
    if (n == 1) throw std::runtime_error("bad day");
    second.set_value(n);
  };
  config.log = [&](webshocket::LogLevel level, std::string_view text) {
    if (level == webshocket::LogLevel::error) log.add(std::string(text));
  };
  Client client(server.uri(), config);
  client.connect();
  CHECK(second.get_future().get() == 2);
  CHECK(log.text() == "on_receive failed: std::runtime_error: bad day");
  client.close();
  script.get();
}

TEST_CASE("connect() from many threads makes one connection") {
  RawServer server;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    see_off(peer);
  });
  Client client(server.uri(), in_json());
  std::latch start(8);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      start.arrive_and_wait();
      CHECK_NOTHROW(client.connect());
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(client.stats().connects == 1);
  client.close();
  script.get();
  CHECK(server.is_idle());
}

TEST_CASE("close() while the upgrade is under way") {
  RawServer server;
  Client client(server.uri(), in_json());
  auto connect = std::async(std::launch::async, [&] { client.connect(kAlways); });
  auto [peer, request] = server.accept_request();
  client.close();
  CHECK_THROWS_AS(connect.get(), ConnectionClosedError);
  CHECK(client.state() == ConnectionState::closed);
  peer.read_end();
  CHECK(server.is_idle());
}

TEST_CASE("close() from several sides at once, and twice") {
  RawServer server;
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    see_off(peer);
  });
  Client client(server.uri(), in_json());
  client.connect();
  auto other = std::async(std::launch::async, [&] { client.close(); });
  auto awaited = client.loop().spawn(client.close_async());
  client.close();
  other.get();
  awaited.get();
  client.close();
  script.get();
}

TEST_CASE("close() in each event") {
  RawServer server;
  std::promise<void> gone;
  ClientConfig config = in_json();
  SUBCASE("on_receive") {
    config.on_receive = [](Client& client, const Packet&) { client.close(CloseCode{4002}, "x"); };
  }
  SUBCASE("on_connect") {
    config.on_connect = [](Client& client) -> Task<void> {
      client.close(CloseCode{4002}, "x");
      co_return;
    };
  }
  SUBCASE("on_connect, and it waits for it") {
    config.on_connect = [](Client& client) -> Task<void> {
      co_await client.close_async(CloseCode{4002}, "x");
    };
  }
  config.on_disconnect = [&](Client&, CloseCode code, std::string_view) {
    CHECK(code == CloseCode{4002});
    gone.set_value();
  };
  auto script = play([&] {
    RawPeer peer = server.accept_client();
    peer.send(served_text(R"({"source":4,"data":1})"));
    see_off(peer, 4002);
  });
  Client client(server.uri(), config);
  try {
    client.connect(kAlways);
    CHECK(config.on_receive);
  } catch (const ConnectionClosedError& error) {
    CHECK(error.code() == CloseCode{4002});
  }
  gone.get_future().get();
  script.get();
  eventually([&] { return client.state() == ConnectionState::closed; }, "the end");
  CHECK(server.is_idle());
}

TEST_CASE("on_disconnect may put an end to the tries") {
  RawServer server;
  ClientConfig config = in_json();
  config.reconnect = kAlways;
  config.on_disconnect = [](Client& client, CloseCode, std::string_view) { client.close(); };
  Client client(server.uri(), config);
  auto script = play([&] { server.accept_client().reset(); });
  client.connect();
  script.get();
  eventually([&] { return client.state() == ConnectionState::closed; }, "the end");
  CHECK_THROWS_AS(client.wait_connected(), ConnectionClosedError);
  CHECK_THROWS_AS((void)client.recv(), ConnectionClosedError);
  CHECK(client.stats().connects == 1);
}

TEST_CASE("on_disconnect may begin anew, and whoever has closed is told all the same") {
  RawServer server;
  std::future<void> again;
  ClientConfig config = in_json();
  config.on_disconnect = [&](Client& client, CloseCode, std::string_view) {
    if (client.stats().connects == 1) again = client.loop().spawn(client.connect_async());
  };
  auto script = play([&] {
    for (int i = 0; i < 2; ++i) {
      RawPeer peer = server.accept_client();
      if (i == 1) peer.send(served_text(R"({"source":4,"data":"new"})"));
      see_off(peer);
    }
  });
  Client client(server.uri(), config);
  client.connect();
  client.close();
  again.get();
  CHECK(client.state() == ConnectionState::connected);
  CHECK(client.recv()->data.as<std::string>() == "new");
  client.close();
  script.get();
}

TEST_CASE("a lost connection is mended, and on_connect runs again") {
  RawServer server;
  std::atomic<int> greetings{0};
  ClientConfig config = in_json();
  config.reconnect = kAlways;
  config.on_connect = [&](Client&) -> Task<void> {
    ++greetings;
    co_return;
  };
  auto script = play([&] {
    for (int i = 0; i < 3; ++i) server.accept_client().reset();
    RawPeer peer = server.accept_client();
    peer.send(served_text(R"({"source":4,"data":"mended"})"));
    see_off(peer);
  });
  Client client(server.uri(), config);
  client.connect();
  // It outlives the losses.
  CHECK(client.recv(1h)->data.as<std::string>() == "mended");
  client.wait_connected();
  CHECK(greetings == 4);
  CHECK(client.stats().connects == 4);
  client.close();
  script.get();
}
