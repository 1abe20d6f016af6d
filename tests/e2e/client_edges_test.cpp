// Where two ends come at once: of a connection and its timer, of a loop and what runs on it.

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

#include <webshocket/client.hpp>
#include <webshocket/error.hpp>

#include "tests/support/raw_server.hpp"
#include "tests/support/server_fixture.hpp"

using webshocket::Client;
using webshocket::ClientConfig;
using webshocket::ClientLoop;
using webshocket::Connection;
using webshocket::ConnectionState;
using webshocket::Handler;
using webshocket::Packet;
using webshocket::per_shard;
using webshocket::Retry;
using webshocket::Task;
using webshocket::test::RawPeer;
using webshocket::test::RawServer;
using webshocket::test::ServerFixture;
using namespace std::chrono_literals;

namespace {

class Adder : public Handler {
 public:
  Adder() {
    rpc("add", [](int a, int b) { return a + b; }).params("a", "b");
    rpc("blob", [](std::size_t n) { return std::vector<std::byte>(n); }).params("n");
  }
  void on_receive(Connection& connection, const Packet& packet) override {
    connection.send(packet.data);
  }
};

}  // namespace

TEST_CASE("peers that ask and reset at once are no trouble to the server") {
  const ServerFixture server({.shards = 1}, per_shard<Adder>());
  for (int round = 0; round < 40; ++round) {
    std::vector<std::unique_ptr<RawPeer>> peers;
    for (int i = 0; i < 25; ++i) peers.push_back(std::make_unique<RawPeer>(server.port()));
    for (auto& peer : peers) peer->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    for (auto& peer : peers) peer->reset();
  }
  Client client(server.uri());
  client.connect();
  CHECK(client.call<int>("add", 1, 2) == 3);
}

TEST_CASE("a connection may be lost in the turn in which its timer is due") {
  RawServer server;
  const ClientLoop loop;
  ClientConfig config;
  config.ping_interval = 20ms;
  Client client(server.uri(), config, loop);
  auto accepted = webshocket::test::play([&] {
    RawPeer peer = server.accept_client();
    // The loop is held up until both have happened: the silence is over, and the peer has gone.
    std::promise<void> held;
    std::promise<void> gone;
    loop.post([&held, gone = gone.get_future().share()] {
      held.set_value();
      gone.wait();
      const auto until = std::chrono::steady_clock::now() + 40ms;
      while (std::chrono::steady_clock::now() < until) {
      }
    });
    held.get_future().wait();
    peer.reset();
    gone.set_value();
  });
  client.connect();
  accepted.get();
  CHECK_THROWS_AS(client.recv(), webshocket::ConnectionClosedError);
  CHECK(client.state() == ConnectionState::closed);
}

TEST_CASE("a shard waits for an on_connect that is on the thread pool") {
  const ServerFixture back({.shards = 1}, per_shard<Adder>());
  std::promise<void> began;
  std::promise<void> may_end;
  auto may_end_now = may_end.get_future().share();
  std::atomic<bool> handler_is_there{false};
  std::atomic<bool> was_used_after_its_end{false};
  std::atomic<bool> frame_is_there{false};

  struct Frame {
    std::atomic<bool>& there;
    explicit Frame(std::atomic<bool>& flag) : there(flag) { there = true; }
    ~Frame() { there = false; }
  };
  class Asker : public Handler {
   public:
    Asker(std::string uri, ClientConfig config, std::atomic<bool>& is_there)
        : uri_(std::move(uri)), config_(std::move(config)), is_there_(is_there) {
      is_there_ = true;
    }
    ~Asker() override {
      client_.reset();
      is_there_ = false;
    }
    void on_start() override {
      client_ = std::make_unique<Client>(uri_, config_, ClientLoop::current());
      spawn(client_->connect_async());
    }

   private:
    std::string uri_;
    ClientConfig config_;
    std::atomic<bool>& is_there_;
    std::unique_ptr<Client> client_;
  };

  ClientConfig config;
  config.on_connect = [&](Client&) -> Task<void> {
    const Frame frame(frame_is_there);
    auto work = [&] {
      began.set_value();
      may_end_now.wait();
      if (!handler_is_there) was_used_after_its_end = true;
    };
    co_await webshocket::offload(work);
  };
  {
    ServerFixture server({.shards = 1, .drain_timeout = 0ms},
                         per_shard<Asker>(back.uri(), config, std::ref(handler_is_there)));
    began.get_future().wait();
    auto closed = std::async(std::launch::async, [&] { server->close(); });
    may_end.set_value();
    closed.get();
  }
  CHECK_FALSE(was_used_after_its_end);
  CHECK_FALSE(frame_is_there);
}

TEST_CASE("clients come to a shard until it ends, and keep nobody waiting") {
  const ServerFixture back({.shards = 1}, per_shard<Adder>());
  for (int round = 0; round < 20; ++round) {
    std::promise<ClientLoop> loop;
    class Lender : public Handler {
     public:
      explicit Lender(std::promise<ClientLoop>& loop) : loop_(loop) {}
      void on_start() override { loop_.set_value(ClientLoop::current()); }

     private:
      std::promise<ClientLoop>& loop_;
    };
    auto server = std::make_unique<ServerFixture>(webshocket::Config{.shards = 1},
                                                  per_shard<Lender>(std::ref(loop)));
    const ClientLoop shard = loop.get_future().get();
    std::atomic<bool> came{false};
    auto comer = std::async(std::launch::async, [&] {
      for (;;) {
        Client client(back.uri(), shard);
        try {
          client.connect();
          came = true;
        } catch (const webshocket::ConnectionError&) {
          return;
        }
      }
    });
    while (!came) std::this_thread::yield();
    server.reset();
    comer.get();
  }
}

TEST_CASE("a time without end is one") {
  const ServerFixture server({.shards = 1}, per_shard<Adder>());
  constexpr auto kForEver = std::chrono::milliseconds::max();
  ClientConfig config;
  config.connect_timeout = kForEver;
  config.call_timeout = kForEver;
  config.ping_interval = kForEver;
  config.ping_timeout = kForEver;
  config.close_timeout = kForEver;
  Client client(server.uri(), config);
  client.connect({.attempts = 2, .interval = kForEver, .jitter = kForEver, .deadline = kForEver});
  CHECK(client.call<int>("add", 1, 2) == 3);
  client.close();

  const ServerFixture patient(
      {.shards = 1, .handshake_timeout = kForEver, .ping_interval = kForEver}, per_shard<Adder>());
  Client other(patient.uri());
  other.connect();
  CHECK(other.call<int>("add", 1, 2) == 3);
}

TEST_CASE("on_connect may close, and may ask for the connection that it was called for") {
  const ServerFixture server({.shards = 1}, per_shard<Adder>());
  ClientConfig closing;
  closing.on_connect = [](Client& client) -> Task<void> {
    client.close();
    return {};
  };
  Client closed(server.uri(), closing);
  CHECK_THROWS_AS(closed.connect(), webshocket::ConnectionClosedError);
  CHECK(closed.state() == ConnectionState::closed);
  CHECK_THROWS_AS(closed.wait_connected(), webshocket::ConnectionClosedError);

  ClientConfig asking;
  asking.on_connect = [](Client& client) -> Task<void> {
    co_await client.connect_async();  // as a helper does that everybody calls first
    co_await client.call_async<int>("add", 1, 2);
  };
  Client asked(server.uri(), asking);
  asked.connect();
  CHECK(asked.call<int>("add", 1, 2) == 3);
}

TEST_CASE("what a posted function throws ends nothing; an empty one is refused") {
  const ClientLoop loop;
  CHECK(loop.post([] { throw std::runtime_error("no"); }));
  CHECK_THROWS_AS(loop.post({}), webshocket::UsageError);
  CHECK(loop.run([]() -> Task<int> { co_return 7; }()) == 7);
}

TEST_CASE("run() returns when the coroutine has gone, with all that it held") {
  const ClientLoop loop;
  struct Guard {
    bool* there;
    explicit Guard(bool& flag) : there(&flag) { flag = true; }
    Guard(Guard&& other) noexcept : there(std::exchange(other.there, nullptr)) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (there != nullptr) *there = false;
    }
  };
  for (int i = 0; i < 200; ++i) {
    bool is_there = false;
    const auto hold = [](Guard guard) -> Task<int> { co_return *guard.there ? 1 : 0; };
    CHECK(loop.run(hold(Guard(is_there))) == 1);
    CHECK_FALSE(is_there);
  }
}

TEST_CASE("every packet that drop_old drops is counted, when the bound is in bytes too") {
  const ServerFixture server({.shards = 1}, per_shard<Adder>());
  ClientConfig config;
  config.packet_queue_size = 0;
  config.packet_queue_bytes = 1000;
  config.receive_policy = webshocket::ReceivePolicy::drop_old;
  Client client(server.uri(), config);
  client.connect();
  for (int i = 0; i < 9; ++i) client.send(std::string(100, 'x'));
  client.send(std::string(2000, 'y'));  // fills the queue by itself
  client.send("last");
  CHECK(client.call<int>("add", 1, 2) == 3);  // its answer comes behind all of them
  CHECK(client.stats().packets_dropped == 10);
  CHECK(client.recv()->data.string() == "last");
}
