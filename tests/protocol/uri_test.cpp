#include "protocol/uri.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "protocol/handshake.hpp"

using namespace webshocket::protocol;

namespace {

Uri parsed(std::string_view text) {
  CAPTURE(text);
  const auto result = parse_uri(text);
  REQUIRE(std::holds_alternative<Uri>(result));
  return std::get<Uri>(result);
}

std::string complaint(std::string_view text) {
  CAPTURE(text);
  const auto result = parse_uri(text);
  REQUIRE(std::holds_alternative<std::string>(result));
  return std::get<std::string>(result);
}

/// What the complaint says behind the URI.
std::string why(std::string_view text) {
  constexpr std::string_view kBetween = "\" is no WebSocket URI: ";
  const std::string whole = complaint(text);
  const std::size_t at = whole.find(kBetween);
  REQUIRE(at != std::string::npos);
  return whole.substr(at + kBetween.size());
}

}  // namespace

TEST_CASE("URIs: the parts") {
  const Uri uri = parsed("wss://me:secret@example.org:8443/chat/room?since=1&x=%20y");
  CHECK(uri.secure);
  CHECK(uri.host == "example.org");
  CHECK(uri.port == 8443);
  CHECK(uri.target == "/chat/room?since=1&x=%20y");
  CHECK(uri.userinfo == "me:secret");
  CHECK(uri.host_header() == "example.org:8443");

  const Uri least = parsed("ws://h");
  CHECK_FALSE(least.secure);
  CHECK(least.host == "h");
  CHECK(least.port == 80);
  CHECK(least.target == "/");
  CHECK(least.userinfo.empty());
  CHECK(least.host_header() == "h");
}

TEST_CASE("URIs: the scheme comes in any case, and is one of two") {
  CHECK_FALSE(parsed("WS://h").secure);
  CHECK(parsed("wSs://h").secure);
  for (const auto text : {"http://h", "https://h/", "h", "h:80", "//h", "ws", "ws:", "ws:h",
                          "ws:/h", "wsss://h", "", "*", "/", "://h", "wss:h?x=ws://y"}) {
    CHECK(why(text).find(" ws:// nor wss://") != std::string::npos);
  }
}

TEST_CASE("URIs: the port") {
  CHECK(parsed("wss://h").port == 443);
  CHECK(parsed("ws://h:1").port == 1);
  CHECK(parsed("ws://h:65535/").port == 65535);
  CHECK(parsed("ws://h:0080/").port == 80);
  for (const auto text : {"ws://h:0", "ws://h:00/", "ws://h:65536", "ws://h:99999999999999999999/",
                          "ws://h:8a/", "ws://h:80:90/", "ws://[::1]:0"}) {
    CHECK(why(text) == "its port is not from 1 to 65535");
  }
  for (const auto text : {"ws://h:", "ws://h:/", "ws://h:-1", "ws://h:+8/", "ws://h:a"}) {
    CHECK(why(text) == "its host or port is malformed");
  }
}

TEST_CASE("URIs: the Host header has the port unless it is the scheme's") {
  CHECK(parsed("ws://h:80").host_header() == "h");
  CHECK(parsed("wss://h:443").host_header() == "h");
  CHECK(parsed("ws://h:443").host_header() == "h:443");
  CHECK(parsed("wss://h:80").host_header() == "h:80");
  CHECK(parsed("wss://[::1]").host_header() == "[::1]");
  CHECK(parsed("ws://[2001:db8::7]:9000/").host_header() == "[2001:db8::7]:9000");
}

TEST_CASE("URIs: the host") {
  CHECK(parsed("ws://127.0.0.1:9/").host == "127.0.0.1");
  CHECK(parsed("ws://a-b_c.example.").host == "a-b_c.example.");
  CHECK(parsed("ws://[::1]:80/x").host == "::1");
  CHECK(parsed("ws://[::ffff:127.0.0.1]").host == "::ffff:127.0.0.1");
  for (const auto text : {"ws://", "ws:///", "wss:///x", "ws://?q"}) {
    CHECK(why(text) == "it names no host");
  }
  for (const auto text : {"ws://:80/", "ws://u:p@", "ws://u@/", "ws://[]/", "ws://[::1", "ws://[/",
                          "ws://[zz]/", "ws://::1/", "ws://[::1]x/", "ws://h%41/", "ws://h\\x",
                          "ws://h;a/", "ws://a,b", "ws://a@b@c", "ws://[::1]@h/"}) {
    CHECK(why(text) == "its host or port is malformed");
  }
  for (const auto text :
       {"ws://[1.2.3.4]/", "ws://[abc]:80", "ws://[fe10%25h0]/", "ws://[::1%25]/"}) {
    CHECK(why(text) == "what stands in brackets is no IPv6 address");
  }
}

TEST_CASE("URIs: an IPv6 address keeps its zone to itself") {
  for (const auto text : {"ws://[fe80::1%25eth0]:81/", "ws://[fe80::1%eth0]:81/"}) {
    CHECK(parsed(text).host == "fe80::1%eth0");
    CHECK(parsed(text).host_header() == "[fe80::1]:81");
  }
}

TEST_CASE("URIs: the target") {
  CHECK(parsed("ws://h?q=1").target == "/?q=1");
  CHECK(parsed("ws://h?").target == "/?");
  CHECK(parsed("ws://h/?").target == "/?");
  CHECK(parsed("ws://h/a?b?c/d").target == "/a?b?c/d");
  CHECK(parsed("ws://h?a/b").target == "/?a/b");
  CHECK(parsed("ws://h//x/../y").target == "//x/../y");
  CHECK(parsed("ws://h/a@b:c").target == "/a@b:c");
  CHECK(parsed("ws://h/%C3%A9%23").target == "/%C3%A9%23");
  CHECK(parsed("ws://h/ws://other:1/").target == "/ws://other:1/");
  for (const auto text : {"ws://h#f", "ws://h/#f", "ws://h/a?b#", "ws://h/#"}) {
    CHECK(why(text) == "it has a fragment (a # that is none is %23)");
  }
}

TEST_CASE("URIs: the user's name and password") {
  const auto userinfo = [](std::string_view text) {
    return parsed("ws://" + std::string(text) + "@h/").userinfo;
  };
  CHECK(userinfo("").empty());
  CHECK(userinfo("u") == "u:");
  CHECK(userinfo("u:") == "u:");
  CHECK(userinfo(":p") == ":p");
  CHECK(userinfo("u:a:b") == "u:a:b");
  CHECK(userinfo("u%40x:p%2Fq%3a%25") == "u@x:p/q:%");
  CHECK(userinfo("%C3%A9:1") == "é:1");
  for (const auto text : {"ws://u:p%@h", "ws://u:%4@h", "ws://u:%4g@h", "ws://%g4@h",
                          "ws://u:%+4@h", "ws://u:%-1@h"}) {
    CHECK(why(text) == "its user info holds a % that is no percent-encoding");
  }
  CHECK(why("ws://a%3Ab:p@h") == "its user name holds a colon");
  for (const auto text : {"ws://u:p%0A@h", "ws://u%00:p@h", "ws://u:%7F@h"}) {
    CHECK(why(text) == "its user info holds a control character");
  }
}

TEST_CASE("URIs: what must be percent-encoded") {
  using namespace std::string_view_literals;
  for (const auto text : {"ws://h/a b"sv, " ws://h"sv, "ws://h/\r\nX: y"sv, "ws://h/\0"sv,
                          "ws://h/\x7F"sv, "ws://h/é"sv, "ws://b\xFC"sv, "ws://bücher.example"sv}) {
    CHECK(why(text).find("must be percent-encoded") != std::string::npos);
  }
}

TEST_CASE("URIs: the length is bounded") {
  const std::string longest = "ws://h/" + std::string(kMaxUri - 7, 'x');
  CHECK(parsed(longest).target.size() == kMaxUri - 6);
  CHECK(why(longest + 'x') == "it is longer than 8192 bytes");
  CHECK(why(std::string(100'000, 'x')) == "it is longer than 8192 bytes");
}

TEST_CASE("URIs: a complaint shows the URI, fit for a log") {
  CHECK(complaint("http://h/x") ==
        "\"http://h/x\" is no WebSocket URI: it begins with neither ws:// nor wss://");
  CHECK(complaint("ws://h/é\n\x01\xFF").starts_with("\"ws://h/é  \uFFFD\" is"));
  CHECK(complaint(std::string(100'000, 'x')).starts_with('"' + std::string(200, 'x') + "...\" is"));
}

TEST_CASE("URIs: a complaint shows nobody's password") {
  CHECK(complaint("ws://me:secret@h:0/").starts_with("\"ws://***@h:0/\" is"));
  CHECK(complaint("ws://me:secret%@h/").starts_with("\"ws://***@h/\" is"));
  for (const std::string text : {"me:secret@h", "http://me:secret@h", "ws://me:se/secret@h#f",
                                 "ws://me:a@secret@h", "ws://me: secret@h", "ws:/me:secret@h//",
                                 "ws:me//secret@", "me:se//secret@h", "me:se://secret@h"}) {
    CHECK(complaint(text).find("secret") == std::string::npos);
  }
  CHECK(complaint("ws://me:" + std::string(300, '1') + "secret@h#").starts_with("\"ws://***@h#\""));
}

TEST_CASE("URIs: what they say can stand in a request") {
  for (const auto text : {"ws://h", "wss://u:p@[fe80::1%25a]:5/?\"<>[]{}|\\^`", "ws://h:65535?x"}) {
    const Uri uri = parsed(text);
    const std::array<std::byte, 16> random{};
    Buffer out;
    CHECK(write_upgrade_request(out, {uri.host_header(), uri.target, encode_key(random)}));
  }
}
