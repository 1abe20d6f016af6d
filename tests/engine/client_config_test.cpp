#include "engine/client_config.hpp"

#include <doctest/doctest.h>

#include <string>

#include <webshocket/error.hpp>

using webshocket::ClientConfig;
using webshocket::Format;
using webshocket::engine::checked_uri;
using webshocket::engine::form_of;
using webshocket::engine::request_of;
using webshocket::engine::without_userinfo;
using webshocket::shards::Form;

TEST_CASE("the defaults are valid") { CHECK_NOTHROW(webshocket::engine::check(ClientConfig())); }

TEST_CASE("a URI is shown without its user") {
  CHECK(without_userinfo("ws://host:1/a?b") == "ws://host:1/a?b");
  CHECK(without_userinfo("ws://ann:secret@host/a") == "ws://host/a");
  CHECK(without_userinfo("ws://ann@host") == "ws://host");
  CHECK(without_userinfo("ws://host/a@b") == "ws://host/a@b");
  CHECK(without_userinfo("ws://ann:s@host/a@b?c@d") == "ws://host/a@b?c@d");
  CHECK(without_userinfo("ws://host?a@b") == "ws://host?a@b");
}

TEST_CASE("what a client offers, by its format") {
  const auto offers = [](const ClientConfig& config) {
    std::string list;
    for (const auto& name : request_of(config, checked_uri("ws://h/p")).subprotocols) {
      list += name + ";";
    }
    return list;
  };
  CHECK(offers({}) == "webshocket.v1;");
  CHECK(offers({.format = Format::json}) == "webshocket.v1.json;");
  CHECK(offers({.format = Format::json, .json_in_binary = true}).empty());
  CHECK(offers({.format = Format::raw, .subprotocols = {"a", "b"}}) == "a;b;");
  CHECK(form_of({.format = Format::json, .json_in_binary = true}) == Form::json_binary);
  CHECK(form_of({.format = Format::raw}) == Form::raw);
}

TEST_CASE("the request: host, target, the URI's user, then the configured headers") {
  const auto request = request_of({.headers = {{"X-A", "1"}}}, checked_uri("ws://a:b@h:81/p?q"));
  CHECK(request.host == "h:81");
  CHECK(request.target == "/p?q");
  REQUIRE(request.headers.size() == 2);
  CHECK(request.headers[0].name == "Authorization");
  CHECK(request.headers[0].value == "Basic YTpi");
  CHECK(request.headers[1].name == "X-A");
}

TEST_CASE("a URI that is none") {
  CHECK_THROWS_AS((void)checked_uri("http://h"), webshocket::InvalidUriError);
}

TEST_CASE("the local address") {
  CHECK_FALSE(webshocket::engine::local_of({}).has_value());
  CHECK(webshocket::engine::local_of({.local_address = "127.0.0.2"})->to_string() == "127.0.0.2:0");
}
