#include "protocol/address.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>

#include <string>
#include <string_view>
#include <variant>

#include "protocol/network.hpp"

using namespace webshocket::protocol;

namespace {

struct Reading {
  std::string_view text;
  std::string_view address;  ///< empty: none
};

constexpr Reading kAddresses[] = {
    {"192.0.2.1", "192.0.2.1:0"},
    {"0.0.0.0", "0.0.0.0:0"},
    {"255.255.255.255", "255.255.255.255:0"},
    {"::", "[::]:0"},
    {"::1", "[::1]:0"},
    {"2001:DB8:0:0:0:0:0:1", "[2001:db8::1]:0"},
    {"2001:db8::192.0.2.1", "[2001:db8::c000:201]:0"},
    {"fe80:0000:0000:0000:0123:4567:89ab:cdef", "[fe80::123:4567:89ab:cdef]:0"},
    {"1111:2222:3333:4444:5555:6666:123.123.123.123",
     "[1111:2222:3333:4444:5555:6666:7b7b:7b7b]:0"},
    {"::ffff:192.0.2.1", "192.0.2.1:0"},
    {"::FFFF:c000:201", "192.0.2.1:0"},
    {"::fffe:192.0.2.1", "[::fffe:c000:201]:0"},
    {"::1:ffff:192.0.2.1", "[::1:ffff:c000:201]:0"},
    {"", ""},
    {"unix", ""},
    {"localhost", ""},
    {" 192.0.2.1", ""},
    {"192.0.2.1 ", ""},
    {"192.0.2", ""},
    {"192.0.2.256", ""},
    {"192.0.2.01", ""},
    {"0300.0.2.1", ""},
    {"0xC0.0.2.1", ""},
    {"3221225985", ""},
    {"192.0.2.1:80", ""},
    {"192.0.2.1.", ""},
    {"[::1]", ""},
    {"::1%lo", ""},
    {"fe80::1%1", ""},
    {":::", ""},
    {"1::2::3", ""},
    {"12345::", ""},
    {"1:2:3:4:5:6:7", ""},
    {"1:2:3:4:5:6:7:8:9", ""},
    {std::string_view("192.0.2.1\0", 10), ""},
    {std::string_view("192.0.2.1\0.5", 12), ""},
    {"11111111111111111111111111111111111111111111111111111111", ""},
};

struct Port {
  std::string_view text;
  int value;  ///< -1: none
};

constexpr Port kPorts[] = {
    {"0", 0},   {"1", 1},    {"80", 80},  {"65535", 65535}, {"65536", -1}, {"99999999999", -1},
    {"", -1},   {"080", -1}, {"00", -1},  {"-1", -1},       {"+1", -1},    {" 1", -1},
    {"1 ", -1}, {"0x1", -1}, {"1.0", -1}, {"a", -1},
};

struct Block {
  std::string_view text;
  std::string_view inside = {};  ///< blank-separated
  std::string_view outside = {};
};

constexpr Block kBlocks[] = {
    {"10.0.0.0/8", "10.0.0.0 10.255.255.255 10.1.2.3 ::ffff:10.1.2.3",
     "9.255.255.255 11.0.0.0 ::1 ::"},
    {"192.168.4.0/22", "192.168.4.0 192.168.7.255 192.168.5.9", "192.168.3.255 192.168.8.0"},
    {"128.0.0.0/1", "128.0.0.0 255.255.255.255", "127.255.255.255 0.0.0.0"},
    {"172.16.0.0/12", "172.16.0.1 172.31.255.255", "172.15.255.255 172.32.0.0"},
    {"192.0.2.1", "192.0.2.1", "192.0.2.0 192.0.2.2 ::1"},
    {"192.0.2.1/32", "192.0.2.1", "192.0.2.0"},
    {"192.0.2.0/31", "192.0.2.0 192.0.2.1", "192.0.2.2"},
    {"0.0.0.0/0", "0.0.0.0 8.8.8.8 ::ffff:1.2.3.4", ":: ::1 2001:db8::1"},
    {"::/0", ":: ::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1.2.3.4 ::ffff:1.2.3.4"},
    {"::1", "::1", ":: ::2 127.0.0.1"},
    {"::1/128", "::1", "::"},
    {"fd00::/8", "fd00::1 fdff::", "fc00:: fe00::"},
    {"fc00::/7", "fc00:: fdff::1", "fbff:: fe00::"},
    {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
    {"::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.0"},
    {"::ffff:10.0.0.1", "10.0.0.1 ::ffff:10.0.0.1", "10.0.0.2"},
    {"::ffff:0.0.0.0/96", "1.2.3.4", "::1"},
    {"unix", "", "127.0.0.1 ::1 0.0.0.0 ::"},
};

constexpr std::string_view kNoBlocks[] = {"",
                                          "10.0.0.0/33",
                                          "10.0.0.0/-1",
                                          "10.0.0.0/",
                                          "10.0.0.0/8/8",
                                          "10.0.0.0/08",
                                          "10.0.0.1/8",
                                          "10.0.0.0/ 8",
                                          "10/8",
                                          "*",
                                          "10.*",
                                          "localhost",
                                          "::/129",
                                          "::1/64",
                                          "[::1]",
                                          "[::1]/128",
                                          "Unix",
                                          "unix/0",
                                          "/8",
                                          "10.0.0.0\t/8",
                                          "::1%lo",
                                          "10.0.0.0/8,",
                                          "10.0.0.0/a",
                                          "fd00::/8.0",
                                          "unix:",
                                          "10.0.0.0/255",
                                          "::/256",
                                          "::ffff:0:0/95"};

Network network(std::string_view text) {
  auto parsed = Network::parse(text);
  REQUIRE_MESSAGE(std::holds_alternative<Network>(parsed), text);
  return std::get<Network>(parsed);
}

template <class Visit>
void for_each_word(std::string_view words, Visit visit) {
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(' '), words.size());
    visit(words.substr(0, end));
    words.remove_prefix(std::min(end + 1, words.size()));
  }
}

}  // namespace

TEST_CASE("addresses are read as the resolver reads them, without anything around") {
  for (const Reading& reading : kAddresses) {
    CAPTURE(reading.text);
    const auto address = Address::parse(reading.text);
    CHECK((address ? address->to_string() : std::string()) == reading.address);
  }
  CHECK(Address().to_string() == "unix");
}

TEST_CASE("ports are decimal numbers that fit") {
  for (const Port& port : kPorts) {
    CAPTURE(port.text);
    const auto value = parse_port(port.text);
    CHECK((value ? int{*value} : -1) == port.value);
  }
}

TEST_CASE("a block holds what begins like it") {
  for (const Block& block : kBlocks) {
    CAPTURE(block.text);
    const Network parsed = network(block.text);
    for_each_word(block.inside, [&](std::string_view text) {
      CAPTURE(text);
      CHECK(parsed.contains(Address::parse(text).value()));
    });
    for_each_word(block.outside, [&](std::string_view text) {
      CAPTURE(text);
      CHECK_FALSE(parsed.contains(Address::parse(text).value()));
    });
    CHECK(parsed.contains(Address()) == (block.text == "unix"));
  }
}

TEST_CASE("what is no block is said to be none") {
  for (const std::string_view text : kNoBlocks) {
    CAPTURE(text);
    const auto parsed = Network::parse(text);
    REQUIRE(std::holds_alternative<std::string_view>(parsed));
    CHECK_FALSE(std::get<std::string_view>(parsed).empty());
  }
}

TEST_CASE("a list holds what one of its blocks holds, and the port is nothing to it") {
  Networks list;
  CHECK(list.empty());
  CHECK_FALSE(list.contains(Address()));
  list.add(network("10.0.0.0/8"));
  list.add(network("::1"));
  CHECK_FALSE(list.empty());
  Address address = Address::parse("10.1.1.1").value();
  address.port = 1234;
  CHECK(list.contains(address));
  CHECK(list.contains(Address::parse("::1").value()));
  CHECK_FALSE(list.contains(Address::parse("11.1.1.1").value()));
  CHECK_FALSE(list.contains(Address()));
}
