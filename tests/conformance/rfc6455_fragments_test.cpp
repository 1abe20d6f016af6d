// RFC 6455, section 5.4: messages in several frames.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/script.hpp"

namespace webshocket::test::script {
namespace {

Row echo_of(std::string name, std::vector<Piece> sent, Piece message) {
  return {.name = std::move(name), .sent = std::move(sent), .answers = {std::move(message)}};
}

Row refusal_of(std::string name, std::vector<Piece> sent) {
  return {.name = std::move(name), .sent = std::move(sent), .ending = refused(1002)};
}

}  // namespace

TEST_CASE("a message is the sum of its frames, empty ones too") {
  std::vector<Row> rows = {
      echo_of("two frames", {text("a", kMore), next("b")}, text("ab")),
      echo_of("an empty frame first", {text("", kMore), next("b")}, text("b")),
      echo_of("an empty frame last", {binary("a", kMore), next("")}, binary("a")),
      echo_of("an empty frame in the middle", {text("a", kMore), next("", kMore), next("b")},
              text("ab")),
      echo_of("two empty frames", {text("", kMore), next("")}, text("")),
      echo_of("three empty frames", {binary("", kMore), next("", kMore), next("")}, binary("")),
      echo_of("empty frames around a byte",
              {binary("", kMore), next("", kMore), next("x", kMore), next("", kMore), next("")},
              binary("x")),
      {.name = "one message after the other",
       .sent = {text("a", kMore), next("b"), binary("c"), binary("d", kMore), next("e")},
       .answers = {text("ab"), binary("c"), binary("de")}},
      {.name = "the opcode is the first frame's",
       .sent = {binary("\xff", kMore), next("\xff"), text("a", kMore), next("b")},
       .answers = {binary("\xff\xff"), text("ab")}},
  };
  const std::string long_text(3'000, 't');
  for (const std::size_t size : {1U, 2U, 3U, 125U, 126U, 127U, 1'000U, 2'999U, 3'000U}) {
    for (const std::size_t segment : {0U, 1U, 997U}) {
      Row row = echo_of("3,000 bytes in frames of " + std::to_string(size) + ", segments of " +
                            std::to_string(segment),
                        in_frames(text(long_text), size), text(long_text));
      row.segment = segment;
      rows.push_back(row);
    }
  }
  std::vector<Piece> empty_frames = {text("", kMore)};
  for (int i = 0; i < 1'000; ++i) empty_frames.push_back(next("", kMore));
  empty_frames.push_back(next("end"));
  rows.push_back(echo_of("1,000 empty frames", empty_frames, text("end")));
  play_against_both(rows);
}

TEST_CASE("control frames between frames touch nothing") {
  std::vector<Row> rows;
  for (const std::size_t frames : {2U, 3U, 10U, 1'000U}) {
    Row row{.name = std::to_string(frames) + " frames, control frames between them"};
    std::string all;
    for (std::size_t i = 0; i < frames; ++i) {
      const std::string number = std::to_string(i);
      row.sent.push_back(of_opcode(i == 0 ? kText : kContinuation, number, i + 1 == frames));
      all += number;
      if (i + 1 == frames) break;
      row.sent.push_back(i % 3 == 2 ? pong(number) : ping(number));
      if (i % 3 != 2) row.answers.push_back(pong(number));
    }
    row.answers.push_back(text(all));
    rows.push_back(row);
    row.name += ", byte by byte";
    row.segment = 1;
    if (frames <= 10) rows.push_back(row);
  }
  play_against_both(rows);
}

TEST_CASE("frames that continue nothing, and messages inside a message, are refused") {
  std::vector<Row> rows;
  for (const bool fin : {true, false}) {
    for (const std::string payload : {"", "x"}) {
      std::string how = fin ? ", the last" : ", more to come";
      how += payload.empty() ? ", empty" : ", not empty";
      rows.push_back(refusal_of("a continuation first" + how, {next(payload, fin)}));
      rows.push_back(refusal_of("a continuation first, a message behind it" + how,
                                {next(payload, fin), text("late"), next("x")}));
      rows.push_back({.name = "a continuation after a message" + how,
                      .sent = {text("whole"), next(payload, fin)},
                      .answers = {text("whole")},
                      .ending = refused(1002)});
      rows.push_back({.name = "a continuation after the last one" + how,
                      .sent = {text("a", kMore), next("b"), next(payload, fin)},
                      .answers = {text("ab")},
                      .ending = refused(1002)});
      rows.push_back({.name = "a continuation after a PING" + how,
                      .sent = {ping("p"), next(payload, fin)},
                      .answers = {pong("p")},
                      .ending = refused(1002)});
      for (const unsigned outer : {kText, kBinary}) {
        for (const unsigned inner : {kText, kBinary}) {
          const std::string kinds =
              std::to_string(inner) + " inside " + std::to_string(outer) + how;
          rows.push_back(
              refusal_of(kinds, {of_opcode(outer, "a", kMore), of_opcode(inner, payload, fin)}));
          rows.push_back(refusal_of("after a continuation, " + kinds,
                                    {of_opcode(outer, "a", kMore), next("b", kMore),
                                     of_opcode(inner, payload, fin), next("c")}));
          rows.push_back(refusal_of("after an empty frame, " + kinds,
                                    {of_opcode(outer, "", kMore), of_opcode(inner, payload, fin)}));
        }
      }
    }
  }
  rows.push_back({.name = "a message inside a message, after a PING",
                  .sent = {text("a", kMore), ping("p"), text("b")},
                  .answers = {pong("p")},
                  .ending = refused(1002)});
  play_against_both(rows);
}

}  // namespace webshocket::test::script
