#include "shards/resolver.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using webshocket::shards::Loop;
using webshocket::shards::Resolver;
using webshocket::shards::SocketAddress;

TEST_CASE("numeric addresses") {
  const auto shown = [](const char* host) {
    const auto address = SocketAddress::parse(host, 80);
    return address ? address->to_string() : std::string("none");
  };
  CHECK(shown("127.0.0.1") == "127.0.0.1:80");
  CHECK(shown("::1") == "[::1]:80");
  CHECK(shown("localhost") == "none");
  CHECK(shown("") == "none");
  CHECK(shown("[::1]") == "none");
  CHECK(shown("300.0.0.1") == "none");
}

TEST_CASE("unix paths") {
  CHECK(SocketAddress::unix_path("/run/x.sock")->family() == AF_UNIX);
  CHECK_FALSE(SocketAddress::unix_path("").has_value());
  CHECK(SocketAddress::unix_path(std::string(107, 'p')).has_value());
  CHECK_FALSE(SocketAddress::unix_path(std::string(108, 'p')).has_value());
}

TEST_CASE("a name that is there, one that is not, and one that nobody wants to know any more") {
  Loop loop;
  Resolver known;
  Resolver unknown;
  Resolver cancelled;
  std::vector<SocketAddress> addresses;
  std::string complaint;
  known.ask(loop, "localhost", 81, [&](std::vector<SocketAddress> found, std::string_view why) {
    addresses = std::move(found);
    CHECK(why.empty());
  });
  unknown.ask(loop, "nobody.invalid", 81,
              [&](const std::vector<SocketAddress>& found, std::string_view why) {
                CHECK(found.empty());
                complaint = why;
              });
  cancelled.ask(loop, "localhost", 81,
                [](const std::vector<SocketAddress>&, std::string_view) { FAIL("cancelled"); });
  cancelled.cancel();
  cancelled.cancel();
  {
    Resolver destroyed;
    destroyed.ask(loop, "localhost", 81,
                  [](const std::vector<SocketAddress>&, std::string_view) { FAIL("destroyed"); });
  }
  CHECK(addresses.empty());  // never from inside
  loop.finish();
  REQUIRE_FALSE(addresses.empty());
  CHECK(addresses.front().to_string().ends_with(":81"));
  CHECK_FALSE(complaint.empty());
}
