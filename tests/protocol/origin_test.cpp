#include "protocol/origin.hpp"

#include <doctest/doctest.h>

#include <string_view>
#include <utility>
#include <variant>
#include <vector>

using namespace webshocket::protocol;

namespace {

struct Pair {
  std::string_view origin;
  std::string_view host;
  bool same;
};

constexpr Pair kPairs[] = {
    {"http://example.com", "example.com", true},
    {"https://example.com", "example.com", true},
    {"HTTPS://Example.COM", "eXample.com", true},
    {"http://example.com", "example.com:80", true},
    {"https://example.com", "example.com:443", true},
    {"http://example.com:80", "example.com", true},
    {"https://example.com:443", "example.com:443", true},
    {"http://example.com:8080", "example.com:8080", true},
    {"http://example.com:", "example.com:", true},
    {"http://127.0.0.1:9300", "127.0.0.1:9300", true},
    {"http://[::1]:9300", "[::1]:9300", true},
    {"http://[::1]", "[0:0:0:0:0:0:0:1]", true},
    {"http://[2001:DB8::1]", "[2001:db8::1]:80", true},
    {"http://localhost", "localhost", true},
    {"http://my_host", "my_host", true},
    {"app://localhost", "localhost", true},
    {"app://localhost:5", "localhost:5", true},
    {"http://xn--bcher-kva.example", "xn--bcher-kva.example", true},
    {"https://example.com", "example.com:80", false},
    {"http://example.com", "example.com:443", false},
    {"http://example.com", "example.com:8080", false},
    {"http://example.com:8080", "example.com", false},
    {"http://example.com:8080", "example.com:8081", false},
    {"http://example.com", "www.example.com", false},
    {"http://www.example.com", "example.com", false},
    {"http://example.com.evil.org", "example.com", false},
    {"http://evil-example.com", "example.com", false},
    {"http://example.co", "example.com", false},
    {"http://example.com.", "example.com", false},
    {"http://localhost", "127.0.0.1", false},
    {"http://127.0.0.1", "127.0.0.2", false},
    {"http://[::1]", "127.0.0.1", false},
    {"app://localhost:5", "localhost", false},
    {"http://user@example.com", "example.com", false},
    {"http://example.com/", "example.com", false},
    {"http://example.com/path", "example.com", false},
    {"http://example.com http://evil.org", "example.com", false},
    {"http://evil.org http://example.com", "example.com", false},
    {"http://example.com:80:80", "example.com", false},
    {"http://example.com:0", "example.com:0", false},
    {"http://example.com:99999", "example.com:99999", false},
    {"http://example.com:a", "example.com:a", false},
    {"http://[::1", "[::1", false},
    {"http://[::1]9", "[::1]9", false},
    {"http://[example.com]", "[example.com]", false},
    {"http://[127.0.0.1]", "[127.0.0.1]", false},
    {"http://", "", false},
    {"http://:80", ":80", false},
    {"http:example.com", "example.com", false},
    {"//example.com", "example.com", false},
    {"://example.com", "example.com", false},
    {"1http://example.com", "example.com", false},
    {"example.com", "example.com", false},
    {"null", "null", false},
    {"null", "example.com", false},
    {"", "", false},
    {"", "example.com", false},
    {"http://example.com", "", false},
    {"file://", "", false},
    {"http://*", "*", false},
    {"http://b\xC3\xBC", "b\xC3\xBC", false},
};

struct Listed {
  std::string_view pattern;
  std::string_view origin;
  bool matches;
};

constexpr Listed kOrigins[] = {
    {"*", "http://anything", true},
    {"*", "null", true},
    {"*", "what is this", true},
    {"*", "", true},
    {"null", "null", true},
    {"null", "Null", false},
    {"null", "http://null", false},
    {"https://example.com", "https://example.com", true},
    {"https://example.com", "HTTPS://EXAMPLE.COM", true},
    {"HTTPS://Example.Com", "https://example.com", true},
    {"https://example.com", "https://example.com:443", true},
    {"https://example.com:443", "https://example.com", true},
    {"https://example.com", "http://example.com", false},
    {"https://example.com", "https://example.com:8443", false},
    {"https://example.com:8443", "https://example.com:8443", true},
    {"https://example.com:8443", "https://example.com", false},
    {"https://example.com", "https://www.example.com", false},
    {"https://example.com", "https://example.com.evil.org", false},
    {"https://example.com", "https://example.com/", false},
    {"https://example.com", "null", false},
    {"https://example.com", "", false},
    {"http://localhost:*", "http://localhost", true},
    {"http://localhost:*", "http://localhost:5173", true},
    {"http://localhost:*", "https://localhost:5173", false},
    {"http://localhost:*", "http://localhost.evil.org:5173", false},
    {"http://127.0.0.1:*", "http://127.0.0.1:1", true},
    {"http://[::1]:*", "http://[::1]:1", true},
    {"http://[::1]:*", "http://[0::1]", true},
    {"http://[::1]", "http://[::1]", true},
    {"http://[::1]", "http://[::1]:81", false},
    {"http://[::1]:81", "http://[::1]:81", true},
    {"https://*.example.com", "https://www.example.com", true},
    {"https://*.example.com", "https://a.b.c.example.com", true},
    {"https://*.example.com", "https://A.EXAMPLE.com", true},
    {"https://*.example.com", "https://example.com", false},
    {"https://*.example.com", "https://.example.com", false},
    {"https://*.example.com", "https://..example.com", false},
    {"https://*.example.com", "https://evilexample.com", false},
    {"https://*.example.com", "https://www.example.com.evil.org", false},
    {"https://*.example.com", "https://www.example.com:8443", false},
    {"https://*.example.com", "http://www.example.com", false},
    {"https://*.example.com:8443", "https://www.example.com:8443", true},
    {"https://*.example.com:*", "https://www.example.com:1", true},
    {"https://*.com", "https://example.com", true},
    {"https://*.1", "https://127.0.0.1", false},
    {"chrome-extension://abcdefgh", "chrome-extension://abcdefgh", true},
    {"chrome-extension://abcdefgh", "chrome-extension://abcdefgi", false},
    {"capacitor://localhost", "capacitor://localhost", true},
    {"capacitor://localhost", "capacitor://localhost:1", false},
};

constexpr std::string_view kNoOrigins[] = {
    "",
    "example.com",
    "//example.com",
    "https:example.com",
    "https://",
    "https://example.com/",
    "https://example.com:",
    "https://example.com:0",
    "https://example.com:65536",
    "https://example.com:08",
    "https://example.com:**",
    "https://*",
    "https://*.",
    "https://*example.com",
    "https://www.*.com",
    "https://*.*.com",
    "https://[*]",
    "*://example.com",
    "Null",
    "**",
    " https://example.com",
    "https://exa mple.com",
    "https://user@example.com",
    "https://[::1",
    "https://::1",
    "https://b\xC3\xBC",
};

constexpr Listed kHosts[] = {
    {"example.com", "example.com", true},
    {"example.com", "EXAMPLE.com", true},
    {"example.com", "example.com:8080", true},
    {"example.com", "example.com:", true},
    {"example.com", "www.example.com", false},
    {"example.com", "example.com.evil.org", false},
    {"example.com", "example.com.", false},
    {"example.com", "evil.org", false},
    {"example.com", "", false},
    {"example.com", "example.com:a", false},
    {"example.com", "example.com:80:80", false},
    {"example.com", "user@example.com", false},
    {"*.example.com", "a.example.com:1", true},
    {"*.example.com", "a.b.example.com", true},
    {"*.example.com", "example.com", false},
    {"*.example.com", ".example.com", false},
    {"127.0.0.1", "127.0.0.1", true},
    {"127.0.0.1", "127.0.0.1:9300", true},
    {"127.0.0.1", "127.0.0.2", false},
    {"127.0.0.1", "127.1", false},
    {"::1", "[::1]", true},
    {"::1", "[::1]:9300", true},
    {"[::1]", "[0:0::1]:9300", true},
    {"::1", "::1", false},
    {"::1", "[::2]", false},
    {"::1", "[::1", false},
    {"::ffff:127.0.0.1", "127.0.0.1", true},
    {"localhost", "localhost:3000", true},
    {"localhost", "127.0.0.1", false},
};

constexpr std::string_view kNoHosts[] = {
    "",
    "*",
    "*.",
    "a.*",
    "example.com:80",
    "https://example.com",
    "exa mple",
    "example.com/",
    ":",
    "[a]",
    "[::1",
    "::1]",
    "[127.0.0.1]",
    "[::1]:80",
    "*.*.com",
    "b\xC3\xBC",
};

}  // namespace

TEST_CASE("a page of the same host and port is its own") {
  for (const Pair& pair : kPairs) {
    CAPTURE(pair.origin);
    CAPTURE(pair.host);
    CHECK(is_same_origin(pair.origin, pair.host) == pair.same);
    CHECK(allows_origin({}, pair.origin, pair.host) == pair.same);
  }
}

TEST_CASE("a list of origins") {
  for (const Listed& listed : kOrigins) {
    CAPTURE(listed.pattern);
    CAPTURE(listed.origin);
    auto parsed = OriginPattern::parse(listed.pattern);
    REQUIRE(std::holds_alternative<OriginPattern>(parsed));
    const std::vector<OriginPattern> list{std::get<OriginPattern>(std::move(parsed))};
    CHECK(allows_origin(list, listed.origin, "elsewhere") == listed.matches);
  }
}

TEST_CASE("a list replaces the server's own pages, and any of it will do") {
  std::vector<OriginPattern> list;
  for (const auto text : {"https://a.example", "https://b.example:*"}) {
    list.push_back(std::get<OriginPattern>(OriginPattern::parse(text)));
  }
  CHECK(allows_origin(list, "https://a.example", "c.example"));
  CHECK(allows_origin(list, "https://b.example:1", "c.example"));
  CHECK_FALSE(allows_origin(list, "https://c.example", "c.example"));
}

TEST_CASE("what is no origin is said to be none") {
  for (const std::string_view text : kNoOrigins) {
    CAPTURE(text);
    const auto parsed = OriginPattern::parse(text);
    REQUIRE(std::holds_alternative<std::string_view>(parsed));
    CHECK_FALSE(std::get<std::string_view>(parsed).empty());
  }
}

TEST_CASE("a list of hosts") {
  for (const Listed& listed : kHosts) {
    CAPTURE(listed.pattern);
    CAPTURE(listed.origin);
    auto parsed = HostPattern::parse(listed.pattern);
    REQUIRE(std::holds_alternative<HostPattern>(parsed));
    CHECK(allows_host({std::get<HostPattern>(std::move(parsed))}, listed.origin) == listed.matches);
    CHECK(allows_host({}, listed.origin));
  }
}

TEST_CASE("what is no host is said to be none") {
  for (const std::string_view text : kNoHosts) {
    CAPTURE(text);
    CHECK(std::holds_alternative<std::string_view>(HostPattern::parse(text)));
  }
}
