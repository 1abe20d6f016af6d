// A handler's unit test without a socket, a thread or a sleep. Any test framework will do; here it
// is a plain program.

#include <webshocket/testing.hpp>

#include <chrono>
#include <iostream>
#include <string>

namespace ws = webshocket;
using namespace std::chrono_literals;

class Counter : public ws::Handler {
 public:
  Counter() {
    rpc("add", &Counter::add).params("amount").rate_limit(2, 1s);
    rpc("countdown", &Counter::countdown).params("from");
  }

 private:
  int add(ws::Connection& conn, int amount) {
    total_ += amount;
    conn.subscribe("totals");
    publish("totals", total_);
    return total_;
  }
  ws::Stream<int> countdown(int from) {
    for (; from > 0; --from) {
      co_yield from;
      co_await ws::sleep_for(1s);
    }
  }

  int total_ = 0;
};

int main() {
  int failures = 0;
  const auto expect = [&](bool holds, const char* what) {
    if (!holds) ++failures, std::cerr << "not so: " << what << '\n';
  };

  ws::FakeShard<Counter> shard;
  auto& ann = shard.connect();
  auto& bob = shard.connect(ws::Format::json);

  expect(shard.call(ann, "add", 2).as<int>() == 2, "a result");
  expect(shard.call(bob, "add", 3).as<int>() == 5, "one handler for both");
  expect(ann.sent().size() == 2, "ann got both totals");
  expect(ann.sent().back()->data.as<int>() == 5, "the last one is 5");

  expect(!shard.call(ann, "add", 1).error(), "the second call of ann's second");
  expect(shard.call(ann, "add", 1).error() == ws::RpcErrorCode::rate_limit_exceeded, "the third");
  shard.advance(1s);  // the clock is yours
  expect(!shard.call(ann, "add", 1).error(), "a second later");

  const auto reply = shard.call(ann, "countdown", 3);
  expect(reply.values().size() == 1 && !reply.finished(), "the first chunk comes at once");
  shard.advance(2s);
  expect(reply.as<int>() == 1, "the last chunk");
  shard.advance(1s);
  expect(reply.finished(), "the end");

  const auto aborted = shard.call(bob, "countdown", 3);
  shard.disconnect(bob);
  shard.advance(1min);
  expect(aborted.values().size() == 1, "nothing more for those who left");

  std::cout << (failures == 0 ? "all as said\n" : "some of it is not so\n");
  return failures == 0 ? 0 : 1;
}
