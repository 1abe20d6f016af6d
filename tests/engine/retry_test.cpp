#include "engine/retry.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

using webshocket::Retry;
using webshocket::engine::Tries;
using namespace std::chrono_literals;

namespace {

constexpr Tries::Clock::time_point kStart{1h};

}  // namespace

TEST_CASE("pauses double up to their longest") {
  Tries tries({.attempts = 0, .interval = 2s, .max_interval = 10s, .jitter = 0ms}, kStart);
  for (const auto expected : {2s, 4s, 8s, 10s, 10s, 10s}) {
    tries.failed("no", 0);
    CHECK(tries.pause(7, kStart) == expected);
  }
  for (int i = 0; i < 1'000; ++i) tries.failed("no", 0);
  CHECK(tries.pause(7, kStart) == 10s);
}

TEST_CASE("jitter is added, and never as much as its bound") {
  Tries tries({.attempts = 0, .interval = 1s, .max_interval = 1s, .jitter = 100ms}, kStart);
  tries.failed("no", 0);
  constexpr std::uint64_t kMost = 100'000'000;
  CHECK(tries.pause(0, kStart) == 1s);
  CHECK(tries.pause(kMost - 1, kStart) == 1s + 100ms - 1ns);
  CHECK(tries.pause(kMost, kStart) == 1s);
  const auto pause = tries.pause(std::numeric_limits<std::uint64_t>::max(), kStart);
  CHECK((pause >= 1s && pause < 1s + 100ms));
  CHECK(tries.first_pause(0) == 0ns);
  CHECK(tries.first_pause(kMost - 1) == 100ms - 1ns);
}

TEST_CASE("the tries are counted") {
  Tries tries({.attempts = 3, .interval = 1s, .jitter = 0ms}, kStart);
  tries.failed("a", 0);
  CHECK(tries.pause(0, kStart).has_value());
  tries.failed("b", 0);
  CHECK(tries.pause(0, kStart).has_value());
  tries.failed("c", 0);
  CHECK_FALSE(tries.pause(0, kStart).has_value());
}

TEST_CASE("all of them have one deadline") {
  Tries tries({.attempts = 0, .interval = 1s, .max_interval = 1s, .jitter = 0ms, .deadline = 5s},
              kStart);
  CHECK(tries.allowance(10s, kStart) == 5s);
  CHECK(tries.allowance(2s, kStart) == 2s);
  CHECK(tries.allowance(0s, kStart) == 5s);
  CHECK(tries.allowance(10s, kStart + 4s) == 1s);
  CHECK_FALSE(tries.allowance(10s, kStart + 5s).has_value());
  tries.failed("no", 0);
  CHECK(tries.pause(0, kStart + 3s) == 1s);
  CHECK_FALSE(tries.pause(0, kStart + 4s).has_value());
  const Tries endless({.attempts = 0}, kStart);
  CHECK(endless.allowance(10s, kStart + 1000h) == 10s);
  CHECK(endless.allowance(0s, kStart) == 0s);
}

TEST_CASE("a server that goes down says when its clients shall come back") {
  const Tries tries({.max_interval = 60s, .jitter = 1s}, kStart);
  const auto jitter = tries.first_pause(7);
  CHECK(tries.first_pause(7, "reconnect in 1234 ms") == 1234ms);
  CHECK(tries.first_pause(7, "reconnect in 0 ms") == 0ms);
  CHECK(tries.first_pause(7, "reconnect in 60001 ms") == 60s);
  CHECK(tries.first_pause(7, "reconnect in 4294967295 ms") == 60s);
  for (const char* text : {"", "reconnect in  ms", "reconnect in ms", "reconnect in -1 ms",
                           "reconnect in 1", "reconnect in 1 s", "reconnect in 4294967296 ms",
                           "please reconnect in 1 ms", "reconnect in 1 ms."}) {
    CAPTURE(text);
    CHECK(tries.first_pause(7, text) == jitter);
  }
}

TEST_CASE("the text says what happened") {
  const auto text = [](const Tries& tries) {
    return std::string(tries.error("ws://h", kStart + 1500ms).what());
  };
  Tries tries({}, kStart);
  CHECK(text(tries) == "cannot connect to ws://h: no time was left to try");
  tries.failed("refused", 0);
  CHECK(text(tries) == "cannot connect to ws://h: refused");
  tries.failed("The server answered 503", 503);
  CHECK(text(tries) ==
        "cannot connect to ws://h after 2 tries in 1.5 s: 1: refused; 2: The server answered 503");
  CHECK(tries.error("ws://h", kStart).http_status() == 503);
  tries.failed("refused", 0);
  CHECK(tries.error("ws://h", kStart).http_status() == 0);
}

TEST_CASE("of endless tries the last reasons are kept") {
  Tries tries({.attempts = 0}, kStart);
  for (int i = 1; i <= 100; ++i) tries.failed("no " + std::to_string(i), 0);
  const auto error = tries.error("ws://h", kStart);
  CHECK(error.tries().size() == 32);
  CHECK(error.tries().back() == "no 100");
  const std::string text = error.what();
  CHECK(text.starts_with("cannot connect to ws://h after 100 tries in 0.0 s: 69: no 69; "));
  CHECK(text.ends_with("100: no 100"));
}
