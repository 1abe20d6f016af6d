#include "tools/wsbench/frame_cursor.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <string_view>

using wsbench::FrameCursor;
using wsbench::FrameHead;

namespace {

/// Writes down what comes: "2.abc;" for a BINARY message, "2+abc;" if it is not the last frame.
struct Notes {
  void frame(const FrameHead& head, std::string_view payload) {
    ++whole;
    begin(head);
    piece(payload);
    end();
  }
  void begin(const FrameHead& head) {
    text += std::to_string(head.opcode) + (head.fin ? "." : "+");
  }
  void piece(std::string_view bytes) { text += bytes; }
  void end() { text += ';'; }

  std::string text;
  int whole = 0;
};

std::string frame(unsigned char first, const std::string& payload) {
  std::string bytes(1, static_cast<char>(first));
  const std::size_t size = payload.size();
  if (size < 126) {
    bytes += static_cast<char>(size);
  } else if (size < 65'536) {
    bytes += {'\x7e', static_cast<char>(size >> 8), static_cast<char>(size)};
  } else {
    bytes += '\x7f';
    for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift);
  }
  return bytes + payload;
}

}  // namespace

TEST_CASE("frame cursor: frames that lie there as a whole") {
  FrameCursor cursor;
  Notes notes;
  CHECK(cursor.feed(frame(0x82, "abc") + frame(0x81, "") + frame(0x01, "x") + frame(0x80, "y"),
                    notes));
  CHECK(notes.text == "2.abc;1.;1+x;0.y;");
  CHECK(notes.whole == 4);
}

TEST_CASE("frame cursor: cut anywhere, the same comes out") {
  const std::string large(70'000, 'z');
  const std::string medium(300, 'm');
  const std::string stream = frame(0x82, "abc") + frame(0x89, "") + frame(0x81, medium) +
                             frame(0x02, large) + frame(0x80, "end") + frame(0x82, "");
  FrameCursor whole_cursor;
  Notes whole;
  REQUIRE(whole_cursor.feed(stream, whole));
  REQUIRE(whole.text == "2.abc;9.;1." + medium + ";2+" + large + ";0.end;2.;");
  for (const std::size_t step : {1U, 2U, 3U, 7U, 64U, 1000U, 65'536U}) {
    CAPTURE(step);
    FrameCursor cursor;
    Notes notes;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      REQUIRE(cursor.feed(std::string_view(stream).substr(at, step), notes));
    }
    CHECK(notes.text == whole.text);
  }
}

TEST_CASE("frame cursor: what no server may send") {
  for (const char first : {'\xc2', '\xa2', '\x92'}) {
    FrameCursor cursor;
    Notes notes;
    CHECK_FALSE(cursor.feed(frame(static_cast<unsigned char>(first), "abc"), notes));
  }
  FrameCursor cursor;
  Notes notes;
  CHECK_FALSE(cursor.feed(std::string_view("\x82\x81\x00\x00\x00\x00x", 7), notes));
  FrameCursor slow;
  CHECK(slow.feed("\xc2", notes));
  CHECK_FALSE(slow.feed(std::string_view("\x00", 1), notes));
}
