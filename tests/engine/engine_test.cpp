#include "engine/engine.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <webshocket/error.hpp>
#include <webshocket/server.hpp>

#include "tests/support/own_process.hpp"
#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"

using webshocket::Connection;
using webshocket::Handler;
using webshocket::HandlerFactory;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::ServerState;
using webshocket::Task;
using webshocket::UsageError;
using webshocket::WebSocketError;
using webshocket::test::descriptor_count;
using webshocket::test::eventually;
using webshocket::test::open_peer;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::thread_count;

namespace {

class Silent : public Handler {};

/// The processors that this thread may run on.
std::vector<unsigned> own_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  REQUIRE(::sched_getaffinity(0, sizeof set, &set) == 0);
  std::vector<unsigned> cpus;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

/// Does `start` on its shard's thread when the shard starts.
class OnStart : public Handler {
 public:
  explicit OnStart(std::function<void(OnStart&)> function) : start_(std::move(function)) {}
  void on_start() override { start_(*this); }

 private:
  std::function<void(OnStart&)> start_;
};

HandlerFactory on_start(std::function<void(OnStart&)> function) {
  return per_shard<OnStart>(std::move(function));
}

/// What the process held before, so that a test can say that nothing was left behind.
struct Holdings {
  std::size_t threads = thread_count();
  std::size_t descriptors = descriptor_count();
};

/// A thread that was joined may be seen for a moment still.
void settles_at(const Holdings& before) {
  eventually([&] { return thread_count() <= before.threads; }, "the threads to be gone");
  CHECK(descriptor_count() == before.descriptors);
}

/// Once, so that what is made once (a sanitizer's thread, a signal pipe of libuv's) is there.
void warm_up() {
  const std::size_t threads = thread_count();
  {
    Server server({.shards = 1}, per_shard<Silent>());
    server.start();
  }
  // A sanitizer's own thread may have come.
  eventually([&] { return thread_count() <= threads + 1; }, "the threads to be gone");
}

}  // namespace

TEST_CASE("a factory that throws: start throws the same, and nothing is left") {
  warm_up();
  std::atomic<int> made{0};
  std::atomic<int> good{2};
  Server server({.shards = 4}, [&]() -> std::unique_ptr<Handler> {
    if (++made > good) throw std::runtime_error("no database");
    return std::make_unique<Silent>();
  });
  const Holdings with_server;
  CHECK_THROWS_WITH_AS(server.start(), "no database", std::runtime_error);
  CHECK(made == 3);
  CHECK(server.state() == ServerState::closed);
  CHECK(server.port() == 0);
  CHECK(server.addresses().empty());
  settles_at(with_server);

  // It was not a start: another try may go well.
  good = 100;
  server.start();
  CHECK(server.state() == ServerState::serving);
  open_peer(server.port());
  server.close();
}

TEST_CASE("on_start that throws, and a factory that gives nothing") {
  warm_up();
  const Holdings before;
  {
    Server server({.shards = 3}, on_start([](OnStart& handler) {
                    if (handler.shard() == 2) throw std::runtime_error("no license");
                  }));
    CHECK_THROWS_WITH_AS(server.start(), "no license", std::runtime_error);
    Server nothing({.shards = 2}, [] { return std::unique_ptr<Handler>(); });
    CHECK_THROWS_AS(nothing.start(), UsageError);
  }
  settles_at(before);
}

namespace {

struct Farewell {
  explicit Farewell(std::function<void()> function) : say(std::move(function)) {}
  ~Farewell() { say(); }
  std::function<void()> say;
};

class Spawner : public Handler {
 public:
  Spawner(std::shared_ptr<std::atomic<int>> ended, bool asks)
      : ended_(std::move(ended)), asks_(asks) {}
  void on_start() override { spawn(asks_ ? ask() : wait()); }

 private:
  Task<void> wait() {
    const Farewell farewell([this] { ++*ended_; });
    co_await webshocket::sleep_for(std::chrono::hours(1));
  }
  Task<void> ask() {
    const Farewell farewell([this] { ++*ended_; });
    for (;;) co_await gather(&Spawner::number);
  }
  int number() { return 1; }

  std::shared_ptr<std::atomic<int>> ended_;
  bool asks_;
};

}  // namespace

TEST_CASE("a start that fails ends what earlier handlers have spawned, before they end") {
  for (const bool asks : {false, true}) {
    CAPTURE(asks);
    const auto ended = std::make_shared<std::atomic<int>>(0);
    std::atomic<int> made{0};
    {
      Server server({.shards = 3}, per_shard<Spawner>(ended, asks));
      // The second route fails on the second shard, where the first route has spawned already.
      server.route("/other", [&]() -> std::unique_ptr<Handler> {
        if (++made == 2) throw std::runtime_error("no");
        return std::make_unique<Silent>();
      });
      CHECK_THROWS_AS(server.start(), std::runtime_error);
      // on_start comes when all handlers of a shard are there, so it came on the first shard only.
      CHECK(*ended == 1);
    }
    made = 0;
    *ended = 0;
    Server server({.shards = 2}, per_shard<Spawner>(ended, asks));
    server.route("/other", on_start([](OnStart& handler) {
                   if (handler.shard() == 1) throw std::runtime_error("no");
                 }));
    CHECK_THROWS_AS(server.start(), std::runtime_error);
    CHECK(*ended == 2);
  }
}

TEST_CASE("a port that is taken: start names it, and frees the others") {
  ServerFixture first({.shards = 1}, per_shard<Silent>());
  ServerFixture probe({.shards = 1}, per_shard<Silent>());
  const std::uint16_t free_port = probe.port();
  probe->close();
  std::atomic<int> made{0};
  const Holdings before;
  {
    webshocket::Config config{.shards = 2};
    config.listeners = {{.port = free_port}, {.port = first.port()}};
    Server server(config, [&] {
      ++made;
      return std::make_unique<Silent>();
    });
    try {
      server.start();
      FAIL_CHECK("started");
    } catch (const WebSocketError& error) {
      const std::string address = "127.0.0.1:" + std::to_string(first.port());
      CHECK_MESSAGE(std::string(error.what()).find(address) != std::string::npos, error.what());
    }
    CHECK(made == 0);
  }
  settles_at(before);
  ServerFixture again({.port = free_port, .shards = 1}, per_shard<Silent>());
  CHECK(again.port() == free_port);
}

TEST_CASE("a server starts once") {
  Server server({.shards = 1}, per_shard<Silent>());
  server.close();  // before the start it does nothing
  CHECK(server.state() == ServerState::closed);
  server.start();
  CHECK_THROWS_AS(server.start(), UsageError);
  CHECK(server.state() == ServerState::serving);
  server.close();
  server.close();
  CHECK(server.state() == ServerState::closed);
  CHECK_THROWS_AS(server.start(), UsageError);
  server.serve_forever();  // returns at once, as it is over
}

namespace {

/// Where and when a handler's life took place.
class Life : public Handler {
 public:
  struct Record {
    std::mutex mutex;
    std::vector<std::string> events;
    std::set<std::thread::id> threads;
    bool same_thread = true;
  };

  explicit Life(Record& record) : record_(record), thread_(std::this_thread::get_id()) {
    note("made");
  }
  ~Life() override { note("ended"); }
  void on_start() override { note("start"); }
  void on_stop() override { note(clients().empty() ? "stop" : "stop too early"); }
  void on_connect(Connection&) override { note("connect"); }
  void on_disconnect(Connection&) override { note("disconnect"); }

 private:
  void note(const char* what) {
    const std::scoped_lock lock(record_.mutex);
    record_.events.emplace_back(what);
    record_.threads.insert(std::this_thread::get_id());
    record_.same_thread = record_.same_thread && thread_ == std::this_thread::get_id();
  }

  Record& record_;
  std::thread::id thread_;
};

}  // namespace

TEST_CASE("a handler lives on its shard's thread, from the first event to the last") {
  Life::Record record;
  {
    ServerFixture server({.shards = 1, .close_timeout = std::chrono::milliseconds(50)},
                         per_shard<Life>(std::ref(record)));
    RawPeer peer = open_peer(server.port());
    eventually([&] { return server->client_count() == 1; }, "the connection");
    server->close();
    CHECK(peer.read_close().code == 1001);
  }
  CHECK(record.events ==
        std::vector<std::string>{"made", "start", "connect", "disconnect", "stop", "ended"});
  CHECK(record.same_thread);

  Life::Record many;
  { const ServerFixture server({.shards = 5}, per_shard<Life>(std::ref(many))); }
  CHECK(many.threads.size() == 5);
  CHECK(many.same_thread);
  CHECK(many.threads.count(std::this_thread::get_id()) == 0);
}

TEST_CASE("while it starts, a handler may ask the server anything; it is not serving yet") {
  std::atomic<int> asked{0};
  Server* self = nullptr;
  Server server({.shards = 2}, on_start([&](OnStart&) {
                  CHECK(self->state() == ServerState::closed);
                  CHECK(self->stats().accepted == 0);
                  CHECK(self->client_count() == 0);
                  CHECK(self->addresses().empty());
                  CHECK_FALSE(self->publish("room", 1));
                  CHECK_FALSE(self->broadcast(1));
                  CHECK_THROWS_AS((void)self->describe(), WebSocketError);
                  CHECK_THROWS_AS(
                      self->register_rpc("x", [] { return webshocket::RpcMethod([] {}); }),
                      webshocket::Error);
                  CHECK_THROWS_AS((void)self->accept(), WebSocketError);
                  CHECK_THROWS_AS(self->start(), UsageError);
                  CHECK_THROWS_AS(self->route("/x", per_shard<Silent>()), UsageError);
                  self->close();
                  ++asked;
                }));
  self = &server;
  server.start();
  CHECK(asked == 2);
  CHECK(server.state() == ServerState::serving);
}

TEST_CASE("many threads may close at once, and all return when it is over") {
  ServerFixture server({.shards = 2}, per_shard<Silent>());
  std::vector<RawPeer> peers;
  for (int i = 0; i < 8; ++i) peers.push_back(open_peer(server.port()));
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      server->close();
      CHECK(server->state() == ServerState::closed);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(server->client_count() == 0);
}

namespace {

class Closer : public Handler {
 public:
  explicit Closer(Server*& server) : server_(server) {}
  void on_connect(Connection&) override {
    server_->close();  // waits for nothing, or it would wait for itself
    state_after = server_->state();
    CHECK_THROWS_AS(server_->serve_forever(), UsageError);
  }
  static inline std::atomic<ServerState> state_after{ServerState::closed};

 private:
  Server*& server_;
};

}  // namespace

TEST_CASE("on a shard's thread, close only requests") {
  Server* self = nullptr;
  Server server({.shards = 2}, per_shard<Closer>(std::ref(self)));
  self = &server;
  server.start();
  RawPeer peer = open_peer(server.port());
  CHECK(peer.read_close().code == 1001);
  CHECK(Closer::state_after != ServerState::closed);
  peer.send(webshocket::test::close_frame(1001));
  server.serve_forever();
  CHECK(server.state() == ServerState::closed);
}

TEST_CASE("several servers in one process do not notice each other") {
  ServerFixture one({.shards = 2}, per_shard<Silent>());
  ServerFixture other({.shards = 2}, per_shard<Silent>());
  RawPeer peer = open_peer(other.port());
  one->close();
  CHECK(other->state() == ServerState::serving);
  peer.send(webshocket::test::SentFrame{.opcode = webshocket::test::kPing, .payload = "?"});
  CHECK(peer.read_frame().payload == "?");
}

TEST_CASE("a successor on the same unix socket keeps it when the predecessor goes") {
  std::string folder = (std::filesystem::temp_directory_path() / "webshocket_XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  const std::string path = folder + "/s";
  webshocket::Config config{.shards = 1};
  config.listeners = {{.unix_path = path}};
  auto old = std::make_unique<Server>(config, per_shard<Silent>());
  old->start();
  CHECK(old->addresses() == std::vector<std::string>{"unix:" + path});
  CHECK(old->port() == 0);
  old->close();
  CHECK_FALSE(std::filesystem::exists(path));
  {
    Server successor(config, per_shard<Silent>());
    successor.start();
    old.reset();
    CHECK(std::filesystem::exists(path));
  }
  CHECK_FALSE(std::filesystem::exists(path));
  std::filesystem::remove_all(folder);
}

TEST_CASE("a shard runs where Config::cpus says, and nowhere else") {
  const std::vector<unsigned> here = own_cpus();
  const std::vector<unsigned> wanted{here.front(), here.back()};
  std::mutex mutex;
  std::map<std::size_t, std::vector<unsigned>> seen;
  ServerFixture server({.shards = 3, .cpus = wanted}, on_start([&](OnStart& handler) {
                         const std::scoped_lock lock(mutex);
                         seen[handler.shard()] = own_cpus();
                       }));
  const std::scoped_lock lock(mutex);
  REQUIRE(seen.size() == 3);
  for (const auto& [shard, cpus] : seen) {
    CHECK(cpus == std::vector<unsigned>{wanted[shard % wanted.size()]});
  }
  CHECK(own_cpus() == here);
}

TEST_CASE("without Config::cpus a shard runs where the server's starter may") {
  const std::vector<unsigned> here = own_cpus();
  std::vector<unsigned> seen;
  ServerFixture server({.shards = 1}, on_start([&](OnStart&) { seen = own_cpus(); }));
  CHECK(seen == here);
}
