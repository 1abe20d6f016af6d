#include "tools/wssoak/audit.hpp"

#include <doctest/doctest.h>

#include <webshocket/server.hpp>

#include <string>

using wssoak::Numbers;

namespace {

/// Of a server that has served, and that all have left.
Numbers numbers_at_rest() {
  Numbers numbers = wssoak::numbers_of({});
  numbers["deliveries"] = 100;
  numbers["deliveries_written"] = 80;
  numbers["deliveries_dropped"] = 15;
  numbers["dropped_new"] = 1;
  numbers["dropped_old"] = 2;
  numbers["dropped_conflated"] = 4;
  numbers["dropped_disconnect"] = 8;
  numbers["deliveries_discarded"] = 5;
  numbers["connections_total"] = numbers["connects"] = numbers["disconnects"] = 7;
  numbers["rpc_calls"] = numbers["calls_begun"] = 6;
  numbers["calls_answered"] = 3;
  numbers["calls_failed"] = 1;
  numbers["calls_cancelled"] = 2;
  numbers["calls_open"] = 0;
  for (const char* name : {"publishes_refused", "log_errors"}) numbers[name] = 0;
  return numbers;
}

/// What is found when this number is off by one.
std::string fault_of(const std::string& name, std::uint64_t by = 1) {
  Numbers numbers = numbers_at_rest();
  numbers[name] += by;
  const auto faults = wssoak::faults_at_rest(numbers);
  return faults.empty() ? "" : faults.front();
}

}  // namespace

TEST_CASE("audit: at rest everything adds up") {
  CHECK(wssoak::faults_at_rest(numbers_at_rest()).empty());
  CHECK(fault_of("deliveries") ==
        "deliveries is 101, but deliveries_written 80 + dropped_new 1 + dropped_old 2 + "
        "dropped_conflated 4 + dropped_disconnect 8 + deliveries_discarded 5 + "
        "deliveries_waiting 0 is 100");
  for (const char* name :
       {"deliveries_written", "dropped_new",          "dropped_old",        "dropped_conflated",
        "dropped_disconnect", "deliveries_discarded", "deliveries_waiting", "connections_total",
        "connects",           "disconnects",          "rpc_calls",          "calls_begun",
        "calls_answered",     "calls_failed",         "calls_cancelled",    "calls_in_flight",
        "connections",        "outbox_bytes",         "inbound_bytes",      "parked_bytes",
        "tick_bytes",         "handshakes_pending"}) {
    CAPTURE(name);
    CHECK_FALSE(fault_of(name).empty());
    CHECK_FALSE(fault_of(name, 0 - std::uint64_t{1}).empty());
  }
}

TEST_CASE("audit: what still waits is no excuse at rest") {
  Numbers numbers = numbers_at_rest();
  --numbers["deliveries_written"];
  ++numbers["deliveries_waiting"];
  CHECK(wssoak::faults_at_rest(numbers) ==
        std::vector<std::string>{"deliveries_waiting is 1, not 0"});
}

TEST_CASE("audit: counters never go back, levels may") {
  const Numbers before = numbers_at_rest();
  Numbers after = before;
  ++after["deliveries"];
  CHECK(wssoak::faults_between(before, after).empty());
  CHECK(wssoak::faults_between(after, before) ==
        std::vector<std::string>{"deliveries went back from 101 to 100"});
  after = before;
  after["outbox_bytes"] = 5;
  CHECK(wssoak::faults_between(after, before).empty());
}

TEST_CASE("audit: errors that nobody provoked") {
  Numbers numbers = numbers_at_rest();
  CHECK(wssoak::unexpected_errors(numbers).empty());
  numbers["handler_errors"] = 2;
  CHECK(wssoak::unexpected_errors(numbers) ==
        std::vector<std::string>{"handler_errors is 2, not 0"});
}

TEST_CASE("audit: clients got what was written, unless they were cut off") {
  using wssoak::faults_of_receipt;
  CHECK(faults_of_receipt(10, {.whole = 8, .cut = 2}).empty());
  CHECK_FALSE(faults_of_receipt(11, {.whole = 8, .cut = 2}).empty());
  CHECK(faults_of_receipt(11, {.whole = 8, .cut = 2, .anybody_cut = true}).empty());
  // More than was written is wrong in any case.
  CHECK_FALSE(faults_of_receipt(9, {.whole = 8, .cut = 2, .anybody_cut = true}).empty());
}

TEST_CASE("audit: numbers travel as JSON") {
  const Numbers numbers = numbers_at_rest();
  CHECK(wssoak::parse_numbers(wssoak::json_of(numbers)) == numbers);
  CHECK_THROWS(wssoak::parse_numbers("{"));
  CHECK_THROWS(wssoak::parse_numbers(R"({"deliveries":"many"})"));
  CHECK_THROWS(wssoak::number(numbers, "nonsense"));
}
