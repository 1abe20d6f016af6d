// RFC 6455, section 5.5: PING and PONG.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/script.hpp"

namespace webshocket::test::script {
namespace {

std::string body_of_size(std::size_t size) {
  std::string body(size, '\0');
  // Control frames carry any bytes: these are no UTF-8.
  for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>(0xFF - i % 256);
  return body;
}

}  // namespace

TEST_CASE("a PING of every size is answered with its body, a PONG of every size with nothing") {
  std::vector<Row> rows;
  for (std::size_t size = 0; size <= 125; ++size) {
    const std::string of_size = " of " + std::to_string(size);
    rows.push_back({.name = "PING" + of_size,
                    .sent = {ping(body_of_size(size))},
                    .answers = {pong(body_of_size(size))}});
    rows.push_back({.name = "PONG" + of_size, .sent = {pong(body_of_size(size))}});
  }
  for (const std::size_t size : {0U, 1U, 124U, 125U}) {
    rows.push_back({.name = "PING of " + std::to_string(size) + ", byte by byte",
                    .sent = {ping(body_of_size(size))},
                    .answers = {pong(body_of_size(size))},
                    .segment = 1});
  }
  play_against_both(rows);
}

TEST_CASE("control frames of more than 125 bytes are refused by their header") {
  std::vector<Row> rows;
  for (const unsigned opcode : {kClose, kPing, kPong}) {
    for (const std::uint64_t size : {126U, 127U, 65'535U, 65'536U, 10'000'000U}) {
      rows.push_back({.name = "opcode " + std::to_string(opcode) + " of " + std::to_string(size),
                      .sent = {announcing(size, of_opcode(opcode))},
                      .ending = refused(1002)});
    }
    rows.push_back({.name = "opcode " + std::to_string(opcode) + " of 126, all of it",
                    .sent = {of_opcode(opcode, std::string(126, 'x'))},
                    .ending = refused(1002)});
    rows.push_back({.name = "opcode " + std::to_string(opcode) + " of 126, byte by byte",
                    .sent = {announcing(126, of_opcode(opcode))},
                    .ending = refused(1002),
                    .segment = 1});
  }
  play_against_both(rows);
}

TEST_CASE("control frames are not fragmented") {
  std::vector<Row> rows;
  for (const unsigned opcode : {kClose, kPing, kPong}) {
    const std::string name = "opcode " + std::to_string(opcode);
    for (const std::string body : {"", "ab"}) {
      rows.push_back({.name = name + " with more to come, " + std::to_string(body.size()),
                      .sent = {of_opcode(opcode, body, kMore)},
                      .ending = refused(1002)});
      rows.push_back({.name = name + " with its continuation, " + std::to_string(body.size()),
                      .sent = {of_opcode(opcode, body, kMore), next(body)},
                      .ending = refused(1002)});
      rows.push_back(
          {.name = name + " with more to come, inside a message, " + std::to_string(body.size()),
           .sent = {text("a", kMore), of_opcode(opcode, body, kMore)},
           .ending = refused(1002)});
    }
  }
  play_against_both(rows);
}

TEST_CASE("answers come in the order of what they answer") {
  std::vector<Piece> many_pings;
  std::vector<Piece> many_pongs;
  std::vector<Piece> in_turn;
  std::vector<Piece> answers_in_turn;
  for (int i = 0; i < 100; ++i) {
    many_pings.push_back(ping(std::to_string(i)));
    many_pongs.push_back(pong(std::to_string(i)));
    in_turn.push_back(ping(std::to_string(i)));
    in_turn.push_back(text("text " + std::to_string(i)));
    in_turn.push_back(pong("nobody asked"));
    answers_in_turn.push_back(pong(std::to_string(i)));
    answers_in_turn.push_back(text("text " + std::to_string(i)));
  }
  std::vector<Row> rows = {
      {.name = "two PINGs with one body",
       .sent = {ping("p"), ping("p")},
       .answers = {pong("p"), pong("p")}},
      {.name = "a PONG, then a PING", .sent = {pong("a"), ping("b")}, .answers = {pong("b")}},
      {.name = "PONGs around a PING",
       .sent = {pong("a"), ping("b"), pong("c"), pong("")},
       .answers = {pong("b")}},
      {.name = "a message, a PING, a message",
       .sent = {text("a"), ping("b"), binary("c")},
       .answers = {text("a"), pong("b"), binary("c")}},
      {.name = "a PING between two frames of a message",
       .sent = {text("a", kMore), ping("b"), next("c")},
       .answers = {pong("b"), text("ac")}},
      {.name = "a PING between all frames of a message",
       .sent = {text("a", kMore), ping("1"), next("b", kMore), ping("2"), next("c", kMore),
                ping("3"), next("d")},
       .answers = {pong("1"), pong("2"), pong("3"), text("abcd")}},
      {.name = "two PINGs between two frames",
       .sent = {binary("a", kMore), ping("1"), ping("2"), next("b")},
       .answers = {pong("1"), pong("2"), binary("ab")}},
      {.name = "a PONG between two frames",
       .sent = {text("a", kMore), pong("x"), next("b")},
       .answers = {text("ab")}},
      {.name = "a PING after the first frame is answered before the last one comes",
       .sent = {text("a", kMore), ping("now")},
       .answers = {pong("now")},
       .ending = stays_open()},
      {.name = "a PING of 125 in the middle of a character",
       .sent = {text("\xf0\x9f", kMore), ping(std::string(125, '\xff')), next("\x98\x80")},
       .answers = {pong(std::string(125, '\xff')), text("\xf0\x9f\x98\x80")}},
  };
  for (const std::size_t segment : {0U, 1U, 7U}) {
    const std::string cut = ", in segments of " + std::to_string(segment);
    rows.push_back(
        {.name = "100 PINGs" + cut, .sent = many_pings, .answers = many_pongs, .segment = segment});
    rows.push_back({.name = "PINGs, messages and PONGs in turn" + cut,
                    .sent = in_turn,
                    .answers = answers_in_turn,
                    .segment = segment});
  }
  play_against_both(rows);
}

}  // namespace webshocket::test::script
