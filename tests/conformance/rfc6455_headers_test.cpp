// RFC 6455, sections 5.1 to 5.3: reserved bits, reserved opcodes, masking.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/script.hpp"

namespace webshocket::test::script {
namespace {

constexpr unsigned kReservedOpcodes[] = {3, 4, 5, 6, 7, 11, 12, 13, 14, 15};

/// One of each kind, with and without a payload.
std::vector<Piece> every_kind() {
  return {text(""),        text("x"),          binary(""),      binary("x"),
          ping(),          ping("x"),          pong(),          pong("x"),
          close(),         close(1000, "x"),   next(""),        next("x"),
          text("", kMore), binary("x", kMore), next("x", kMore)};
}

std::string name_of(const Piece& piece) {
  return "opcode " + std::to_string(piece.frame.opcode) + (piece.frame.fin ? ", " : ", no fin, ") +
         std::to_string(piece.frame.payload.size()) + " bytes";
}

/// What is wrong is refused wherever it comes: first, after a message, inside one.
void add_refusals(std::vector<Row>& rows, const std::string& name, const Piece& piece) {
  if (piece.frame.opcode != kContinuation) {
    rows.push_back({.name = name, .sent = {piece}, .ending = refused(1002)});
    rows.push_back({.name = name + ", after a message, a message behind it",
                    .sent = {text("first"), piece, text("last"), ping("last")},
                    .answers = {text("first")},
                    .ending = refused(1002)});
  }
  if (piece.frame.opcode != kText && piece.frame.opcode != kBinary) {
    rows.push_back({.name = name + ", inside a message",
                    .sent = {text("a", kMore), ping("1"), piece, next("b")},
                    .answers = {pong("1")},
                    .ending = refused(1002)});
  }
}

}  // namespace

TEST_CASE("reserved bits are not set: no extension gave them a meaning") {
  std::vector<Row> rows;
  for (unsigned bits = 1; bits < 8; ++bits) {
    for (const Piece& piece : every_kind()) {
      add_refusals(rows, "bits " + std::to_string(bits) + ", " + name_of(piece),
                   with_reserved_bits(bits, piece));
    }
  }
  play_against_both(rows);
}

TEST_CASE("reserved opcodes are refused") {
  std::vector<Row> rows;
  for (const unsigned opcode : kReservedOpcodes) {
    for (const bool fin : {true, false}) {
      for (const std::string& payload : {std::string(), std::string("x"), std::string(200, 'x')}) {
        const Piece piece = of_opcode(opcode, payload, fin);
        add_refusals(rows, name_of(piece), piece);
      }
    }
    rows.push_back({.name = "opcode " + std::to_string(opcode) + ", its header alone",
                    .sent = {cut_off_at(0, of_opcode(opcode, std::string(1'000, 'x')))},
                    .ending = refused(1002)});
  }
  play_against_both(rows);
}

TEST_CASE("clients mask, servers do not") {
  std::vector<Row> rows;
  for (const Piece& piece : every_kind()) {
    add_refusals(rows, "masked wrongly, " + name_of(piece), with_wrong_mask(piece));
  }
  rows.push_back({.name = "masked wrongly, the header alone",
                  .sent = {cut_off_at(0, with_wrong_mask(binary(std::string(70'000, 'x'))))},
                  .ending = refused(1002)});
  play_against_both(rows);
}

TEST_CASE("any key masks") {
  std::vector<Row> rows;
  const std::string payload = "0123456789 \u20ac abcdefghijklmnopqrstuvwxyz";
  for (const std::string& key :
       {std::string(4, '\0'), std::string(4, '\xff'), std::string("\0\0\0\x01", 4),
        std::string("\x80\0\0\0", 4), std::string("0123"), std::string("\x01\x02\x04\x08")}) {
    const std::string name = "key " + to_hex(key);
    rows.push_back(
        {.name = name, .sent = {with_key(key, text(payload))}, .answers = {text(payload)}});
    rows.push_back({.name = name + ", byte by byte",
                    .sent = {with_key(key, text(payload))},
                    .answers = {text(payload)},
                    .segment = 1});
    rows.push_back({.name = name + ", a PING",
                    .sent = {with_key(key, ping(payload))},
                    .answers = {pong(payload)}});
    rows.push_back({.name = name + ", then another one, inside a message",
                    .sent = {with_key(key, text(payload, kMore)), with_key("KEY2", next("end"))},
                    .answers = {text(payload + "end")}});
    rows.push_back({.name = name + ", a CLOSE",
                    .sent = {with_key(key, close(4000, "masked"))},
                    .ending = closed(4000, "masked")});
  }
  for (unsigned byte = 0; byte < 256; ++byte) {
    const std::string key(4, static_cast<char>(byte));
    rows.push_back({.name = "key " + to_hex(key),
                    .sent = {with_key(key, binary(payload))},
                    .answers = {binary(payload)}});
  }
  play_against_server(rows);
}

}  // namespace webshocket::test::script
