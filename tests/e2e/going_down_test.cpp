// What a server still does for its clients while it goes down.

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <webshocket/client.hpp>
#include <webshocket/server.hpp>

#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Config;
using webshocket::Connection;
using webshocket::Handler;
using webshocket::LogLevel;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::ServerState;
using webshocket::Task;
using webshocket::test::Close;
using webshocket::test::connect_many;
using webshocket::test::eventually;
using webshocket::test::open_peer;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;
using namespace std::chrono_literals;

namespace {

struct World {
  std::atomic<bool> open{false};
  std::atomic<int> waiting{0};
  std::atomic<int> ended{0};
  std::atomic<bool> upgrades_wait{false};
};

class Worker : public Handler {
 public:
  explicit Worker(World& world) : world_(world) {
    rpc("wait", &Worker::wait);
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
    rpc("big", [] { return std::string(30'000'000, 'b'); });
    rpc("block", [this] {
      ++world_.waiting;
      while (!world_.open) std::this_thread::yield();
    });
    rpc("offload", &Worker::offload_until_open);
    rpc("background", [this](int count) {
      for (int i = 0; i < count; ++i) spawn(sleep_and_spawn(2));
    });
  }
  Task<webshocket::Upgrade> on_upgrade_async(webshocket::UpgradeRequest) override {
    if (world_.upgrades_wait) {
      ++world_.waiting;
      while (!world_.open) co_await webshocket::sleep_for(1ms);
    }
    co_return webshocket::Upgrade::accept();
  }

 private:
  Task<std::string> wait(Connection&) {
    ++world_.waiting;
    while (!world_.open) co_await webshocket::sleep_for(1ms);
    co_return "done";
  }
  Task<int> offload_until_open(Connection&) {
    auto work = [this] {
      ++world_.waiting;
      while (!world_.open) std::this_thread::yield();
    };
    co_await webshocket::offload(work);
    co_return 1;
  }
  /// Its end begins another one.
  Task<void> sleep_and_spawn(int generations) {
    struct End {
      ~End() {
        ++worker->world_.ended;
        if (generations > 1) worker->spawn(worker->sleep_and_spawn(generations - 1));
      }
      Worker* worker;
      int generations;
    };
    const End end{this, generations};
    co_await webshocket::sleep_for(24h);
  }

  World& world_;
};

/// A server that is about to close, on another thread.
class Closing {
 public:
  explicit Closing(Server& server) : thread_([&server] { server.close(); }) {}

 private:
  std::jthread thread_;
};

}  // namespace

TEST_CASE("calls that wait for their turn when the drain begins are answered") {
  for (const std::size_t queue : {512U, 1U}) {  // with 1, most of them are not even parsed
    CAPTURE(queue);
    World world;
    ServerFixture server({.shards = 1, .packet_queue_size = queue, .rpc_task_limit = 1},
                         per_shard<Worker>(std::ref(world)));
    WsClient client(server.port());
    std::vector<std::string> ids;
    std::string all;
    for (int i = 0; i < 10; ++i) {
      auto [payload, id] = client.request("wait");
      all += webshocket::test::binary_frame(payload);
      ids.push_back(std::move(id));
    }
    client.peer().send(all);
    eventually([&] { return server->stats().total.bytes_received > all.size(); }, "the calls");
    eventually([&] { return world.waiting == 1; }, "the first call");
    const Closing closing(*server);
    eventually([&] { return server->state() == ServerState::draining; }, "the drain");
    world.open = true;
    for (const std::string& id : ids) CHECK(client.answer(id) == "\"done\"");
    CHECK(client.peer().read_close() == Close{1001, ""});
    client.peer().send(webshocket::test::close_frame(1001));
  }
}

TEST_CASE("who reads slowly gets what he was promised, as long as the drain lasts") {
  World world;
  ServerFixture server({.shards = 1, .close_timeout = 500ms, .drain_timeout = 1h},
                       per_shard<Worker>(std::ref(world)));
  RawPeer silent = open_peer(server.port());  // does not answer its CLOSE: it tells the time
  WsClient slow(server.port());
  const std::string id = slow.start("big");
  slow.peer().wait_for_input();
  const Closing closing(*server);
  CHECK(silent.read_close().code == 1001);
  for (int i = 0; i < 8; ++i) {
    slow.peer().wait_for_input();
    slow.peer().absorb();
  }
  silent.read_end();  // close_timeout is over
  CHECK(slow.answer(id).size() == 30'000'002);
  CHECK(slow.peer().read_close().code == 1001);
  slow.peer().send(webshocket::test::close_frame(1001));
}

TEST_CASE("what HTTP was asked is answered; upgrades are put off") {
  World world;
  const std::string page(30'000'000, 'p');
  ServerFixture server({.shards = 1}, per_shard<Worker>(std::ref(world)), [&](Server& made) {
    made.on_http("GET", "/page", [&](const auto&) {
      webshocket::HttpResponse response;
      response.body = page;
      return response;
    });
  });
  RawPeer reading(server.port());
  reading.send("GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
  reading.wait_for_input();
  RawPeer asking(server.port());
  asking.send("GET /page HTTP/1.1\r\nHos");
  RawPeer idle(server.port());
  world.upgrades_wait = true;
  RawPeer deciding(server.port());
  deciding.send(webshocket::test::upgrade_request());
  RawPeer late(server.port());
  late.send("GET / HTTP/1.1\r\n");
  eventually([&] { return world.waiting == 1; }, "the upgrade");
  // Whoever has been answered once is none of them.
  eventually([&] { return server->stats().total.handshakes_pending == 4; }, "all of them");
  eventually([&] { return server->stats().total.bytes_received > 200; }, "what they have said");
  const Closing closing(*server);
  idle.read_end();
  asking.send("t: x\r\n\r\n");
  const auto answer = asking.read_http();
  CHECK(answer.status == 200);
  CHECK(answer.body == page);
  CHECK(answer.header("Connection") == "close");
  CHECK(reading.read_http().body == page);
  const std::string request = webshocket::test::upgrade_request();
  late.send(request.substr(request.find("\r\n") + 2));
  const auto refusal = late.read_http();
  CHECK(refusal.status == 503);
  CHECK(refusal.header("Retry-After") == "1");
  world.open = true;
  CHECK(deciding.read_http().status == 503);
}

TEST_CASE("who waits to be accepted when the listener closes is answered") {
  World world;
  ServerFixture server({.shards = 1}, per_shard<Worker>(std::ref(world)));
  WsClient client(server.port());
  const std::string id = client.start("block");
  eventually([&] { return world.waiting == 1; }, "the shard to be blocked");
  std::vector<RawPeer> waiting;
  for (int i = 0; i < 100; ++i) {
    waiting.emplace_back(server.port());
    waiting.back().send(webshocket::test::upgrade_request());
  }
  const Closing closing(*server);
  eventually([&] { return server->state() == ServerState::draining; }, "the drain");
  world.open = true;
  for (RawPeer& peer : waiting) {
    const auto answer = peer.read_http();
    CHECK((answer.status == 101 || answer.status == 503));
  }
  CHECK(client.answer(id) == "null");
}

TEST_CASE("during drain_delay it is not ready, and serves all who come") {
  World world;
  ServerFixture server({.shards = 2, .drain_delay = 1h}, per_shard<Worker>(std::ref(world)));
  CHECK(server->is_ready());
  std::thread first([&] { server->close(); });
  eventually([&] { return !server->is_ready(); }, "readiness to end");
  CHECK(server->state() == ServerState::serving);
  WsClient client(server.port());
  CHECK(client.call("echo", "[7]") == "7");
  server->close();  // the second one does not wait
  first.join();
  CHECK(client.peer().read_close().code == 1001);
  CHECK_FALSE(server->is_ready());
}

TEST_CASE("each CLOSE has a time of its own to come back, which our client obeys") {
  World world;
  const auto run = [&](auto&& check) {
    ServerFixture server({.shards = 1, .reconnect_hint = 1h}, per_shard<Worker>(std::ref(world)));
    check(server);
  };
  run([](ServerFixture& server) {
    auto clients = connect_many(server.port(), 100);
    const Closing closing(*server);
    std::set<std::string> reasons;
    for (auto& client : clients) {
      const Close close = client->peer().read_close();
      CHECK(close.code == 1001);
      CHECK(close.reason.starts_with("reconnect in "));
      CHECK(close.reason.ends_with(" ms"));
      CHECK(std::stol(close.reason.substr(13)) <= 3'600'000);
      reasons.insert(close.reason);
      client->peer().send(webshocket::test::close_frame(1001));
    }
    CHECK(reasons.size() > 50);
  });
  run([](ServerFixture& server) {
    std::promise<std::string> reason;
    webshocket::ClientConfig config;
    config.reconnect = webshocket::Retry{.attempts = 1, .max_interval = 24h};
    config.on_disconnect = [&](webshocket::Client&, webshocket::CloseCode, std::string_view text) {
      reason.set_value(std::string(text));
    };
    webshocket::Client client(server.uri(), config);
    client.connect();
    server->close();
    CHECK(reason.get_future().get().starts_with("reconnect in "));
    // One try, at once, would have failed by now and ended it.
    CHECK(client.state() == webshocket::ConnectionState::connecting);
  });
}

TEST_CASE("many thousand calls are cancelled one by one, and what their ends begin") {
  World world;
  constexpr int kTasks = 65'536;
  ServerFixture server({.shards = 1}, per_shard<Worker>(std::ref(world)));
  WsClient client(server.port());
  CHECK(client.call("background", "[65536]") == "null");
  client.peer().reset();
  server->close();
  CHECK(world.ended == 2 * kTasks);
}

TEST_CASE("a log that throws ends nothing") {
  World world;
  Config config{.shards = 1, .slow_callback_threshold = 1ms};
  std::atomic<int> lines{0};
  config.log = [&](LogLevel, std::string_view) {
    ++lines;
    throw std::runtime_error("the disk is full");
  };
  ServerFixture server(std::move(config), per_shard<Worker>(std::ref(world)));
  WsClient client(server.port());
  const std::string id = client.start("block");
  eventually([&] { return lines > 0; }, "the control thread to say something");
  world.open = true;
  CHECK(client.answer(id) == "null");
  CHECK(client.call("echo", "[1]") == "1");
  eventually([&] { return lines > 1; }, "the shard to say something");
}

TEST_CASE("a third signal finds nobody who catches it") {
  World world;
  Server server({.shards = 1}, per_shard<Worker>(std::ref(world)));
  std::promise<void> ready;
  std::thread serving([&] { server.serve_forever([&] { ready.set_value(); }); });
  ready.get_future().wait();
  WsClient client(server.port());
  client.start("offload");
  eventually([&] { return world.waiting == 1; }, "the job");
  client.peer().reset();  // its call cannot end before the job does
  const auto is_caught = [] {
    struct sigaction action {};
    ::sigaction(SIGTERM, nullptr, &action);
    return action.sa_handler != SIG_DFL;
  };
  CHECK(is_caught());
  ::kill(::getpid(), SIGTERM);
  eventually([&] { return server.state() == ServerState::draining; }, "the first signal");
  CHECK(is_caught());
  ::kill(::getpid(), SIGTERM);
  eventually([&] { return !is_caught(); }, "the second signal");
  world.open = true;
  serving.join();
  CHECK(server.state() == ServerState::closed);
}
