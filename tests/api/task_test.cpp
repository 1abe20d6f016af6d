// Coroutines as handlers use them, on a shard whose clock is set by hand.

#include <webshocket/task.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <webshocket/testing.hpp>

namespace ws = webshocket;
using namespace std::chrono_literals;

namespace {

/// Counts those that live.
struct Guard {
  explicit Guard(int& to) : count(to) { ++count; }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard() { --count; }
  int& count;
};

struct Line {
  std::string from, text;
  WEBSHOCKET_FIELDS(Line, from, text)
};

class Worker : public ws::Handler {
 public:
  int alive = 0;
  std::vector<std::string> notes;
  std::thread::id worked_on;

  Worker() {
    rpc("many", &Worker::many);
    rpc("deep", &Worker::deep);
    rpc("nap", &Worker::nap);
    rpc("caught", &Worker::caught);
    rpc("numbers", &Worker::numbers);
    rpc("lines", &Worker::lines);
    rpc("sum", &Worker::sum);
    rpc("broken_sum", &Worker::broken_sum);
    rpc("work", &Worker::work);
    rpc("work_fails", &Worker::work_fails);
    rpc("stubborn", &Worker::stubborn);
    rpc("all_shards", &Worker::all_shards);
    rpc("bad_shards", &Worker::bad_shards);
    rpc("empty", &Worker::empty);
    rpc("leave", &Worker::leave);
  }

  ws::Task<int> one() { co_return 1; }
  ws::Task<void> fails() {
    co_await ws::sleep_for(0s);
    throw std::runtime_error("deep down");
  }
  ws::Task<int> down(int depth) {
    const Guard guard(alive);
    if (depth == 0) {
      co_await ws::sleep_for(1s);
      co_return 0;
    }
    co_return 1 + co_await down(depth - 1);
  }

  ws::Task<int> many(int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i) sum += co_await one();
    co_return sum;
  }
  ws::Task<int> deep(int depth) { co_return co_await down(depth); }

  ws::Task<std::string> nap(ws::Connection& connection, int seconds) {
    const Guard guard(alive);
    notes.push_back("asleep " + std::to_string(seconds));
    co_await ws::sleep_for(std::chrono::seconds(seconds));
    notes.push_back("awake " + std::to_string(seconds));
    co_return connection.uid().to_string();
  }
  ws::Task<std::string> caught() {
    try {
      co_await fails();
    } catch (const std::exception& error) {
      co_return error.what();
    }
    co_return "nothing";
  }

  ws::Stream<int> numbers(int count) {
    const Guard guard(alive);
    for (int i = 0; i < count; ++i) {
      notes.push_back("make " + std::to_string(i));
      co_yield i;
    }
  }
  ws::Stream<Line> lines() {
    Line line{"ann", "hi"};
    co_yield line;
    line.text = "again";
    co_yield line;
  }
  ws::Stream<int> bad_numbers() {
    co_yield 1;
    co_await ws::sleep_for(1s);
    throw std::runtime_error("no more");
  }
  ws::Task<int> sum(int count) {
    auto stream = numbers(count);
    int total = 0;
    while (const int* number = co_await stream.next()) total += *number;
    const bool over = co_await stream.next() == nullptr;
    co_return over ? total : -1;
  }
  ws::Task<std::string> broken_sum() {
    auto stream = bad_numbers();
    int total = 0;
    try {
      while (const int* number = co_await stream.next()) total += *number;
    } catch (const std::exception& error) {
      co_return std::to_string(total) + ", then " + error.what();
    }
    co_return "no error";
  }

  ws::Task<std::string> work(std::string text) {
    const Guard guard(alive);
    auto shout = [text] { return text + "!"; };
    std::string named = co_await ws::offload(shout);
    std::thread::id thread;
    co_await ws::offload([&] { thread = std::this_thread::get_id(); });
    worked_on = thread;
    co_return co_await ws::offload([&] { return named + text; });
  }
  ws::Task<std::string> work_fails() {
    try {
      co_await ws::offload([]() -> int { throw std::runtime_error("worker"); });
    } catch (const std::runtime_error& error) {
      co_return error.what();
    }
    co_return "nothing";
  }
  /// Still at work when its client has left.
  ws::Task<void> stubborn() {
    const Guard guard(alive);
    std::string local = "frame";
    try {
      co_await ws::offload([&] {
        std::unique_lock lock(gate);
        local += " kept";
      });
    } catch (const ws::Cancelled&) {
      notes.push_back(local);
      throw;
    }
  }
  std::mutex gate;

  std::vector<int> counts(int factor) { return {factor, static_cast<int>(clients().size())}; }
  int refuses() const { throw ws::RpcError("not here"); }
  ws::Task<std::vector<int>> all_shards(int factor) {
    const auto lists = co_await gather(&Worker::counts, factor);
    co_return ws::flatten(lists);
  }
  ws::Task<void> bad_shards() { co_await gather(&Worker::refuses); }
  ws::Task<void> empty() { co_await ws::Task<void>(); }
  ws::Task<int> leave(ws::Connection& connection) {
    connection.close();
    co_await ws::sleep_for(1s);
    notes.emplace_back("never");
    co_return 1;
  }
};

struct Shard : ws::FakeShard<Worker> {
  using FakeShard::FakeShard;
  ws::FakeConnection& ann = connect();
  Worker& worker = handler();
};

using Notes = std::vector<std::string>;

}  // namespace

TEST_CASE("task: a million awaits need no stack") {
  Shard shard;
  CHECK(shard.call(shard.ann, "many", 1'000'000).as<int>() == 1'000'000);
}

TEST_CASE("task: a thousand deep, resumed from below") {
  Shard shard;
  const auto reply = shard.call(shard.ann, "deep", 1000);
  CHECK(shard.worker.alive == 1001);
  shard.advance(1s);
  CHECK(reply.as<int>() == 1000);
  CHECK(shard.worker.alive == 0);
}

TEST_CASE("task: timers fire in the order of their times, not before") {
  Shard shard;
  const auto three = shard.call(shard.ann, "nap", 3);
  const auto one = shard.call(shard.ann, "nap", 1);
  const auto two = shard.call(shard.ann, "nap", 2);
  shard.advance(1s - 1ns);
  CHECK_FALSE(one.finished());
  shard.advance(1ns);
  CHECK(one.as<std::string>() == shard.ann.uid().to_string());
  CHECK_FALSE(two.finished());
  shard.advance(10s);
  CHECK(three.finished());
  CHECK(shard.worker.notes ==
        Notes{"asleep 3", "asleep 1", "asleep 2", "awake 1", "awake 2", "awake 3"});
}

TEST_CASE("task: an exception goes to who awaits") {
  Shard shard;
  const auto reply = shard.call(shard.ann, "caught");
  shard.advance(0s);
  CHECK(reply.as<std::string>() == "deep down");
  CHECK(shard.call(shard.ann, "empty").error() == ws::RpcErrorCode::internal_server_error);
  CHECK(shard.log().back() ==
        "error: RPC method 'empty' failed: webshocket::UsageError: co_await on an empty Task");
}

TEST_CASE("task: cancelled when the client leaves; destructors run") {
  Shard shard;
  auto& bob = shard.connect();
  const auto nap = shard.call(shard.ann, "nap", 5);
  const auto deep = shard.call(shard.ann, "deep", 50);
  const auto other = shard.call(bob, "nap", 5);
  CHECK(shard.worker.alive == 53);
  shard.disconnect(shard.ann);
  CHECK(shard.worker.alive == 1);
  shard.advance(5s);
  CHECK_FALSE(nap.finished());
  CHECK_FALSE(deep.finished());
  CHECK(other.finished());
}

TEST_CASE("task: a coroutine that closes its own connection is cancelled at its next wait") {
  Shard shard;
  const auto reply = shard.call(shard.ann, "leave");
  CHECK(shard.ann.close_code() == ws::CloseCode::normal);
  shard.advance(1min);
  CHECK_FALSE(reply.finished());
  CHECK(shard.worker.notes.empty());
}

TEST_CASE("stream: chunks, and the end") {
  Shard shard;
  const auto reply = shard.call(shard.ann, "numbers", 3);
  CHECK(reply.finished());
  CHECK(reply.responses() == 4);
  REQUIRE(reply.values().size() == 3);
  CHECK(reply.as<int>() == 2);
  CHECK(shard.call(shard.ann, "lines").values()[1]->find("text")->string() == "again");
}

TEST_CASE("stream: pulled, so that a slow reader slows it") {
  Shard shard;
  shard.ann.set_writable(false);
  const auto reply = shard.call(shard.ann, "numbers", 3);
  CHECK(reply.values().size() == 1);
  CHECK(shard.worker.notes == Notes{"make 0"});
  shard.advance(1h);
  CHECK(reply.values().size() == 1);
  shard.ann.set_writable(true);
  CHECK(reply.finished());
  CHECK(reply.values().size() == 3);
}

TEST_CASE("stream: ended while it waits for its reader") {
  Shard shard;
  shard.ann.set_writable(false);
  const auto aborted = shard.call(shard.ann, "numbers", 3);
  const auto left = shard.call(shard.ann, "numbers", 3);
  CHECK(shard.worker.alive == 2);
  shard.abort(shard.ann, aborted);
  CHECK(shard.worker.alive == 1);
  shard.ann.set_writable(true);
  CHECK(aborted.responses() == 1);
  CHECK(left.finished());

  shard.ann.set_writable(false);
  shard.call(shard.ann, "numbers", 3);
  shard.disconnect(shard.ann);
  CHECK(shard.worker.alive == 0);
}

TEST_CASE("stream: read by a task") {
  Shard shard;
  CHECK(shard.call(shard.ann, "sum", 5).as<int>() == 10);
  CHECK(shard.call(shard.ann, "sum", 0).as<int>() == 0);
  CHECK(shard.worker.alive == 0);
  const auto reply = shard.call(shard.ann, "broken_sum");
  shard.advance(1s);
  CHECK(reply.as<std::string>() == "1, then no more");
}

TEST_CASE("offload: results, references and exceptions, on other threads") {
  Shard shard;
  const auto reply = shard.call(shard.ann, "work", "hey");
  CHECK_FALSE(reply.finished());
  shard.settle();
  CHECK(reply.as<std::string>() == "hey!hey");
  CHECK(shard.worker.worked_on != std::thread::id());
  CHECK(shard.worker.worked_on != std::this_thread::get_id());

  const auto failed = shard.call(shard.ann, "work_fails");
  shard.settle();
  CHECK(failed.as<std::string>() == "worker");
}

TEST_CASE("offload: a cancelled coroutine stays until the worker has answered") {
  Shard shard;
  std::unique_lock lock(shard.worker.gate);
  shard.call(shard.ann, "stubborn");
  shard.disconnect(shard.ann);
  CHECK(shard.worker.alive == 1);
  lock.unlock();
  shard.settle();
  CHECK(shard.worker.alive == 0);
  CHECK(shard.worker.notes == Notes{"frame kept"});
}

TEST_CASE("offload: a full queue is an error") {
  ws::Config config;
  config.offload_threads = 1;
  config.offload_queue_size = 1;
  Shard shard(config);
  const auto one = shard.call(shard.ann, "work", "1");
  const auto two = shard.call(shard.ann, "work", "2");
  const auto three = shard.call(shard.ann, "work", "3");
  CHECK(three.error() == ws::RpcErrorCode::internal_server_error);
  CHECK(shard.worker.alive == 2);
  shard.settle();
  CHECK(one.finished());
  CHECK(two.as<std::string>() == "2!2");
}

TEST_CASE("offload: the shard may end meanwhile") {
  int alive = 0;
  {
    Shard shard;
    shard.call(shard.ann, "work", "x");
    alive = shard.worker.alive;
  }
  CHECK(alive == 1);
}

TEST_CASE("gather: one result per shard, exceptions too") {
  Shard shard;
  CHECK(shard.call(shard.ann, "all_shards", 7).as<std::vector<int>>() == std::vector<int>{7, 1});
  const auto refused = shard.call(shard.ann, "bad_shards");
  CHECK(refused.error() == ws::RpcErrorCode::application_error);
  CHECK(refused.error_text() == "not here");
}

TEST_CASE("flatten joins lists in their order") {
  CHECK(ws::flatten(std::vector<std::vector<int>>{{1, 2}, {}, {3}}) == std::vector<int>{1, 2, 3});
}

namespace {

class Background : public ws::Handler {
 public:
  Notes notes;
  int alive = 0;
  ws::TimerHandle beat;

  void on_start() override {
    beat = every(10s, [this] { note("beat"); });
    spawn(wait());
  }
  void note(std::string text) { notes.push_back(std::move(text)); }

  ws::Task<void> wait() {
    const Guard guard(alive);
    co_await ws::sleep_for(25s);
    note("waited");
  }
  ws::Task<void> fail() {
    co_await ws::sleep_for(1s);
    throw std::runtime_error("in the background");
  }
};

}  // namespace

TEST_CASE("handler: every, until it is cancelled") {
  ws::FakeShard<Background> shard;
  Background& handler = shard.handler();
  shard.advance(30s);
  CHECK(handler.notes == Notes{"beat", "beat", "waited", "beat"});
  handler.beat.cancel();
  shard.advance(1h);
  CHECK(handler.notes.size() == 4);
  CHECK_THROWS_AS(handler.every(0s, [] {}), ws::UsageError);
}

TEST_CASE("handler: a timer's function may throw, and cancel itself") {
  ws::FakeShard<Background> shard;
  Background& handler = shard.handler();
  handler.beat.cancel();
  int calls = 0;
  ws::TimerHandle own = handler.every(1s, [&] {
    if (++calls == 3) own.cancel();
    throw std::runtime_error("beat");
  });
  shard.advance(10s);
  CHECK(calls == 3);
  CHECK(shard.log().size() == 3);
  CHECK(shard.log()[0] == "error: a timer's function failed: std::runtime_error: beat");
}

TEST_CASE("handler: spawned tasks end with the shard, their errors are logged") {
  ws::FakeShard<Background> shard;
  Background& handler = shard.handler();
  CHECK(handler.alive == 1);
  handler.spawn(handler.fail());
  CHECK_THROWS_AS(handler.spawn({}), ws::UsageError);
  shard.advance(1s);
  REQUIRE(shard.log().size() == 1);
  CHECK(shard.log()[0] == "error: a spawned task failed: std::runtime_error: in the background");
}

TEST_CASE("handler: deferred functions run after the event, in their order") {
  ws::FakeShard<Background> shard;
  Background& handler = shard.handler();
  handler.rpc("later", [&handler] {
    handler.defer([&handler] {
      handler.note("first");
      handler.defer([&handler] { handler.note("third"); });
    });
    handler.defer([&handler] { handler.note("second"); });
    handler.note("now");
  });
  shard.call(shard.connect(), "later");
  CHECK(handler.notes == Notes{"now", "first", "second", "third"});
}

namespace {

class Waiting : public ws::Handler {
 public:
  Notes notes;
  ws::Task<void> on_connect_async(ws::Connection& connection) override {
    co_await ws::sleep_for(1s);
    connection["ready"] = true;
    notes.emplace_back("connected");
  }
  ws::Task<void> on_receive_async(ws::Connection&, ws::OwnedPacket packet) override {
    const auto number = packet->data.as<int>();
    notes.push_back("begin " + std::to_string(number));
    if (number < 0) throw std::runtime_error("negative");
    co_await ws::sleep_for(1s);
    notes.push_back("end " + std::to_string(number));
  }
};

}  // namespace

TEST_CASE("events: awaitable twins hold back their own connection's packets only") {
  ws::FakeShard<Waiting> shard;
  auto& ann = shard.connect();
  shard.receive(ann, 1);
  shard.receive(ann, 2);
  CHECK(shard.handler().notes.empty());
  shard.advance(1s);
  CHECK(shard.handler().notes == Notes{"connected", "begin 1"});
  auto& bob = shard.connect();
  shard.receive(bob, 3);
  shard.advance(1s);
  CHECK(shard.handler().notes ==
        Notes{"connected", "begin 1", "end 1", "begin 2", "connected", "begin 3"});
  shard.disconnect(ann);
  shard.receive(bob, -1);
  shard.advance(1s);
  CHECK(bob.close_code() == ws::CloseCode::internal_error);
  CHECK(shard.log() == Notes{"error: on_receive failed: std::runtime_error: negative"});
  CHECK(shard.handler().notes.back() == "begin -1");
}

TEST_CASE("calls: beyond rpc_task_limit they wait for their turn") {
  ws::Config config;
  config.rpc_task_limit = 2;
  Shard shard(config);
  auto& bob = shard.connect();
  const auto one = shard.call(shard.ann, "nap", 1);
  const auto two = shard.call(shard.ann, "nap", 2);
  const auto three = shard.call(shard.ann, "nap", 3);
  const auto quick = shard.call(shard.ann, "all_shards", 1);
  const auto other = shard.call(bob, "nap", 1);
  CHECK(shard.worker.notes == Notes{"asleep 1", "asleep 2", "asleep 1"});
  shard.advance(1s);
  CHECK(one.finished());
  CHECK(other.finished());
  CHECK(shard.worker.notes ==
        Notes{"asleep 1", "asleep 2", "asleep 1", "awake 1", "asleep 3", "awake 1"});
  CHECK_FALSE(quick.finished());
  shard.advance(1s);
  CHECK(two.finished());
  CHECK(quick.finished());
  CHECK_FALSE(three.finished());
}
