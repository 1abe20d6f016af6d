#include "shards/loop.hpp"

#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <span>

#include "shards/socket.hpp"

using webshocket::shards::Loop;
using webshocket::shards::Poll;
using webshocket::shards::Signal;
using webshocket::shards::Socket;
using webshocket::shards::Timer;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

/// A loop, all kinds of handles in it, and what they did. `~Loop` asserts that uv_loop_close
/// returned 0.
struct Machine {
  Machine() {
    timer.open(loop);
    loop.at_end_of_turn<&Machine::on_turn>(*this);
    signal.open(loop);
    poll.open(loop, event.fd());
  }

  void on_turn() noexcept {
    ++turns;
    if (turns == stop_at_turn) loop.stop();
  }
  void on_timer() noexcept {
    fired = Clock::now();
    loop.stop();
  }
  void on_signal() noexcept {
    ++signals;
    loop.stop();
  }
  void on_ready(std::uint32_t events) noexcept {
    CHECK(events == Poll::kReadable);
    ++ready;
    std::uint64_t value = 0;
    CHECK(::read(event.fd(), &value, sizeof value) == sizeof value);
    loop.stop();
  }
  void post() const {
    const std::uint64_t one = 1;
    CHECK(::write(event.fd(), &one, sizeof one) == sizeof one);
  }
  void close() {
    timer.close();
    signal.close();
    poll.stop();
    event.close();
    loop.finish();
  }

  Loop loop;
  Socket event{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  Timer timer;
  Signal signal;
  Poll poll;
  int turns = 0;
  int stop_at_turn = 0;
  int signals = 0;
  int ready = 0;
  Clock::time_point fired{};
};

}  // namespace

TEST_CASE("a loop without handles closes") {
  Loop loop;
  CHECK(uv_loop_alive(loop.get()) == 0);
}

TEST_CASE("when every handle is closed, nothing of the loop is left") {
  Machine machine;
  machine.timer.start<&Machine::on_timer>(machine, 1h);
  machine.loop.set_awake(true);
  machine.poll.watch<&Machine::on_ready>(machine, Poll::kReadable);
  machine.signal.start<&Machine::on_signal>(machine, SIGUSR1);
  machine.close();
  CHECK(uv_loop_alive(machine.loop.get()) == 0);
}

TEST_CASE("closing a handle twice is closing it once") {
  Machine machine;
  machine.timer.close();
  machine.signal.close();
  machine.close();
}

TEST_CASE("a timer fires once, and not before its time") {
  Machine machine;
  for (const auto delay : {0us, 1us, 999us, 1'500us, 20'000us}) {
    const auto before = Clock::now();
    machine.timer.start<&Machine::on_timer>(machine, delay);
    machine.loop.run();
    CHECK(machine.fired - before >= delay);
  }
  machine.fired = {};
  machine.timer.start<&Machine::on_timer>(machine, 10ms);
  machine.timer.stop();
  machine.post();
  machine.poll.watch<&Machine::on_ready>(machine, Poll::kReadable);
  machine.loop.run();
  CHECK(machine.fired == Clock::time_point());

  // What is due in the past is due now.
  machine.timer.start<&Machine::on_timer>(machine, -5s);
  machine.loop.run();
  CHECK(machine.fired != Clock::time_point());
  machine.close();
}

TEST_CASE("the end of a turn comes in every turn, and while awake the loop never sleeps") {
  Machine machine;
  machine.loop.set_awake(true);
  machine.stop_at_turn = 100;
  machine.loop.run();
  CHECK(machine.turns == 100);
  machine.loop.set_awake(false);
  machine.post();
  machine.poll.watch<&Machine::on_ready>(machine, Poll::kReadable);
  machine.loop.run();
  CHECK(machine.turns < 110);
  machine.close();
}

TEST_CASE("a signal reaches the loop that watches it") {
  Machine machine;
  machine.signal.start<&Machine::on_signal>(machine, SIGUSR1);
  REQUIRE(::raise(SIGUSR1) == 0);
  machine.loop.run();
  CHECK(machine.signals == 1);
  machine.close();
}

namespace {

/// Two sockets of a pair, watched.
struct Pair {
  Pair() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    here = Socket(ends[0]);
    there = Socket(ends[1]);
    poll.open(loop, here.fd());
  }
  ~Pair() {
    poll.stop();
    loop.finish();
  }
  void on_ready(std::uint32_t seen) noexcept {
    events = seen;
    loop.stop();
  }

  Loop loop;
  Socket here;
  Socket there;
  Poll poll;
  std::uint32_t events = 0;
};

/// Of two that are ready in one turn, the first one called stops the other.
struct Rivals {
  struct One {
    void on_ready(std::uint32_t) noexcept {
      ++calls;
      other->poll.stop();
      loop->stop();
    }
    Loop* loop = nullptr;
    One* other = nullptr;
    Poll poll;
    int calls = 0;
  };
  Loop loop;
  One one;
  One two;
};

}  // namespace

TEST_CASE("a poll tells of what it is asked for, and of nothing else") {
  Pair pair;
  REQUIRE(pair.poll.watch<&Pair::on_ready>(pair, Poll::kReadable | Poll::kWritable));
  pair.loop.run();
  CHECK(pair.events == Poll::kWritable);

  const std::byte byte{};
  CHECK(pair.there.send(std::span(&byte, 1)) == 1);
  REQUIRE(pair.poll.watch<&Pair::on_ready>(pair, Poll::kReadable | Poll::kHungUp));
  pair.loop.run();
  CHECK(pair.events == Poll::kReadable);

  pair.there.shut_down_output();
  REQUIRE(pair.poll.watch<&Pair::on_ready>(pair, Poll::kHungUp));
  pair.loop.run();
  CHECK(pair.events == Poll::kHungUp);
}

TEST_CASE("a poll of a dead socket is readable and writable, if that is what it is asked for") {
  Pair pair;
  pair.there.close();
  REQUIRE(pair.poll.watch<&Pair::on_ready>(pair, Poll::kReadable));
  pair.loop.run();
  CHECK((pair.events & Poll::kReadable) != 0);
  std::byte byte{};
  CHECK(pair.here.receive(std::span(&byte, 1)) == 0);
}

TEST_CASE("what is stopped is not called any more, not even in the turn in which it is ready") {
  Rivals rivals;
  const Socket one(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
  const Socket two(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
  rivals.one.loop = rivals.two.loop = &rivals.loop;
  rivals.one.other = &rivals.two;
  rivals.two.other = &rivals.one;
  rivals.one.poll.open(rivals.loop, one.fd());
  rivals.two.poll.open(rivals.loop, two.fd());
  REQUIRE(rivals.one.poll.watch<&Rivals::One::on_ready>(rivals.one, Poll::kReadable));
  REQUIRE(rivals.two.poll.watch<&Rivals::One::on_ready>(rivals.two, Poll::kReadable));
  rivals.loop.run();
  CHECK(rivals.one.calls + rivals.two.calls == 1);
  rivals.one.poll.stop();
  rivals.two.poll.stop();
  rivals.loop.finish();
}

TEST_CASE("a loop refuses what cannot be watched") {
  Loop loop;
  Rivals::One one;
  one.poll.open(loop, -1);
  CHECK_FALSE(one.poll.watch<&Rivals::One::on_ready>(one, Poll::kReadable));
}
