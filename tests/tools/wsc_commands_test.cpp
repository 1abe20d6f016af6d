#include "tools/wsc/commands.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <webshocket/packet.hpp>

namespace ws = webshocket;
using namespace std::chrono_literals;
using wsc::command_of;
using wsc::SyntaxError;

namespace {

template <class Kind>
Kind as(std::string_view line) {
  auto command = command_of(line);
  REQUIRE(command.has_value());
  REQUIRE(std::holds_alternative<Kind>(*command));
  return std::get<Kind>(std::move(*command));
}

/// The positional arguments, then the keywords.
std::string told(const wsc::Arguments& arguments) {
  return ws::to_json(arguments.positional) + ws::to_json(arguments.keywords);
}

std::string arguments(std::string_view words) {
  return told(as<wsc::Call>("call f " + std::string(words)).arguments);
}

}  // namespace

TEST_CASE("commands: arguments by place and by name") {
  CHECK(arguments("") == "[]{}");
  CHECK(arguments("1 -2 3.5 true null x") == R"([1,-2,3.5,true,null,"x"]{})");
  CHECK(arguments(R"([1, 2] {"a": 1} "5" '5' '"5"' 'x y')") ==
        R"([[1,2],{"a":1},"5",5,"5","x y"]{})");
  CHECK(arguments("a=1 b=x c= 7") == R"([7]{"a":1,"b":"x","c":""})");
  CHECK(arguments(R"(a="5" b={"c": [2]} _d1=null)") == R"([]{"_d1":null,"a":"5","b":{"c":[2]}})");
  // No identifier, no keyword.
  CHECK(arguments(R"(1a=2 =3 a-b=4 "c=5" x==6)") == R"(["1a=2","=3","a-b=4","c=5"]{"x":"=6"})");
  CHECK(arguments("nul 0x1 1e 01") == R"(["nul","0x1","1e","01"]{})");
  CHECK_THROWS_WITH(arguments("a=1 a=2"), "a= is there twice");
}

TEST_CASE("commands: bytes in hexadecimal digits") {
  const auto call = as<wsc::Call>("call f hex:00fF hex: \"hex:00\" b=hex:61");
  REQUIRE(call.arguments.positional.size() == 3);
  CHECK(to_string(call.arguments.positional[0].root()) == "bin(2)");
  CHECK(call.arguments.positional[0]->bytes()[1] == std::byte{0xFF});
  CHECK(call.arguments.positional[1]->type() == ws::Value::Type::binary);
  CHECK(call.arguments.positional[2]->string() == "hex:00");
  CHECK(call.arguments.keywords.at("b")->bytes()[0] == std::byte{'a'});
  CHECK_THROWS_AS(arguments("hex:0"), SyntaxError);
  CHECK_THROWS_WITH(arguments("hex:0g"), "'g' is no hexadecimal digit; in \"…\" it is text");
}

TEST_CASE("commands: each kind") {
  CHECK(as<wsc::Call>("call add 1 2").method == "add");
  const auto all = as<wsc::CallStream>("stream count 5");
  CHECK(all.method == "count");
  CHECK_FALSE(all.count.has_value());
  const auto some = as<wsc::CallStream>("stream -n 3 count 5 x=1");
  CHECK(some.count == 3);
  CHECK(some.method == "count");
  CHECK(told(some.arguments) == R"([5]{"x":1})");
  CHECK(as<wsc::Subscribe>("sub a 'b c' 5").channels == std::vector<std::string>{"a", "b c", "5"});
  CHECK(as<wsc::Unsubscribe>("unsub a").channels == std::vector<std::string>{"a"});
  const auto publish = as<wsc::Publish>("pub news {\"a\": 1}");
  CHECK(publish.channel == "news");
  CHECK(ws::to_json(publish.data) == R"({"a":1})");
  CHECK(as<wsc::Wait>("wait 3").packets == 3);
  CHECK_FALSE(as<wsc::Wait>("wait").packets.has_value());
  CHECK(as<wsc::Sleep>("sleep 0.25").time == 250ms);
  as<wsc::ShowState>("state");
  as<wsc::ShowHelp>("help");
  as<wsc::Quit>("quit");
}

TEST_CASE("commands: data is one value, or text of several words") {
  CHECK(ws::to_json(as<wsc::Send>("send 5").data) == "5");
  CHECK(ws::to_json(as<wsc::Send>("send hello  big 1 world").data) == R"("hello big 1 world")");
  CHECK(ws::to_json(as<wsc::Send>("send 'hello  world'").data) == R"("hello  world")");
  CHECK(ws::to_json(as<wsc::Publish>("pub news 1 2").data) == R"("1 2")");
}

TEST_CASE("commands: a line of JSON is sent") {
  CHECK(ws::to_json(as<wsc::Send>(R"( {"a": [1]} )").data) == R"({"a":[1]})");
  CHECK(ws::to_json(as<wsc::Send>("[1, 2]").data) == "[1,2]");
  CHECK(ws::to_json(as<wsc::Send>("\"hi\"").data) == "\"hi\"");
  CHECK(ws::to_json(as<wsc::Send>("42").data) == "42");
  CHECK_THROWS_AS(command_of("42 43"), SyntaxError);
  CHECK_THROWS_AS(command_of("{\"a\": 1"), SyntaxError);
}

TEST_CASE("commands: nothing to do") {
  CHECK_FALSE(command_of("").has_value());
  CHECK_FALSE(command_of("  \t").has_value());
  CHECK_FALSE(command_of(" # call add 1 2").has_value());
}

TEST_CASE("commands: what is wrong is said") {
  CHECK_THROWS_WITH(command_of("fly"), "there is no command fly; try help");
  CHECK_THROWS_WITH(command_of("call"), "usage: call METHOD ARGUMENT...");
  CHECK_THROWS_WITH(command_of("pub news"), "usage: pub CHANNEL DATA");
  CHECK_THROWS_WITH(command_of("quit now"), "usage: quit");
  CHECK_THROWS_WITH(command_of("wait x"), "x is no whole number");
  CHECK_THROWS_AS(command_of("wait -1"), SyntaxError);
  CHECK_THROWS_AS(command_of("wait 1 2"), SyntaxError);
  CHECK_THROWS_AS(command_of("stream -n 3"), SyntaxError);
  CHECK_THROWS_AS(command_of("stream -n x count"), SyntaxError);
  for (const auto line : {"sleep x", "sleep -1", "sleep nan", "sleep inf", "sleep 1e9"}) {
    CAPTURE(line);
    CHECK_THROWS_AS(command_of(line), SyntaxError);
  }
  CHECK_THROWS_WITH(command_of("sub news --count 2"),
                    "--count is no channel; options stand before the URI");
}

TEST_CASE("commands: words of a shell have lost their quotes") {
  const std::vector<wsc::Word> words{wsc::Word::plain("call"),       wsc::Word::plain("f"),
                                     wsc::Word::plain("{\"a\": 1}"), wsc::Word::plain("it's"),
                                     wsc::Word::plain("\"5\""),      wsc::Word::plain("k=x y")};
  const auto command = command_of(words);
  CHECK(told(std::get<wsc::Call>(command).arguments) == R"([{"a":1},"it's","5"]{"k":"x y"})");
}

TEST_CASE("commands: help names each") {
  const std::string help = wsc::help_on_commands();
  for (const auto name : {"call", "stream", "sub", "unsub", "pub", "send", "wait", "sleep", "state",
                          "help", "quit"}) {
    CHECK(help.find("\n  " + std::string(name) + " ") != std::string::npos);
  }
}
