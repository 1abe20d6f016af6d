// RFC 6455, section 5.2: messages of every size at which the header changes, and lengths that are
// not written as they should be.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/script.hpp"

namespace webshocket::test::script {
namespace {

/// UTF-8 of exactly that size, with characters of every length.
std::string text_of_size(std::size_t size) {
  const std::string unit = "a\u00e9\u20ac\U0001f600";
  std::string text;
  while (text.size() + unit.size() <= size) text += unit;
  return text + std::string(size - text.size(), 'x');
}

std::string bytes_of_size(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i % 251);
  return bytes;
}

Row echo_row(const std::string& name, const Piece& message, std::size_t segment) {
  return {.name = name + " of " + std::to_string(message.frame.payload.size()) +
                  ", in segments of " + std::to_string(segment),
          .sent = {message},
          .answers = {message},
          .segment = segment};
}

/// Nothing of the payload is sent: the header is enough.
Row refusal_row(const std::string& name, Piece piece, unsigned code) {
  return {.name = name, .sent = {cut_off_at(0, std::move(piece))}, .ending = refused(code)};
}

}  // namespace

TEST_CASE("messages of every size come back as they were, however they are cut") {
  std::vector<Row> rows;
  for (const std::size_t size :
       {0U,   1U,   2U,     3U,     4U,      5U,      7U,      8U,      15U,      16U,
        17U,  31U,  63U,    64U,    124U,    125U,    126U,    127U,    128U,     129U,
        255U, 256U, 1'023U, 4'096U, 65'534U, 65'535U, 65'536U, 65'537U, 131'072U, 200'000U}) {
    // One byte at a time costs a system call each.
    for (const std::size_t segment : {0U, size < 300 ? 1U : 10'007U, 997U}) {
      rows.push_back(echo_row("text", text(text_of_size(size)), segment));
      rows.push_back(echo_row("binary", binary(bytes_of_size(size)), segment));
    }
  }
  play_against_both(rows);
}

TEST_CASE("the largest message is taken, one byte more is refused as soon as it is announced") {
  std::vector<Row> rows = {
      {.name = "the limit, in one frame",
       .sent = {binary(bytes_of_size(kMaxMessage))},
       .answers = {binary(bytes_of_size(kMaxMessage))}},
      {.name = "the limit, in frames of 100 KiB",
       .sent = in_frames(text(text_of_size(kMaxMessage)), 100 * 1024),
       .answers = {text(text_of_size(kMaxMessage))}},
      {.name = "the limit and 1, announced by a second frame",
       .sent = {binary("x", kMore), announcing(kMaxMessage, next(""))},
       .ending = refused(1009)},
      {.name = "the limit, after an empty frame",
       .sent = {binary("", kMore), next(bytes_of_size(kMaxMessage))},
       .answers = {binary(bytes_of_size(kMaxMessage))}},
  };
  for (const std::uint64_t length : {std::uint64_t{kMaxMessage} + 1, std::uint64_t{1} << 31U,
                                     std::uint64_t{1} << 32U, ~std::uint64_t{0} >> 1U}) {
    for (const bool fin : {true, false}) {
      const std::string what = std::to_string(length) + (fin ? "" : ", and more to come");
      rows.push_back(refusal_row("text of " + what, announcing(length, text("", fin)), 1009));
      rows.push_back(refusal_row("binary of " + what, announcing(length, binary("", fin)), 1009));
    }
  }
  play_against_both(rows);
}

TEST_CASE("a length is written in as few bytes as it takes") {
  std::vector<Row> rows;
  struct Form {
    unsigned bytes;
    std::vector<std::size_t> sizes;
  };
  for (const auto& [bytes, sizes] :
       {Form{2, {0, 1, 124, 125}}, Form{8, {0, 1, 125, 126, 1'000, 65'534, 65'535}}}) {
    for (const std::size_t size : sizes) {
      const std::string form =
          " of " + std::to_string(size) + " in " + std::to_string(bytes) + " bytes";
      for (const unsigned opcode : {kText, kBinary, kPing, kPong, kClose}) {
        const Piece piece = with_length_bytes(bytes, of_opcode(opcode, std::string(size, 'x')));
        rows.push_back(refusal_row("opcode " + std::to_string(opcode) + form, piece, 1002));
      }
      rows.push_back(
          {.name = "a continuation" + form,
           .sent = {text("a", kMore), with_length_bytes(bytes, next(std::string(size, 'x')))},
           .ending = refused(1002)});
    }
  }
  play_against_both(rows);
}

TEST_CASE("the top bit of a length of 8 bytes is not set") {
  std::vector<Row> rows;
  for (const std::uint64_t low :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{65'536}, ~std::uint64_t{0} >> 1U}) {
    const std::uint64_t length = std::uint64_t{1} << 63U | low;
    for (const unsigned opcode : {kText, kBinary, kPing, kClose}) {
      rows.push_back(refusal_row("opcode " + std::to_string(opcode) + ", " + std::to_string(length),
                                 announcing(length, of_opcode(opcode)), 1002));
    }
  }
  play_against_both(rows);
}

}  // namespace webshocket::test::script
