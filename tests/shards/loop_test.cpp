#include "shards/loop.hpp"

#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <vector>

#include "shards/socket.hpp"

using webshocket::shards::EndOfTurn;
using webshocket::shards::Loop;
using webshocket::shards::Poll;
using webshocket::shards::Signal;
using webshocket::shards::Socket;
using webshocket::shards::StayAwake;
using webshocket::shards::Timer;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

/// A loop, all kinds of handles in it, and what they did. `~Loop` asserts that uv_loop_close
/// returned 0.
struct Machine {
  Machine() {
    timer.open(loop);
    end_of_turn.open<&Machine::on_turn>(loop, *this);
    stay_awake.open(loop);
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
  void on_ready(int status, int events) noexcept {
    CHECK(status == 0);
    CHECK(events == UV_READABLE);
    std::uint64_t value = 0;
    CHECK(::read(event.fd(), &value, sizeof value) == sizeof value);
    loop.stop();
  }
  void on_poll_closed() noexcept { poll_closed = true; }
  void post() const {
    const std::uint64_t one = 1;
    CHECK(::write(event.fd(), &one, sizeof one) == sizeof one);
  }
  void close() {
    timer.close();
    end_of_turn.close();
    stay_awake.close();
    signal.close();
    poll.close<&Machine::on_poll_closed>(*this);
    event.close();
    loop.finish();
    CHECK(poll_closed);
  }

  Loop loop;
  Socket event{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  Timer timer;
  EndOfTurn end_of_turn;
  StayAwake stay_awake;
  Signal signal;
  Poll poll;
  int turns = 0;
  int stop_at_turn = 0;
  int signals = 0;
  bool poll_closed = false;
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
  machine.stay_awake.set(true);
  machine.poll.watch<&Machine::on_ready>(machine, UV_READABLE);
  machine.signal.start<&Machine::on_signal>(machine, SIGUSR1);
  machine.close();
  CHECK(uv_loop_alive(machine.loop.get()) == 0);
}

TEST_CASE("closing a handle twice is closing it once") {
  Machine machine;
  machine.timer.close();
  machine.end_of_turn.close();
  machine.stay_awake.close();
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
  machine.poll.watch<&Machine::on_ready>(machine, UV_READABLE);
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
  machine.stay_awake.set(true);
  machine.stop_at_turn = 100;
  machine.loop.run();
  CHECK(machine.turns == 100);
  machine.stay_awake.set(false);
  machine.post();
  machine.poll.watch<&Machine::on_ready>(machine, UV_READABLE);
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
