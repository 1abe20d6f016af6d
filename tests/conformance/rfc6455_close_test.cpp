// RFC 6455, sections 5.5.1 and 7: the end of a connection, as the peer wants it.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/script.hpp"

namespace webshocket::test::script {
namespace {

/// A body as it stands, also one that no CLOSE may have.
Piece close_with_body(std::string body) { return of_opcode(kClose, std::move(body)); }

Piece close_with_code(unsigned code, const std::string& reason) {
  return close_with_body(
      std::string{static_cast<char>(code >> 8U), static_cast<char>(code & 0xFFU)} + reason);
}

/// Section 7.4, with 1012 to 1014 of the registry.
bool may_be_sent(unsigned code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

}  // namespace

TEST_CASE("a code that may be sent comes back with its reason, any other is refused") {
  std::vector<unsigned> codes;
  for (unsigned code = 0; code < 1000; code = code * 2 + 1) codes.push_back(code);
  for (unsigned code = 990; code < 1020; ++code) codes.push_back(code);
  for (const unsigned code : {1024U, 1100U, 1500U, 1999U,   2000U,   2001U,   2500U,  2998U, 2999U,
                              3000U, 3001U, 3500U, 3999U,   4000U,   4001U,   4500U,  4998U, 4999U,
                              5000U, 5001U, 9999U, 16'384U, 32'768U, 65'534U, 65'535U}) {
    codes.push_back(code);
  }
  std::vector<Row> rows;
  for (const unsigned code : codes) {
    for (const std::string reason : {"", "because"}) {
      rows.push_back({.name = std::to_string(code) + " '" + reason + "'",
                      .sent = {close_with_code(code, reason)},
                      .ending = may_be_sent(code) ? closed(code, reason) : refused(1002)});
    }
  }
  play_against_both(rows);
}

TEST_CASE("the body of a CLOSE: nothing, or a code and a reason in UTF-8") {
  std::vector<Row> rows = {
      {.name = "no body", .sent = {close()}, .ending = closed(0)},
      {.name = "no body, byte by byte", .sent = {close()}, .ending = closed(0), .segment = 1},
      {.name = "a byte", .sent = {close_with_body("x")}, .ending = refused(1002)},
      {.name = "a byte, 03", .sent = {close_with_body("\x03")}, .ending = refused(1002)},
      {.name = "a reason that ends in the middle of a character",
       .sent = {close(1000, std::string(121, 'r') + "\xe2\x82")},
       .ending = refused(1007)},
      {.name = "a reason that is no UTF-8, under a code that may not be sent",
       .sent = {close_with_code(1005, "\xff")},
       .ending = refused(1002)},
      {.name = "a reason with a NUL",
       .sent = {close(1000, std::string("a\0b", 3))},
       .ending = closed(1000, std::string("a\0b", 3))},
      {.name = "a reason of one more than 123",
       .sent = {close(1000, std::string(124, 'r'))},
       .ending = refused(1002)},
  };
  for (const std::size_t size : {1U, 2U, 3U, 10U, 60U, 122U, 123U}) {
    for (const std::size_t segment : {0U, 1U}) {
      rows.push_back({.name = "a reason of " + std::to_string(size) + ", in segments of " +
                              std::to_string(segment),
                      .sent = {close(1000, std::string(size, 'r'))},
                      .ending = closed(1000, std::string(size, 'r')),
                      .segment = segment});
    }
  }
  for (const std::string reason :
       {"\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf", "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"}) {
    rows.push_back({.name = "the reason " + to_hex(reason),
                    .sent = {close(4321, reason)},
                    .ending = closed(4321, reason)});
  }
  for (const std::string reason :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe0\x80\x80", "\xe2\x82", "\xed\xa0\x80",
        "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5", "\xff", "good, then \xfe"}) {
    rows.push_back({.name = "the reason " + to_hex(reason),
                    .sent = {close(1000, reason)},
                    .ending = refused(1007)});
  }
  play_against_both(rows);
}

TEST_CASE("what comes before a CLOSE is answered, what comes behind it is not") {
  const std::vector<Row> rows = {
      {.name = "a message before it",
       .sent = {text("a"), close(1000, "end")},
       .answers = {text("a")},
       .ending = closed(1000, "end")},
      {.name = "a PING before it",
       .sent = {ping("p"), close(1001)},
       .answers = {pong("p")},
       .ending = closed(1001)},
      {.name = "messages and PINGs before it",
       .sent = {text("a"), ping("1"), binary("b", kMore), ping("2"), next("c"), close(1000)},
       .answers = {text("a"), pong("1"), pong("2"), binary("bc")},
       .ending = closed(1000)},
      {.name = "a large message before it",
       .sent = {binary(std::string(500'000, 'x')), close(1000)},
       .answers = {binary(std::string(500'000, 'x'))},
       .ending = closed(1000)},
      {.name = "in the middle of a message",
       .sent = {text("a", kMore), close(1000, "enough")},
       .ending = closed(1000, "enough")},
      {.name = "in the middle of a character",
       .sent = {text("\xe2\x82", kMore), close(1000, "enough")},
       .ending = closed(1000, "enough")},
      {.name = "in the middle of a message, which goes on behind it",
       .sent = {text("a", kMore), close(1000), next("b")},
       .ending = closed(1000)},
      {.name = "a message behind it", .sent = {close(1000), text("late")}, .ending = closed(1000)},
      {.name = "a PING behind it", .sent = {close(1000), ping("late")}, .ending = closed(1000)},
      {.name = "a PONG behind it", .sent = {close(1000), pong("late")}, .ending = closed(1000)},
      {.name = "a second CLOSE",
       .sent = {close(1000, "first"), close(1001, "second")},
       .ending = closed(1000, "first")},
      {.name = "a CLOSE that is wrong behind it",
       .sent = {close(4000), close_with_body("x")},
       .ending = closed(4000)},
      {.name = "a frame that is wrong behind it",
       .sent = {close(1000), of_opcode(3)},
       .ending = closed(1000)},
      {.name = "what is no frame behind it",
       .sent = {close(1000), of_opcode(kContinuation, std::string(5'000, '\xff'))},
       .ending = closed(1000)},
      {.name = "a message behind a wrong frame",
       .sent = {of_opcode(3), text("late")},
       .ending = refused(1002)},
      {.name = "a CLOSE behind a wrong frame",
       .sent = {of_opcode(3), close(1000)},
       .ending = refused(1002)},
      {.name = "much behind a wrong frame: it is read, so that no reset overtakes the CLOSE",
       .sent = {of_opcode(3), binary(std::string(900'000, 'x'))},
       .ending = refused(1002)},
  };
  play_against_both(rows);
}

TEST_CASE("a peer that ends its output first") {
  const std::vector<Row> rows = {
      {.name = "with nothing said", .sent = {}, .ending = dropped(), .half_close = true},
      {.name = "behind a message",
       .sent = {text("a")},
       .answers = {text("a")},
       .ending = dropped(),
       .half_close = true},
      {.name = "behind a PING",
       .sent = {ping("p")},
       .answers = {pong("p")},
       .ending = dropped(),
       .half_close = true},
      {.name = "behind several messages",
       .sent = {text("a"), binary("b"), ping("c"), text("d")},
       .answers = {text("a"), binary("b"), pong("c"), text("d")},
       .ending = dropped(),
       .half_close = true},
      {.name = "behind half a header",
       .sent = {cut_off_at(0, announcing(5, text("")))},
       .ending = dropped(),
       .half_close = true},
      {.name = "in the middle of a frame",
       .sent = {text("a"), cut_off_at(3, text("abcdef"))},
       .answers = {text("a")},
       .ending = dropped(),
       .half_close = true},
      {.name = "in the middle of a message",
       .sent = {text("a", kMore)},
       .ending = dropped(),
       .half_close = true},
      {.name = "behind a CLOSE",
       .sent = {close(1000, "end")},
       .ending = closed(1000, "end"),
       .half_close = true},
      {.name = "behind a message and a CLOSE",
       .sent = {text("a"), close(1000, "end")},
       .answers = {text("a")},
       .ending = closed(1000, "end"),
       .half_close = true},
      {.name = "behind a wrong frame",
       .sent = {of_opcode(3)},
       .ending = refused(1002),
       .half_close = true},
      {.name = "in the middle of text that is wrong already",
       .sent = {text("\xff", kMore)},
       .ending = refused(1007),
       .half_close = true},
  };
  play_against_both(rows);
}

}  // namespace webshocket::test::script
