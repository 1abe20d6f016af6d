#include "shards/ip_table.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <utility>
#include <variant>
#include <vector>

using webshocket::Config;
using webshocket::protocol::Address;
using webshocket::protocol::Network;
using webshocket::protocol::Networks;
using webshocket::shards::IpSlot;
using webshocket::shards::IpTable;
using namespace std::chrono_literals;

namespace {

constexpr IpTable::TimePoint kStart{1h};

Address at(const std::string& text) { return Address::parse(text).value(); }

Networks trusted() {
  Networks networks;
  networks.add(std::get<Network>(Network::parse("192.0.2.0/24")));
  return networks;
}

class Fixture {
 public:
  explicit Fixture(const Config& config) : table(config, exempt) {}

  IpTable::Verdict accept(const std::string& from, IpTable::TimePoint now = kStart) {
    IpSlot slot;
    const auto verdict = table.accept(at(from), now, slot);
    slots.push_back(std::move(slot));
    return verdict;
  }

  Networks exempt = trusted();
  IpTable table;
  std::vector<IpSlot> slots;
};

}  // namespace

using Verdict = IpTable::Verdict;

TEST_CASE("so many of an address, and who goes makes room") {
  Fixture f({.max_connections_per_ip = 2});
  CHECK(f.accept("203.0.113.7") == Verdict::fits);
  CHECK(f.accept("203.0.113.7") == Verdict::fits);
  CHECK(f.accept("203.0.113.7") == Verdict::too_many);
  CHECK(f.accept("203.0.113.8") == Verdict::fits);
  CHECK(f.table.refused() == 1);
  f.slots.front().release();
  CHECK(f.accept("203.0.113.7") == Verdict::fits);
  // Mapped into IPv6 it is the same one.
  CHECK(f.accept("::ffff:203.0.113.7") == Verdict::too_many);
}

TEST_CASE("so many of an IPv6 network") {
  Fixture f({.max_connections_per_ip = 2, .max_connections_per_64 = 3});
  CHECK(f.accept("2001:db8::1") == Verdict::fits);
  CHECK(f.accept("2001:db8::1") == Verdict::fits);
  CHECK(f.accept("2001:db8::1") == Verdict::too_many);
  CHECK(f.accept("2001:db8::2") == Verdict::fits);
  CHECK(f.accept("2001:db8::3") == Verdict::too_many_per_64);
  CHECK(f.accept("2001:db8:0:1::3") == Verdict::fits);
  f.slots.front().release();
  CHECK(f.accept("2001:db8::3") == Verdict::fits);
}

TEST_CASE("the machine itself and who is trusted have no limit") {
  Fixture f({.max_connections_per_ip = 1, .accept_rate_per_ip = 1, .accept_burst_per_ip = 1});
  for (int i = 0; i < 10; ++i) {
    CHECK(f.accept("127.0.0.1") == Verdict::fits);
    CHECK(f.accept("127.9.9.9") == Verdict::fits);
    CHECK(f.accept("::1") == Verdict::fits);
    CHECK(f.accept("192.0.2.99") == Verdict::fits);
    IpSlot slot;
    CHECK(f.table.accept(Address(), kStart, slot) == Verdict::fits);  // a unix socket
    CHECK_FALSE(slot);
  }
  CHECK(f.table.size() == 0);
}

TEST_CASE("how fast they come: of an IPv4 address, of an IPv6 network") {
  Fixture f({.accept_rate_per_ip = 10, .accept_burst_per_ip = 2});
  CHECK(f.accept("203.0.113.7") == Verdict::fits);
  CHECK(f.accept("203.0.113.7") == Verdict::fits);
  CHECK(f.accept("203.0.113.7") == Verdict::too_fast);
  CHECK(f.accept("203.0.113.8") == Verdict::fits);
  CHECK(f.accept("203.0.113.7", kStart + 100ms) == Verdict::fits);
  CHECK(f.accept("2001:db8::1") == Verdict::fits);
  CHECK(f.accept("2001:db8::2") == Verdict::fits);
  CHECK(f.accept("2001:db8::3") == Verdict::too_fast);
  CHECK(f.table.refused_rate() == 2);
  CHECK(f.table.refused() == 0);
  // One that a proxy names has been accepted already.
  IpSlot named;
  CHECK(f.table.name(at("203.0.113.7"), kStart + 100ms, named) == Verdict::fits);
  CHECK(bool(named));
}

TEST_CASE("who goes through many addresses leaves nothing behind") {
  Fixture f({.accept_rate_per_ip = 100, .accept_burst_per_ip = 10});
  IpTable::TimePoint now = kStart;
  CHECK(f.accept("2001:db8:ffff::1") == Verdict::fits);
  for (int i = 0; i < 200'000; ++i) {
    Address sweep = at("2001:db8::");
    for (int byte = 0; byte < 4; ++byte) {
      sweep.bytes[4 + static_cast<std::size_t>(byte)] = static_cast<std::byte>(i >> (8 * byte));
    }
    IpSlot slot;
    CHECK(f.table.accept(sweep, now, slot) == Verdict::fits);
    now += 1ms;
  }
  CHECK(f.table.size() < 10'000);
  // What counts stays.
  CHECK(f.accept("2001:db8:ffff::1", now) == Verdict::fits);
}

TEST_CASE("without limits nothing is kept") {
  Fixture f({.max_connections_per_ip = 0, .max_connections_per_64 = 0, .accept_rate_per_ip = 0});
  for (int i = 0; i < 10; ++i) CHECK(f.accept("203.0.113.7") == Verdict::fits);
  CHECK(f.table.size() == 0);
}
