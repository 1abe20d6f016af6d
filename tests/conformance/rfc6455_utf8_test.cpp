// RFC 6455, section 8.1, and RFC 3629: text is UTF-8, and what is not is refused at the byte that
// makes it so.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/script.hpp"

namespace webshocket::test::script {
namespace {

struct Sample {
  std::string name;
  std::string bytes;
};

/// What Markus Kuhn's stress test and the tables of RFC 3629 hold to be valid.
std::vector<Sample> valid_samples() {
  return {
      {"nothing", ""},
      {"ASCII", "Hello"},
      {"a NUL", std::string("a\0b", 3)},
      {"the control characters", "\x01\t\n\x1f\x7f"},
      {"the Greek word kosme", "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"},
      {"characters of 1, 2, 3, 4 bytes", "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
      {"U+0080, the first of 2 bytes", "\xc2\x80"},
      {"U+07FF, the last of 2 bytes", "\xdf\xbf"},
      {"U+0800, the first of 3 bytes", "\xe0\xa0\x80"},
      {"U+0FFF", "\xe0\xbf\xbf"},
      {"U+1000", "\xe1\x80\x80"},
      {"U+CFFF", "\xec\xbf\xbf"},
      {"U+D000", "\xed\x80\x80"},
      {"U+D7FF, the last before the surrogates", "\xed\x9f\xbf"},
      {"U+E000, the first behind the surrogates", "\xee\x80\x80"},
      {"U+FDD0, a noncharacter", "\xef\xb7\x90"},
      {"U+FEFF, a byte order mark", "\xef\xbb\xbf"},
      {"U+FFFD, the replacement character", "\xef\xbf\xbd"},
      {"U+FFFE, a noncharacter", "\xef\xbf\xbe"},
      {"U+FFFF, the last of 3 bytes", "\xef\xbf\xbf"},
      {"U+10000, the first of 4 bytes", "\xf0\x90\x80\x80"},
      {"U+3FFFF", "\xf0\xbf\xbf\xbf"},
      {"U+40000", "\xf1\x80\x80\x80"},
      {"U+FFFFF", "\xf3\xbf\xbf\xbf"},
      {"U+100000", "\xf4\x80\x80\x80"},
      {"U+10FFFF, the last of all", "\xf4\x8f\xbf\xbf"},
      {"noncharacters of four planes",
       "\xf0\x9f\xbf\xbe\xf0\xaf\xbf\xbf\xf1\x8f\xbf\xbe\xf3\xaf\xbf\xbf"},
  };
}

/// The last byte of each is the first that cannot be.
std::vector<Sample> wrong_at_their_last_byte() {
  std::vector<Sample> samples = {
      {"a continuation byte first", "\x80"},
      {"the last continuation byte first", "\xbf"},
      {"a continuation byte after ASCII", "a\x80"},
      {"one continuation byte too many, of 2", "\xc3\xa9\x80"},
      {"one continuation byte too many, of 3", "\xe2\x82\xac\xbf"},
      {"one continuation byte too many, of 4", "\xf0\x9f\x98\x80\x80"},
      {"kosme, then a surrogate", "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0"},
      {"2 bytes cut short by a letter", "\xc3("},
      {"2 bytes cut short by a lead", "\xc3\xc3"},
      {"3 bytes cut short by a letter", "\xe2\x82("},
      {"3 bytes cut short after the lead", "\xe2("},
      {"4 bytes cut short by a letter", "\xf0\x9f\x98("},
      {"4 bytes cut short after two", "\xf0\x9f("},
      {"4 bytes cut short after the lead", "\xf0("},
      {"a character cut short by a whole one", "\xe2\x82\xf0"},
      {"overlong of 3 bytes, U+0000", "\xe0\x80"},
      {"overlong of 3 bytes, U+07FF", "\xe0\x9f"},
      {"overlong of 4 bytes, U+0000", "\xf0\x80"},
      {"overlong of 4 bytes, U+FFFF", "\xf0\x8f"},
      {"the first high surrogate, U+D800", "\xed\xa0"},
      {"the last high surrogate, U+DBFF", "\xed\xaf"},
      {"the first low surrogate, U+DC00", "\xed\xb0"},
      {"the last low surrogate, U+DFFF", "\xed\xbf"},
      {"U+110000", "\xf4\x90"},
      {"U+13FFFF", "\xf4\xbf"},
      {"a wrong byte behind 1,000 good ones", std::string(1'000, 'a') + "\xfe"},
      {"a wrong byte behind 70,000 good ones", std::string(70'000, 'a') + "\xff"},
  };
  // These stand in no UTF-8 at all; C0 and C1 would begin overlong forms of ASCII.
  for (const unsigned byte : {0xC0U, 0xC1U, 0xF5U, 0xF6U, 0xF7U, 0xF8U, 0xF9U, 0xFAU, 0xFBU, 0xFCU,
                              0xFDU, 0xFEU, 0xFFU}) {
    const std::string wrong(1, static_cast<char>(byte));
    samples.push_back({"the byte " + to_hex(wrong), wrong});
    samples.push_back({"good text, then the byte " + to_hex(wrong), "good \xe2\x82\xac" + wrong});
  }
  return samples;
}

/// Nothing is wrong with them but that they end too early.
std::vector<Sample> unfinished_samples() {
  return {
      {"1 of 2 bytes", "\xc3"},
      {"1 of 3 bytes", "\xe2"},
      {"2 of 3 bytes", "\xe2\x82"},
      {"2 of 3 bytes, the lowest", "\xe0\xa0"},
      {"2 of 3 bytes, U+D7xx", "\xed\x9f"},
      {"1 of 4 bytes", "\xf0"},
      {"2 of 4 bytes", "\xf0\x9f"},
      {"3 of 4 bytes", "\xf0\x9f\x98"},
      {"3 of 4 bytes, the highest", "\xf4\x8f\xbf"},
      {"good text, then 2 of 3 bytes", "good \xe2\x82"},
      {"100 good bytes, then 1 of 4", std::string(100, 'g') + "\xf1"},
  };
}

/// In two frames, split at that byte.
std::vector<Piece> split_at(const std::string& bytes, std::size_t at) {
  return {text(bytes.substr(0, at), kMore), next(bytes.substr(at))};
}

}  // namespace

TEST_CASE("valid text comes back, wherever frames and segments part it") {
  std::vector<Row> rows;
  for (const auto& [name, bytes] : valid_samples()) {
    rows.push_back({.name = name, .sent = {text(bytes)}, .answers = {text(bytes)}});
    rows.push_back({.name = name + ", byte by byte",
                    .sent = {text(bytes)},
                    .answers = {text(bytes)},
                    .segment = 1});
    rows.push_back({.name = name + ", in frames of a byte",
                    .sent = in_frames(text(bytes), 1),
                    .answers = {text(bytes)}});
    rows.push_back({.name = name + ", in frames of a byte, byte by byte",
                    .sent = in_frames(text(bytes), 1),
                    .answers = {text(bytes)},
                    .segment = 1});
    for (std::size_t at = 0; at <= bytes.size(); ++at) {
      rows.push_back({.name = name + ", split at " + std::to_string(at),
                      .sent = split_at(bytes, at),
                      .answers = {text(bytes)}});
    }
  }
  play_against_both(rows);
}

TEST_CASE("invalid text is refused with 1007, wherever frames and segments part it") {
  std::vector<Row> rows;
  std::vector<Sample> samples = wrong_at_their_last_byte();
  for (const Sample& sample : unfinished_samples()) samples.push_back(sample);
  for (const auto& [name, bytes] : samples) {
    rows.push_back({.name = name, .sent = {text(bytes)}, .ending = refused(1007)});
    rows.push_back({.name = name + ", with a second frame that is empty",
                    .sent = {text(bytes, kMore), next("")},
                    .ending = refused(1007)});
    rows.push_back({.name = name + ", behind a message, a message behind it",
                    .sent = {text("first"), text(bytes), text("last"), ping()},
                    .answers = {text("first")},
                    .ending = refused(1007)});
    rows.push_back(
        {.name = name + ", as binary", .sent = {binary(bytes)}, .answers = {binary(bytes)}});
    if (bytes.size() > 100) continue;
    rows.push_back({.name = name + ", byte by byte",
                    .sent = {text(bytes)},
                    .ending = refused(1007),
                    .segment = 1});
    rows.push_back({.name = name + ", in frames of a byte",
                    .sent = in_frames(text(bytes), 1),
                    .ending = refused(1007)});
    for (std::size_t at = 0; at <= bytes.size(); ++at) {
      rows.push_back({.name = name + ", split at " + std::to_string(at),
                      .sent = split_at(bytes, at),
                      .ending = refused(1007)});
    }
  }
  play_against_both(rows);
}

TEST_CASE("text fails at its first wrong byte, and not before") {
  std::vector<Row> rows;
  for (const auto& [name, bytes] : wrong_at_their_last_byte()) {
    rows.push_back({.name = name + ", in a frame after which more would come",
                    .sent = {text(bytes, kMore)},
                    .ending = refused(1007)});
    rows.push_back({.name = name + ", in a frame that is not all there",
                    .sent = {cut_off_at(bytes.size(), text(bytes + std::string(1'000, 'x')))},
                    .ending = refused(1007)});
    const std::string good = bytes.substr(0, bytes.size() - 1);
    rows.push_back(
        {.name = name + ", when a PING has been answered in front of it",
         .sent = {text(good, kMore), ping("well?"), next(bytes.substr(good.size()), kMore)},
         .answers = {pong("well?")},
         .ending = refused(1007)});
  }
  for (const auto& [name, bytes] : unfinished_samples()) {
    rows.push_back({.name = name + ", until the message ends",
                    .sent = {text(bytes, kMore), ping("well?"), next("")},
                    .answers = {pong("well?")},
                    .ending = refused(1007)});
  }
  play_against_both(rows);
}

}  // namespace webshocket::test::script
