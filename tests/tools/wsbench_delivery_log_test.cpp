#include "tools/wsbench/delivery_log.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

using wsbench::DeliveryLog;
using Faults = std::vector<std::string>;

namespace {

/// Of a log of one channel, to which so many messages are sent.
void send(DeliveryLog& log, int count) {
  for (int i = 0; i < count; ++i) log.send(0);
}

}  // namespace

TEST_CASE("delivery log: everything, once, in order") {
  DeliveryLog log({0, 1, 0}, 2);
  CHECK(log.listeners(0) == 2);
  CHECK(log.listeners(1) == 1);
  for (std::uint64_t i = 0; i < 5; ++i) {
    CHECK(log.send(0) == i);
    CHECK(log.send(1) == i);
    CHECK(log.take(0, 0, i));
    CHECK(log.take(1, 1, i));
    CHECK(log.take(2, 0, i));
  }
  CHECK(log.counts().exact());
  CHECK(log.faults().empty());
  CHECK(log.is_current(0));
}

TEST_CASE("delivery log: a subscriber's first message is where its counting begins") {
  DeliveryLog log({0}, 1);
  send(log, 4);
  CHECK_FALSE(log.is_current(0));
  CHECK(log.take(0, 0, 2));
  CHECK_FALSE(log.is_current(0));
  CHECK(log.take(0, 0, 3));
  CHECK(log.is_current(0));
  CHECK(log.counts().exact());
}

TEST_CASE("delivery log: missing at the end, and in between") {
  DeliveryLog log({0}, 1);
  send(log, 6);
  CHECK(log.take(0, 0, 0));
  CHECK(log.take(0, 0, 3));
  CHECK(log.counts().missing == 4);
  CHECK(log.take(0, 0, 4));
  CHECK(log.take(0, 0, 5));
  CHECK(log.counts().missing == 2);
  CHECK(log.faults() == Faults{"2 deliveries missing"});
}

TEST_CASE("delivery log: one that got nothing lacks everything") {
  DeliveryLog log({0}, 1);
  send(log, 3);
  CHECK(log.counts().missing == 3);
}

TEST_CASE("delivery log: late is out of order and not missing") {
  DeliveryLog log({0}, 1);
  send(log, 3);
  CHECK(log.take(0, 0, 0));
  CHECK(log.take(0, 0, 2));
  CHECK(log.take(0, 0, 1));
  CHECK(log.counts().missing == 0);
  CHECK(log.faults() == Faults{"1 delivery out of order"});
}

TEST_CASE("delivery log: twice is a duplicate, also of a late one") {
  DeliveryLog log({0}, 1);
  send(log, 3);
  CHECK(log.take(0, 0, 0));
  CHECK_FALSE(log.take(0, 0, 0));
  CHECK(log.take(0, 0, 2));
  CHECK(log.take(0, 0, 1));
  CHECK_FALSE(log.take(0, 0, 1));
  CHECK(log.counts().duplicate == 2);
  CHECK(log.faults() == Faults{"2 deliveries duplicate", "1 delivery out of order"});
}

TEST_CASE("delivery log: what was never sent") {
  DeliveryLog log({0, 1}, 2);
  send(log, 1);
  CHECK(log.take(0, 0, 0));
  CHECK_FALSE(log.take(0, 0, 1));
  CHECK_FALSE(log.take(0, 1, 0));
  CHECK_FALSE(log.take(1, 0, 0));
  CHECK_FALSE(log.take(1, 4'000'000'000, 0));
  CHECK(log.faults() == Faults{"4 deliveries of messages that were never sent"});
}

TEST_CASE("delivery log: damaged") {
  DeliveryLog log({0}, 1);
  log.damaged();
  CHECK(log.faults() == Faults{"1 delivery damaged"});
}

TEST_CASE("delivery log: of who is ignored nothing is expected") {
  DeliveryLog log({0, 0}, 1);
  log.ignore(0);
  CHECK(log.listeners(0) == 1);
  send(log, 1);
  CHECK(log.take(1, 0, 0));
  CHECK(log.counts().exact());
}
