#include "protocol/forwarded.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

using namespace webshocket::protocol;

namespace {

struct Element {
  std::string_view text;
  std::string_view address;  ///< empty: none
};

constexpr Element kListed[] = {
    {"192.0.2.1", "192.0.2.1:0"},
    {"192.0.2.1:80", "192.0.2.1:80"},
    {"192.0.2.1:0", "192.0.2.1:0"},
    {"192.0.2.1:65535", "192.0.2.1:65535"},
    {"2001:db8::1", "[2001:db8::1]:0"},
    {"[2001:db8::1]", "[2001:db8::1]:0"},
    {"[2001:db8::1]:443", "[2001:db8::1]:443"},
    {"::ffff:192.0.2.1", "192.0.2.1:0"},
    {"[::ffff:192.0.2.1]:7", "192.0.2.1:7"},
    {"", ""},
    {"unknown", ""},
    {"_hidden", ""},
    {"unix:", ""},
    {"localhost", ""},
    {"example.com:80", ""},
    {"192.0.2.1:", ""},
    {"192.0.2.1:65536", ""},
    {"192.0.2.1:-1", ""},
    {"192.0.2.1:a", ""},
    {"192.0.2.1:80:80", ""},
    {"192.0.2.1 80", ""},
    {"192.0.2.1/32", ""},
    {"192.0.2.256", ""},
    {"[192.0.2.1]", ""},
    {"[192.0.2.1]:80", ""},
    {"[2001:db8::1", ""},
    {"2001:db8::1]", ""},
    {"[2001:db8::1]80", ""},
    {"[2001:db8::1]:", ""},
    {"[2001:db8::1]]", ""},
    {"[]", ""},
    {"[", ""},
    {":", ""},
    {":80", ""},
    {"\"192.0.2.1\"", ""},
    {"fe80::1%eth0", ""},
    {"192.0.2.1;", ""},
    {"192.0.2.1\xC2\xA0", ""},
};

constexpr Element kStandard[] = {
    {"for=192.0.2.1", "192.0.2.1:0"},
    {"For=192.0.2.1", "192.0.2.1:0"},
    {"FOR=\"192.0.2.1\"", "192.0.2.1:0"},
    {"for=\"192.0.2.1:80\"", "192.0.2.1:80"},
    {"for=\"[2001:db8::1]\"", "[2001:db8::1]:0"},
    {"for=\"[2001:db8:cafe::17]:4711\"", "[2001:db8:cafe::17]:4711"},
    {"for=\"192.0.2.1:_port\"", "192.0.2.1:0"},
    {"for=\"[2001:db8::1]:_p-1.x\"", "[2001:db8::1]:0"},
    {"for=\"19\\2.0.2.1\"", "192.0.2.1:0"},
    {"for=\"\\1\\9\\2.0.2.1\\:80\"", "192.0.2.1:80"},
    {"for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60:0"},
    {"proto=http;for=192.0.2.60", "192.0.2.60:0"},
    {"host=\"a,b;c=\\\"d\\\"\";for=192.0.2.60", "192.0.2.60:0"},
    {"by=_gateway;for=192.0.2.60;host=example.com", "192.0.2.60:0"},
    {"for=192.0.2.60;", "192.0.2.60:0"},
    {";for=192.0.2.60", "192.0.2.60:0"},
    {";;for=192.0.2.60;;proto=https;", "192.0.2.60:0"},
    {"for=192.0.2.60 ; proto=https", "192.0.2.60:0"},
    {"for=192.0.2.60;\tproto=https", "192.0.2.60:0"},
    {"", ""},
    {";", ""},
    {"proto=https", ""},
    {"for=unknown", ""},
    {"for=\"unknown\"", ""},
    {"for=_hidden", ""},
    {"for=\"_hidden:80\"", ""},
    {"for=\"unknown:80\"", ""},
    {"for=", ""},
    {"for=\"\"", ""},
    {"for", ""},
    {"=192.0.2.1", ""},
    {"for =192.0.2.1", ""},
    {"for= 192.0.2.1", ""},
    {"for=192.0.2.1:80", ""},
    {"for=2001:db8::1", ""},
    {"for=[2001:db8::1]", ""},
    {"for=\"2001:db8::1\"", ""},
    {"for=\"[192.0.2.1]\"", ""},
    {"for=\"192.0.2.1", ""},
    {"for=192.0.2.1\"", ""},
    {"for=\"192.0.2.1\\", ""},
    {"for=\"192.0.2.1\\\"", ""},
    {"for=\"192.0.2.1\"x", ""},
    {"for=\"192.0.2.1\"\"\"", ""},
    {"for=192.0.2.1;for=192.0.2.2", ""},
    {"for=192.0.2.1;FOR=192.0.2.1", ""},
    {"for=unknown;for=192.0.2.1", ""},
    {"for=192.0.2.1;proto", ""},
    {"for=192.0.2.1;proto=", ""},
    {"for=192.0.2.1;=", ""},
    {"for=192.0.2.1;a b=c", ""},
    {"for=192.0.2.1 proto=https", ""},
    {"for=\"192.0.2.1:\"", ""},
    {"for=\"192.0.2.1:_\"", ""},
    {"for=\"192.0.2.1:_a b\"", ""},
    {"for=\"192.0.2.1:65536\"", ""},
    {"for=\" 192.0.2.1\"", ""},
    {"x;for=192.0.2.1", ""},
    {"192.0.2.1", ""},
    {"for=\"1111:2222:3333:4444:5555:6666:7777:8888:1111:2222:3333:4444:5555:6666:7777:8888:1111:"
     "2222:3333:4444:5555:6666:7777:8888:1111:2222:3333:4444:5555:6666:7777:8888\"",
     ""},
};

struct Walk {
  std::string_view header;  ///< that the proxies set
  std::vector<HttpHeader> lines;
  std::string_view client;
  std::string_view peer = "10.0.0.1";
};

constexpr std::string_view kList = "X-Forwarded-For";
constexpr std::string_view kStandardHeader = "Forwarded";

// 10.0.0.0/8, fd00::/8 and 192.0.2.99 are trusted.
const std::vector<Walk>& walks() {
  static const std::vector<Walk> list{
      // Nobody says anything.
      {kList, {}, "10.0.0.1:0"},
      {kList, {{"X-Forwarded-For", ""}}, "10.0.0.1:0"},
      {kList, {{"X-Forwarded-For", " , ,, "}}, "10.0.0.1:0"},
      // Who is not trusted is not believed.
      {kList, {{"X-Forwarded-For", "1.1.1.1"}}, "8.8.8.8:0", "8.8.8.8"},
      {kList, {{"X-Forwarded-For", "1.1.1.1"}}, "[::1]:0", "::1"},
      {kStandardHeader, {{"Forwarded", "for=1.1.1.1"}}, "8.8.8.8:0", "8.8.8.8"},
      // One proxy.
      {kList, {{"X-Forwarded-For", "1.1.1.1"}}, "1.1.1.1:0"},
      {kList, {{"x-forwarded-for", "1.1.1.1:99"}}, "1.1.1.1:99"},
      {kList, {{"X-FORWARDED-FOR", "2001:db8::1"}}, "[2001:db8::1]:0", "fd00::5"},
      {kStandardHeader, {{"Forwarded", "for=1.1.1.1;proto=https"}}, "1.1.1.1:0"},
      {kStandardHeader, {{"forwarded", "for=\"[2001:db8::1]:5\""}}, "[2001:db8::1]:5"},
      // What the client has put in front of it is its own word.
      {kList, {{"X-Forwarded-For", "6.6.6.6, 1.1.1.1"}}, "1.1.1.1:0"},
      {kList, {{"X-Forwarded-For", "10.0.0.7, 1.1.1.1"}}, "1.1.1.1:0"},
      {kList, {{"X-Forwarded-For", "garbage \", 1.1.1.1"}}, "1.1.1.1:0"},
      {kList, {{"X-Forwarded-For", "6.6.6.6"}, {"X-Forwarded-For", "1.1.1.1"}}, "1.1.1.1:0"},
      {kStandardHeader, {{"Forwarded", "for=6.6.6.6, for=1.1.1.1"}}, "1.1.1.1:0"},
      {kStandardHeader, {{"Forwarded", "for=\", for=1.1.1.1"}}, "1.1.1.1:0"},
      {kStandardHeader, {{"Forwarded", "for=\"\\, for=1.1.1.1"}}, "1.1.1.1:0"},
      {kStandardHeader, {{"Forwarded", "for=\"a, for=\"1.1.1.1:5\""}}, "1.1.1.1:5"},
      {kStandardHeader, {{"Forwarded", "\\\"\\\", for=\"1.1.1.1\";host=\"a,b\""}}, "1.1.1.1:0"},
      // Through several.
      {kList, {{"X-Forwarded-For", "1.1.1.1, 10.0.0.2, 10.9.9.9"}}, "1.1.1.1:0"},
      {kList,
       {{"X-Forwarded-For", "1.1.1.1,10.0.0.2"}, {"X-Forwarded-For", "fd00::1"}},
       "1.1.1.1:0"},
      {kList, {{"X-Forwarded-For", "6.6.6.6, 1.1.1.1,, 192.0.2.99 ,"}}, "1.1.1.1:0"},
      {kList,
       {{"X-Forwarded-For", "1.1.1.1"}, {"Host", "x"}, {"x-forwarded-for", "[fd00::9]:80"}},
       "1.1.1.1:0"},
      {kStandardHeader, {{"Forwarded", "for=1.1.1.1, for=10.0.0.2;by=10.0.0.3"}}, "1.1.1.1:0"},
      {kStandardHeader,
       {{"Forwarded", "for=1.1.1.1"}, {"Forwarded", "for=\"10.0.0.2:1\";host=\"a,\\\"b\""}},
       "1.1.1.1:0"},
      // Through trusted ones only: the first of them.
      {kList, {{"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}}, "10.0.0.3:0"},
      {kStandardHeader, {{"Forwarded", "for=10.0.0.3"}}, "10.0.0.3:0"},
      // What is malformed, hidden or unknown ends it at the last one that is known.
      {kList, {{"X-Forwarded-For", "1.1.1.1, unknown"}}, "10.0.0.1:0"},
      {kList, {{"X-Forwarded-For", "1.1.1.1, 10.0.0.2, unknown"}}, "10.0.0.1:0"},
      {kList, {{"X-Forwarded-For", "1.1.1.1, unknown, 10.0.0.2"}}, "10.0.0.2:0"},
      {kList, {{"X-Forwarded-For", "1.1.1.1, 10.0.0.2 x"}}, "10.0.0.1:0"},
      {kList, {{"X-Forwarded-For", "1.1.1.1"}, {"X-Forwarded-For", "?"}}, "10.0.0.1:0"},
      {kStandardHeader, {{"Forwarded", "for=1.1.1.1, for=_secret"}}, "10.0.0.1:0"},
      {kStandardHeader, {{"Forwarded", "for=1.1.1.1, proto=https"}}, "10.0.0.1:0"},
      {kStandardHeader, {{"Forwarded", "for=1.1.1.1, for=10.0.0.2, for=unknown"}}, "10.0.0.1:0"},
      {kStandardHeader, {{"Forwarded", "for=1.1.1.1, for=x, for=10.0.0.2"}}, "10.0.0.2:0"},
      {kStandardHeader, {{"Forwarded", "for=1.1.1.1, for=\"10.0.0.2"}}, "10.0.0.1:0"},
      // Only the header that the proxies set.
      {kList, {{"Forwarded", "for=6.6.6.6"}}, "10.0.0.1:0"},
      {kStandardHeader, {{"X-Forwarded-For", "6.6.6.6"}}, "10.0.0.1:0"},
      {kList, {{"Forwarded", "for=6.6.6.6"}, {"X-Forwarded-For", "1.1.1.1"}}, "1.1.1.1:0"},
      {kStandardHeader,
       {{"Forwarded", "for=1.1.1.1"}, {"X-Forwarded-For", "6.6.6.6"}},
       "1.1.1.1:0"},
      {"X-Real-IP", {{"X-Real-IP", "1.1.1.1"}, {"X-Forwarded-For", "6.6.6.6"}}, "1.1.1.1:0"},
      {"CF-Connecting-IP", {{"cf-connecting-ip", "2001:db8::2"}}, "[2001:db8::2]:0"},
      {"forwarded", {{"Forwarded", "for=1.1.1.1"}}, "1.1.1.1:0"},
  };
  return list;
}

Networks trusted_ones() {
  Networks trusted;
  for (const auto text : {"10.0.0.0/8", "fd00::/8", "192.0.2.99"}) {
    trusted.add(std::get<Network>(Network::parse(text)));
  }
  return trusted;
}

std::string shown(const std::optional<Address>& address) {
  return address ? address->to_string() : "";
}

}  // namespace

TEST_CASE("an element of X-Forwarded-For") {
  for (const Element& element : kListed) {
    CAPTURE(element.text);
    CHECK(shown(parse_listed_address(element.text)) == element.address);
  }
}

TEST_CASE("an element of Forwarded") {
  for (const Element& element : kStandard) {
    CAPTURE(element.text);
    CHECK(shown(parse_forwarded_element(element.text)) == element.address);
  }
}

TEST_CASE("from the right, past those who are trusted") {
  const Networks trusted = trusted_ones();
  for (const Walk& walk : walks()) {
    CAPTURE(walk.header);
    std::string lines;
    for (const auto& [name, value] : walk.lines) lines += name + ": " + value + '\n';
    CAPTURE(lines);
    HttpFields fields{walk.lines};
    const Address peer = Address::parse(walk.peer).value();
    CHECK(forwarded_for(fields, peer, trusted, {walk.header}).to_string() == walk.client);
    CHECK(forwarded_for(fields, peer, {}, {walk.header}) == peer);
  }
}

TEST_CASE("the socket's own port is kept where nobody else is named") {
  Address peer = Address::parse("10.0.0.1").value();
  peer.port = 4711;
  CHECK(forwarded_for({}, peer, trusted_ones(), {}).to_string() == "10.0.0.1:4711");
}

TEST_CASE("a peer on a unix socket is trusted by that word only") {
  const HttpFields fields{{{"X-Forwarded-For", "1.1.1.1"}}};
  CHECK(forwarded_for(fields, Address(), trusted_ones(), {}).to_string() == "unix");
  Networks local;
  local.add(std::get<Network>(Network::parse("unix")));
  CHECK(forwarded_for(fields, Address(), local, {}).to_string() == "1.1.1.1:0");
}

TEST_CASE("no more hops than are allowed") {
  HttpFields fields{{{"X-Forwarded-For", "1.1.1.1, 10.0.0.5, 10.0.0.4, 10.0.0.3"}}};
  const Address peer = Address::parse("10.0.0.2").value();
  const Networks trusted = trusted_ones();
  const auto client = [&](std::size_t max_hops) {
    return forwarded_for(fields, peer, trusted, {"X-Forwarded-For", max_hops}).to_string();
  };
  CHECK(client(1) == "10.0.0.3:0");
  CHECK(client(2) == "10.0.0.4:0");
  CHECK(client(3) == "10.0.0.5:0");
  CHECK(client(4) == "1.1.1.1:0");
  CHECK(client(0) == "1.1.1.1:0");
}
