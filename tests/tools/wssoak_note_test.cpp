#include "tools/wssoak/note.hpp"

#include <doctest/doctest.h>

#include <string>

using Verdict = wssoak::Sequence::Verdict;

TEST_CASE("note: says what it was told") {
  for (const std::size_t filling : {std::size_t{0}, std::size_t{1}, wssoak::kLargestFilling}) {
    const std::string text =
        wssoak::text_of({.channel = "room-3", .number = 17, .sent_ns = 99}, filling);
    CHECK(text.size() >= filling);
    const auto note = wssoak::parse_note(text);
    REQUIRE(note);
    CHECK(note->channel == "room-3");
    CHECK(note->number == 17);
    CHECK(note->sent_ns == 99);
  }
}

TEST_CASE("note: whatever is changed is found") {
  const std::string text = wssoak::text_of({.channel = "room-3", .number = 17, .sent_ns = 99}, 50);
  CHECK_FALSE(wssoak::parse_note(""));
  CHECK_FALSE(wssoak::parse_note("room-3"));
  CHECK_FALSE(wssoak::parse_note("room-3 x 1 0 "));
  CHECK_FALSE(wssoak::parse_note("room-3 0 1 0 "));
  CHECK_FALSE(wssoak::parse_note(text + "e"));
  CHECK_FALSE(wssoak::parse_note(text.substr(0, text.size() - 1)));
  for (std::size_t at = text.size() - 50; at < text.size(); ++at) {
    std::string damaged = text;
    damaged[at] = '#';
    CHECK_FALSE(wssoak::parse_note(damaged));
  }
  std::string other = text;
  other.replace(other.find("17"), 2, "18");
  CHECK_FALSE(wssoak::parse_note(other));
}

TEST_CASE("sequence: each once, in order, from whichever is the first") {
  wssoak::Sequence sequence;
  CHECK(sequence.take(5, false) == Verdict::fine);
  CHECK(sequence.take(6, false) == Verdict::fine);
  CHECK(sequence.take(6, false) == Verdict::repeated);
  CHECK(sequence.take(8, false) == Verdict::gap);
  CHECK(sequence.take(7, false) == Verdict::repeated);
  CHECK(sequence.take(9, false) == Verdict::fine);
}

TEST_CASE("sequence: some may be skipped, none may come twice") {
  wssoak::Sequence sequence;
  CHECK(sequence.take(1, true) == Verdict::fine);
  CHECK(sequence.take(9, true) == Verdict::fine);
  CHECK(sequence.take(9, true) == Verdict::repeated);
  CHECK(sequence.take(8, true) == Verdict::repeated);
}

TEST_CASE("sequences: channels are apart") {
  wssoak::Sequences sequences;
  CHECK(sequences.of("a").take(5, false) == Verdict::fine);
  CHECK(sequences.of("b").take(1, false) == Verdict::fine);
  CHECK(sequences.of("a").take(6, false) == Verdict::fine);
  CHECK(sequences.of("b").take(3, false) == Verdict::gap);
  CHECK(sequences.of("b").previous() == 1);
  CHECK(sequences.of("c").previous() == 0);
}
