// The pull style, with real threads. Nobody sleeps: a thread waits for what another one does.

#include <webshocket/queue_handler.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <webshocket/config.hpp>
#include <webshocket/error.hpp>
#include <webshocket/testing.hpp>

#include "api/pull.hpp"

namespace ws = webshocket;
using namespace std::chrono_literals;
using ws::detail::AcceptQueue;
using ws::detail::PullState;

namespace {

using Shard = ws::FakeShard<ws::QueueHandler>;

ws::Config small(std::size_t packets, std::size_t connections = 8) {
  ws::Config config;
  config.packet_queue_size = packets;
  config.accept_queue_size = connections;
  return config;
}

int number_of(const ws::OwnedPacket& packet) { return packet->data.as<int>(); }

/// Reads by coroutines of its shard from what it is given.
class Reader : public ws::QueueHandler {
 public:
  std::vector<std::string> notes;
  std::optional<ws::PullConnection> from;

  Reader() {
    rpc("read", &Reader::read);
    rpc("read_all", &Reader::read_all);
  }

  ws::Task<std::string> read(int timeout_ms) {
    try {
      const ws::OwnedPacket packet =
          co_await from->recv_async(std::chrono::milliseconds(timeout_ms));
      co_return std::to_string(number_of(packet));
    } catch (const ws::ReceiveTimeoutError&) {
      co_return "timeout";
    } catch (const ws::ConnectionClosedError&) {
      co_return "closed";
    }
  }
  ws::Task<int> read_all() {
    int sum = 0;
    try {
      for (;;) {
        const ws::OwnedPacket packet = co_await from->recv_async();
        sum += number_of(packet);
      }
    } catch (const ws::ConnectionClosedError&) {
    }
    co_return sum;
  }
};

/// Accepts by coroutines.
class Host : public ws::QueueHandler {
 public:
  std::shared_ptr<AcceptQueue> queue = std::make_shared<AcceptQueue>(4);
  std::vector<std::string> notes;

  Host() {
    attach(queue);
    rpc("serve", &Host::serve);
  }
  void on_start() override { attach(queue); }

  ws::Task<std::string> serve(int timeout_ms) {
    try {
      const ws::PullConnection guest =
          co_await AcceptQueue::accept_async(queue, std::chrono::milliseconds(timeout_ms));
      notes.push_back(guest.uid().to_string());
      co_return "accepted";
    } catch (const ws::ReceiveTimeoutError&) {
      co_return "timeout";
    } catch (const ws::WebSocketError& error) {
      co_return error.what();
    }
  }
};

std::shared_ptr<PullState> state_of(std::size_t capacity) {
  return std::make_shared<PullState>(ws::Peer(), "nowhere", capacity);
}

}  // namespace

TEST_CASE("pull: packets come in order, to any thread") {
  Shard shard;
  auto& ann = shard.connect();
  ws::PullConnection pull = shard.accept();
  CHECK(pull.uid() == ann.uid());
  CHECK(pull.remote_address() == "fake");
  CHECK(pull.format() == ws::Format::msgpack);
  CHECK(pull.state() == ws::ConnectionState::connected);
  for (int i = 0; i < 100; ++i) shard.receive(ann, i);
  shard.run_beside([&] {
    for (int i = 0; i < 100; ++i) CHECK(number_of(pull.recv(10s)) == i);
    CHECK(pull.send("answer") == ws::SendStatus::ok);
  });
  REQUIRE(ann.sent().size() == 1);
  CHECK(ann.sent()[0]->data.string() == "answer");
}

TEST_CASE("pull: recv waits for a packet, and not longer than it was told") {
  Shard shard;
  auto& ann = shard.connect();
  ws::PullConnection pull = shard.accept();
  shard.run_beside([&] { CHECK_THROWS_AS(pull.recv(1ms), ws::ReceiveTimeoutError); });
  shard.run_beside([&] { CHECK_THROWS_AS(pull.recv(-1ms), ws::ReceiveTimeoutError); });

  std::promise<int> got;
  std::thread reader(
      [&] { got.set_value(number_of(pull.recv(std::chrono::hours(24 * 365 * 100)))); });
  shard.receive(ann, 7);
  CHECK(got.get_future().get() == 7);
  reader.join();
}

TEST_CASE("pull: what is queued can be read after the client has left") {
  Shard shard;
  auto& ann = shard.connect();
  ws::PullConnection pull = shard.accept();
  shard.receive(ann, 1);
  shard.receive(ann, 2);
  shard.disconnect(ann);
  CHECK(pull.state() == ws::ConnectionState::closed);
  shard.run_beside([&] {
    CHECK(number_of(pull.recv()) == 1);
    CHECK(number_of(pull.recv()) == 2);
    CHECK_THROWS_AS(pull.recv(), ws::ConnectionClosedError);
    CHECK_THROWS_AS(pull.recv(), ws::ConnectionClosedError);
    CHECK_THROWS_AS(pull.subscribe("room"), ws::ConnectionClosedError);
  });
}

TEST_CASE("pull: a client that leaves wakes who waits") {
  Shard shard;
  auto& ann = shard.connect();
  ws::PullConnection pull = shard.accept();
  std::promise<bool> closed;
  std::thread reader([&] {
    try {
      static_cast<void>(pull.recv(1h));
      closed.set_value(false);
    } catch (const ws::ConnectionClosedError&) {
      closed.set_value(true);
    }
  });
  shard.disconnect(ann);
  CHECK(closed.get_future().get());
  reader.join();
}

TEST_CASE("pull: a full queue holds back the connection, none is lost") {
  Shard shard(small(3));
  auto& ann = shard.connect();
  auto& bob = shard.connect();
  ws::PullConnection pull = shard.accept();
  ws::PullConnection other = shard.accept();
  for (int i = 0; i < 10; ++i) shard.receive(ann, i);
  shard.receive(bob, 100);
  shard.run_beside([&] {
    CHECK(number_of(other.recv(10s)) == 100);
    for (int i = 0; i < 10; ++i) CHECK(number_of(pull.recv(10s)) == i);
    CHECK_THROWS_AS(pull.recv(0ms), ws::ReceiveTimeoutError);
  });

  // Those in the queue, and the one that filled it, outlive the connection.
  for (int i = 0; i < 3; ++i) shard.receive(ann, i);
  shard.disconnect(ann);
  shard.run_beside([&] {
    for (int i = 0; i < 3; ++i) CHECK(number_of(pull.recv(10s)) == i);
    CHECK_THROWS_AS(pull.recv(), ws::ConnectionClosedError);
  });
}

TEST_CASE("pull: no limit") {
  Shard shard(small(0, 0));
  auto& ann = shard.connect();
  ws::PullConnection pull = shard.accept();
  for (int i = 0; i < 5000; ++i) shard.receive(ann, i);
  shard.run_beside([&] {
    for (int i = 0; i < 5000; ++i) REQUIRE(number_of(pull.recv(10s)) == i);
  });
}

TEST_CASE("pull: subscribe asks the connection's shard") {
  ws::Config config;
  config.max_subscribed_channels = 2;
  Shard shard(config);
  auto& ann = shard.connect();
  ws::PullConnection pull = shard.accept();
  shard.run_beside([&] {
    CHECK(pull.subscribe({"a", "b"}));
    CHECK_FALSE(pull.subscribe("c"));
    pull.unsubscribe("a");
    CHECK(pull.subscribe("c"));
  });
  CHECK(ann.subscriptions() == std::vector<std::string>{"b", "c"});
  shard.handler().publish("c", 1);
  CHECK(ann.sent().size() == 1);
}

TEST_CASE("pull: nothing blocks a shard's thread") {
  Shard shard;
  shard.connect();
  ws::PullConnection pull = shard.accept();
  CHECK_THROWS_AS(pull.recv(), ws::UsageError);
  CHECK_THROWS_AS(pull.subscribe("a"), ws::UsageError);
  CHECK_THROWS_AS(pull.unsubscribe("a"), ws::UsageError);
  AcceptQueue queue(1);
  CHECK_THROWS_AS(queue.accept(0ms), ws::UsageError);
}

TEST_CASE("pull: its end closes the connection with 1000") {
  Shard shard;
  auto& ann = shard.connect();
  auto& bob = shard.connect();
  auto& cat = shard.connect();
  {
    ws::PullConnection pull = shard.accept();
    shard.receive(ann, 1);
  }
  shard.receive(ann, 2);
  shard.settle();
  CHECK(ann.close_code() == ws::CloseCode::normal);

  ws::PullConnection pull = shard.accept();
  pull.close(ws::CloseCode::going_away, "bye");
  shard.settle();
  CHECK(bob.close_code() == ws::CloseCode::going_away);
  CHECK(bob.close_reason() == "bye");

  pull = shard.accept();
  CHECK(pull.uid() == cat.uid());
  ws::PullConnection moved = std::move(pull);
  shard.settle();
  CHECK(cat.state() == ws::ConnectionState::connected);
  moved = ws::PullConnection();
  shard.settle();
  CHECK(cat.close_code() == ws::CloseCode::normal);
}

TEST_CASE("pull: one that holds nothing") {
  const ws::PullConnection nothing;
  CHECK(nothing.state() == ws::ConnectionState::disconnected);
  CHECK(nothing.uid() == ws::Uid());
  CHECK(nothing.send("x") == ws::SendStatus::dropped);
  CHECK_THROWS_AS(nothing.remote_address(), ws::UsageError);
  ws::PullConnection empty;
  CHECK_THROWS_AS(empty.recv(), ws::UsageError);
  CHECK_THROWS_AS(empty.subscribe("a"), ws::ConnectionClosedError);
  CHECK_NOTHROW(empty.close());
}

TEST_CASE("pull: an abandoned connection with a full queue goes on") {
  Shard shard(small(1));
  auto& ann = shard.connect();
  {
    ws::PullConnection pull = shard.accept();
    shard.receive(ann, 1);
    shard.receive(ann, 2);
  }
  shard.settle();
  CHECK(ann.state() == ws::ConnectionState::closed);
}

TEST_CASE("pull: the server's end wakes who waits, wherever they wait") {
  std::optional<Shard> shard(std::in_place);
  shard->connect();
  std::optional<ws::PullConnection> pull(shard->accept());
  std::promise<std::string> received;
  std::promise<std::string> subscribed;
  std::thread reader([&] {
    try {
      static_cast<void>(pull->recv(1h));
    } catch (const ws::ConnectionClosedError&) {
      received.set_value("closed");
    }
  });
  std::thread subscriber([&] {
    try {
      for (;;) pull->subscribe("room");
    } catch (const ws::ConnectionClosedError&) {
      subscribed.set_value("closed");
    }
  });
  shard.reset();
  CHECK(received.get_future().get() == "closed");
  CHECK(subscribed.get_future().get() == "closed");
  reader.join();
  subscriber.join();
  pull.reset();
}

TEST_CASE("pull: awaitable, with a timeout") {
  ws::FakeShard<Reader> shard(small(2));
  Reader& reader = shard.handler();
  auto& ann = shard.connect();
  auto& caller = shard.connect();
  reader.from = shard.accept();

  shard.receive(ann, 1);
  CHECK(shard.call(caller, "read", 1000).as<std::string>() == "1");

  const auto waits = shard.call(caller, "read", 1000);
  CHECK_FALSE(waits.finished());
  shard.advance(999ms);
  CHECK_FALSE(waits.finished());
  shard.receive(ann, 2);
  CHECK(waits.as<std::string>() == "2");

  const auto late = shard.call(caller, "read", 1000);
  shard.advance(1s);
  CHECK(late.as<std::string>() == "timeout");
  CHECK(shard.call(caller, "read", -5).finished() == false);
  shard.advance(0s);

  // Two wait, one packet comes: one gets it, the other goes on waiting.
  const auto first = shard.call(caller, "read", 1000);
  const auto second = shard.call(caller, "read", 1000);
  shard.receive(ann, 3);
  CHECK(first.finished() != second.finished());
  shard.receive(ann, 4);
  CHECK(first.finished());
  CHECK(second.finished());

  // More than fits, pulled by a coroutine of the same shard.
  const auto sum = shard.call(caller, "read_all");
  for (int i = 0; i < 10; ++i) shard.receive(ann, i);
  shard.disconnect(ann);
  CHECK(sum.as<int>() == 45);
  CHECK(shard.call(caller, "read", 1000).as<std::string>() == "closed");
}

TEST_CASE("pull: a reading coroutine is cancelled with its client, and survives its source") {
  ws::FakeShard<Reader> shard;
  Reader& reader = shard.handler();
  auto& ann = shard.connect();
  auto& caller = shard.connect();
  auto& other = shard.connect();
  reader.from = shard.accept();
  const auto cancelled = shard.call(caller, "read", 1000);
  const auto waits = shard.call(other, "read", 1000);
  shard.disconnect(caller);
  shard.receive(ann, 1);
  CHECK_FALSE(cancelled.finished());
  CHECK(waits.as<std::string>() == "1");

  const auto orphan = shard.call(other, "read", 1000);
  reader.from.reset();
  shard.settle();
  CHECK(orphan.as<std::string>() == "closed");
}

TEST_CASE("accept queue: bounded; who does not fit is closed with 1013") {
  Shard shard(small(8, 2));
  auto& ann = shard.connect();
  auto& bob = shard.connect();
  auto& cat = shard.connect();
  CHECK(cat.close_code() == ws::CloseCode::try_again_later);

  // One that left unaccepted makes room.
  shard.disconnect(ann);
  auto& dan = shard.connect();
  CHECK_FALSE(dan.close_code());
  CHECK(shard.accept().uid() == bob.uid());
  CHECK(shard.accept().uid() == dan.uid());
  CHECK_THROWS_WITH_AS(shard.accept(), "accept(): no connection waits", ws::UsageError);
}

TEST_CASE("accept queue: threads wait, until a connection comes or the server closes") {
  AcceptQueue queue(8);
  CHECK_THROWS_AS(queue.accept(1ms), ws::ReceiveTimeoutError);
  std::promise<std::string> accepted;
  std::promise<std::string> refused;
  std::thread acceptor([&] {
    accepted.set_value(queue.accept(1h).remote_address());
    try {
      queue.accept(1h);
    } catch (const ws::ConnectionError&) {
      refused.set_value("wrong");
    } catch (const ws::WebSocketError& error) {
      refused.set_value(error.what());
    }
  });
  CHECK(queue.push(state_of(1)));
  CHECK(accepted.get_future().get() == "nowhere");
  queue.close();
  CHECK(refused.get_future().get() == "the server has closed");
  acceptor.join();
  CHECK_FALSE(queue.push(state_of(1)));
  CHECK_THROWS_AS(queue.accept(1h), ws::WebSocketError);
}

TEST_CASE("accept queue: many threads, each connection to one of them") {
  constexpr int kThreads = 4;
  constexpr int kConnections = 200;
  AcceptQueue queue(0);
  std::vector<std::thread> threads;
  std::vector<int> counts(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&queue, &count = counts[static_cast<std::size_t>(i)]] {
      try {
        for (;;) {
          queue.accept(1h);
          ++count;
        }
      } catch (const ws::WebSocketError&) {
      }
    });
  }
  std::vector<std::weak_ptr<PullState>> states;
  for (int i = 0; i < kConnections; ++i) {
    auto state = state_of(1);
    states.emplace_back(state);
    queue.push(std::move(state));
  }
  // An accepted connection ends at once here.
  for (const auto& state : states) {
    while (!state.expired()) std::this_thread::yield();
  }
  queue.close();
  for (auto& thread : threads) thread.join();
  int total = 0;
  for (const int count : counts) total += count;
  CHECK(total == kConnections);
}

TEST_CASE("accept queue: awaitable") {
  ws::FakeShard<Host> shard;
  Host& host = shard.handler();
  ws::FakeConnection& first = shard.connect();
  CHECK(shard.call(first, "serve", 1000).as<std::string>() == "accepted");
  CHECK(host.notes == std::vector<std::string>{first.uid().to_string()});
  CHECK(first.close_code() == ws::CloseCode::normal);

  // Spawned, since a call would end with the connection that is accepted and dropped.
  std::string result;
  const auto serve = [](Host& with, std::string& to) -> ws::Task<void> {
    to = co_await with.serve(1000);
  };
  host.spawn(serve(host, result));
  CHECK(result.empty());
  auto& second = shard.connect();
  CHECK(result == "accepted");
  CHECK(host.notes.back() == second.uid().to_string());
  host.spawn(serve(host, result));
  shard.advance(1s);
  CHECK(result == "timeout");
  host.spawn(serve(host, result));
  host.queue->close();
  shard.settle();
  CHECK(result == "the server has closed");
}
