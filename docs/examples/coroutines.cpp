// Coroutines on a shard, and the traps of GCC 12 with their cures. Tried on a shard without
// sockets.

#include <webshocket/testing.hpp>
#include <webshocket/webshocket.hpp>

#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace ws = webshocket;
using namespace std::chrono_literals;

namespace {

int failures = 0;
void expect(bool holds, const char* what) {
  if (!holds) ++failures, std::cerr << "not so: " << what << '\n';
}

std::string slow_hash(const std::string& text) { return std::to_string(text.size()); }

struct Line {
  std::string from, text;
  WEBSHOCKET_FIELDS(Line, from, text)
};

class Basics : public ws::Handler {
 public:
  Basics() {
    rpc("hash", &Basics::hash);
    rpc("count", &Basics::count);
    rpc("total", &Basics::total);
    rpc("everybody", &Basics::everybody);
  }
  void on_start() override { spawn(tick()); }

  int ticks = 0;

 private:
  ws::Task<std::string> hash(std::string text) {
    co_return co_await ws::offload([&] { return slow_hash(text); });  // on the pool, then back here
  }

  ws::Stream<int> count(int limit) {
    for (int i = 0; i < limit; ++i) {
      co_yield i;
      co_await ws::sleep_for(10ms);
    }
  }

  ws::Task<int> total(int limit) {
    int sum = 0;
    auto numbers = count(limit);
    while (const int* number = co_await numbers.next()) sum += *number;
    co_return sum;
  }

  ws::Task<std::vector<std::string>> everybody(ws::Connection&) {
    co_return ws::flatten(co_await gather(&Basics::names_here, std::string("user ")));
  }
  std::vector<std::string> names_here(const std::string& prefix) {  // runs on every shard
    std::vector<std::string> names;
    for (ws::Connection& conn : clients()) names.push_back(prefix + conn.uid().to_string());
    return names;
  }

  ws::Task<void> tick() {  // tied to no connection: ends with the shard
    for (;;) {
      co_await ws::sleep_for(1s);
      ++ticks;
    }
  }
};

void try_basics() {
  ws::FakeShard<Basics> shard;
  auto& ann = shard.connect();
  const auto hash = shard.call(ann, "hash", "abc");
  shard.settle();
  expect(hash.as<std::string>() == "3", "work on the pool");
  const auto count = shard.call(ann, "count", 3);
  const auto total = shard.call(ann, "total", 4);
  shard.advance(1s);
  expect(count.values().size() == 3 && count.finished(), "a stream");
  expect(total.as<int>() == 6, "a stream within");
  const auto everybody = shard.call(ann, "everybody");
  shard.settle();
  expect(everybody.as<std::vector<std::string>>().size() == 1, "everybody");
  expect(shard.handler().ticks == 1, "a task in the background");
}

// --- cancelling ---------------------------------------------------------------------------------

class Export : public ws::Handler {
 public:
  Export() { rpc("export", &Export::run); }

  int open_files = 0;

 private:
  struct File {
    explicit File(int& count) : count_(count) { ++count_; }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() { --count_; }
    int& count_;
  };

  ws::Task<void> run(ws::Connection&) {
    const File file(open_files);   // its destructor runs, however the call ends
    co_await ws::sleep_for(1min);  // the client leaves: this throws Cancelled
  }
};

void try_cancelling() {
  ws::FakeShard<Export> shard;
  auto& ann = shard.connect();
  shard.call(ann, "export");
  expect(shard.handler().open_files == 1, "it runs");
  shard.disconnect(ann);
  expect(shard.handler().open_files == 0, "and is cleaned up");
}

// --- awaitable events ---------------------------------------------------------------------------

class Door : public ws::Handler {
 public:
  ws::Task<ws::Upgrade> on_upgrade_async(ws::UpgradeRequest request) override {
    auto look_up = [&] { return request.path == "/open"; };  // a database, say
    const bool known = co_await ws::offload(look_up);
    if (!known) co_return ws::Upgrade::reject(403);
    co_return ws::Upgrade::accept();
  }

  // This connection's packets come one after the other: the next waits until this one is done.
  ws::Task<void> on_receive_async(ws::Connection& conn, ws::OwnedPacket packet) override {
    co_await ws::sleep_for(5ms);
    conn.send(packet->data);
  }
};

void try_events() {
  ws::FakeShard<Door> shard;
  ws::UpgradeRequest request;
  request.path = "/open";
  auto& ann = shard.connect(ws::Format::msgpack, request);
  shard.receive(ann, 1);
  shard.receive(ann, 2);
  shard.advance(5ms);
  expect(ann.sent().size() == 1, "the second waits");
  shard.advance(5ms);
  expect(ann.sent().size() == 2, "and comes");
}

// --- traps --------------------------------------------------------------------------------------

class Traps : public ws::Handler {
 public:
  Traps() {
    rpc("lines", &Traps::lines);
    rpc("shout", &Traps::shout);
    rpc("greet_all", &Traps::greet_all);
    rpc("saved", &Traps::saved);
  }

 private:
  ws::Stream<Line> lines(std::string from) {
    // co_yield Line{from, "hi"};   does not compile: GCC 12 would destroy it twice
    Line line{from, "hi"};
    co_yield line;
  }

  ws::Task<std::string> shout(std::string text) {
    // co_await ws::offload([text] { return text + "!"; });   does not compile, for the same reason
    auto work = [text] { return text + "!"; };
    const std::string named = co_await ws::offload(work);
    const std::string by_reference = co_await ws::offload([&] { return text + "!"; });
    co_return named + by_reference;
  }

  ws::Task<void> save(Line line) {
    co_await ws::sleep_for(1ms);
    log(ws::LogLevel::info, line.text);
  }
  ws::Task<void> saved(std::string text) {
    // co_await save(Line{"ann", text});   compiles, and is destroyed twice: nothing can catch it
    Line line{"ann", text};
    co_await save(std::move(line));
  }

  ws::Task<int> greet_all(ws::Connection&) {
    std::vector<ws::Peer> peers;  // a copy: clients() may change while this sleeps
    for (ws::Connection& conn : clients()) peers.push_back(conn.peer());
    int greeted = 0;
    for (const ws::Peer& peer : peers) {
      if (peer.send("hi") != ws::SendStatus::dropped) ++greeted;
      co_await ws::sleep_for(10ms);
    }
    co_return greeted;
  }
};

void try_traps() {
  ws::FakeShard<Traps> shard;
  auto& ann = shard.connect();
  expect(shard.call(ann, "lines", "bob").as<Line>().from == "bob", "a named aggregate");
  const auto shout = shard.call(ann, "shout", "a");
  shard.settle();
  shard.settle();
  expect(shout.as<std::string>() == "a!a!", "a named lambda, and one by reference");
  const auto saved = shard.call(ann, "saved", "x");
  const auto greeted = shard.call(ann, "greet_all");
  shard.advance(1s);
  expect(saved.finished(), "a named argument");
  expect(greeted.as<int>() == 1, "a copy of the list");
}

}  // namespace

int main() {
  try_basics();
  try_cancelling();
  try_events();
  try_traps();
  std::cout << (failures == 0 ? "all as said\n" : "some of it is not so\n");
  return failures == 0 ? 0 : 1;
}
