#include "shards/tls_tickets.hpp"

#include <doctest/doctest.h>

#include <chrono>

using webshocket::shards::TlsTickets;
using namespace std::chrono_literals;

namespace {

constexpr TlsTickets::Clock::time_point kBegin(1h);

}  // namespace

TEST_CASE("a key encrypts for one period, and decrypts for one more") {
  TlsTickets tickets(1h);
  const auto first = tickets.current(kBegin);
  CHECK(tickets.current(kBegin + 59min).name == first.name);
  CHECK(tickets.find(first.name, kBegin + 59min)->cipher == first.cipher);

  const auto second = tickets.current(kBegin + 1h);
  CHECK(second.name != first.name);
  CHECK(second.cipher != first.cipher);
  CHECK(second.mac != first.mac);
  CHECK(tickets.find(first.name, kBegin + 1h)->mac == first.mac);
  CHECK(tickets.find(second.name, kBegin + 1h)->mac == second.mac);

  tickets.current(kBegin + 2h);
  CHECK_FALSE(tickets.find(first.name, kBegin + 2h));
  CHECK(tickets.find(second.name, kBegin + 2h));
}

TEST_CASE("one that was in use to the end of its second period is not kept for a third") {
  TlsTickets tickets(1h);
  const auto first = tickets.current(kBegin);
  const auto second = tickets.current(kBegin + 119min);
  CHECK(tickets.find(first.name, kBegin + 119min));
  CHECK_FALSE(tickets.find(first.name, kBegin + 2h));
  CHECK(tickets.find(second.name, kBegin + 2h));
}

TEST_CASE("nobody's name") {
  TlsTickets tickets(1h);
  CHECK_FALSE(tickets.find(TlsTickets::Name(), kBegin));
  tickets.current(kBegin);
  CHECK_FALSE(tickets.find(TlsTickets::Name(), kBegin));
}

TEST_CASE("in a silence keys get old as well") {
  TlsTickets tickets(1h);
  const auto key = tickets.current(kBegin);
  SUBCASE("they still decrypt") { CHECK(tickets.find(key.name, kBegin + 119min)); }
  SUBCASE("or not any more") { CHECK_FALSE(tickets.find(key.name, kBegin + 2h)); }
  SUBCASE("nor the one before") {
    tickets.current(kBegin + 61min);
    CHECK(tickets.find(key.name, kBegin + 119min));
    CHECK_FALSE(tickets.find(key.name, kBegin + 24h));
  }
}
