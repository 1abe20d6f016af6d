#include "protocol/frame_reader.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "tests/protocol/frames.hpp"

using namespace webshocket;
using namespace webshocket::protocol;
using namespace webshocket::protocol::test;

using Kind = FrameEvent::Kind;

namespace {

std::string close_body(unsigned code, std::string_view reason = {}) {
  std::string body{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
  return body.append(reason);
}

std::string text_frame(std::string payload) { return RawFrame{kText, std::move(payload)}.bytes(); }

/// The one error that the bytes must end in, and nothing behind it.
Seen failure(std::string_view bytes, std::size_t max_message = 0, Role role = Role::server) {
  const std::vector<Seen> events =
      read_all(std::string(bytes) + text_frame("late"), {}, max_message, role);
  REQUIRE(!events.empty());
  CHECK(events.back().kind == Kind::error);
  CHECK(events.back().reason.size() < 123);
  return events.back();
}

Seen protocol_error(std::string reason) {
  return error(CloseCode::protocol_error, std::move(reason));
}

}  // namespace

TEST_CASE("the examples of RFC 6455, section 5.7") {
  SUBCASE("a masked text message") {
    CHECK(read_all(hex("81 85 37 fa 21 3d 7f 9f 4d 51 58")) ==
          std::vector{message(Opcode::text, "Hello")});
  }
  SUBCASE("an unmasked text message, from a server") {
    CHECK(read_all(hex("81 05 48 65 6c 6c 6f"), {}, 0, Role::client) ==
          std::vector{message(Opcode::text, "Hello")});
  }
  SUBCASE("a fragmented one") {
    CHECK(read_all(hex("01 03 48 65 6c 80 02 6c 6f"), {}, 0, Role::client) ==
          std::vector{message(Opcode::text, "Hello")});
  }
  SUBCASE("ping and pong") {
    CHECK(read_all(hex("89 05 48 65 6c 6c 6f"), {}, 0, Role::client) == std::vector{ping("Hello")});
    CHECK(read_all(hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58")) == std::vector{pong("Hello")});
  }
}

TEST_CASE("a message of any size, masked and not") {
  for (const Role role : {Role::server, Role::client}) {
    for (const std::size_t size :
         std::vector<std::size_t>{0, 1, 7, 8, 9, 125, 126, 127, 65535, 65536, 65537, 300000}) {
      std::string payload(size, '\0');
      std::iota(payload.begin(), payload.end(), '\1');
      RawFrame frame{kBinary, payload};
      if (role == Role::client) frame.key.reset();
      CAPTURE(size);
      CHECK(read_all(frame.bytes(), {}, 0, role) == std::vector{message(Opcode::binary, payload)});
      // In pieces it goes through the reader's own memory.
      std::vector<std::size_t> cuts;
      for (std::size_t cut = 3; cut < frame.bytes().size(); cut += 4093) cuts.push_back(cut);
      CHECK(read_all(frame.bytes(), cuts, 0, role) ==
            std::vector{message(Opcode::binary, payload)});
    }
  }
}

TEST_CASE("a message that lies in the input as one frame is handed out where it is") {
  std::string bytes = text_frame("whole") + text_frame("next");
  const std::span<std::byte> all = std::as_writable_bytes(std::span(bytes));
  FrameReader reader(Role::server);
  std::span<std::byte> input = all;

  const FrameEvent first = reader.read(input, 0);
  CHECK(first.payload.data() == all.data() + 6);
  CHECK(reader.buffered() == 0);
  CHECK(reader.idle());
  // One event at a time: the caller may stop here.
  CHECK(input.data() == all.data() + 11);

  const FrameEvent second = reader.read(input, 0);
  CHECK(second.payload.data() == all.data() + 17);
  CHECK(input.empty());
  CHECK(reader.read(input, 0).kind == Kind::need_more);
}

TEST_CASE("fragments of any size, also empty ones, with control frames in between") {
  const std::string bytes =
      RawFrame{kText, "", false}.bytes() + RawFrame{kContinuation, "Hel", false}.bytes() +
      RawFrame{kPing, "are you there"}.bytes() + RawFrame{kContinuation, "", false}.bytes() +
      RawFrame{kPong, ""}.bytes() + RawFrame{kContinuation, "lo", false}.bytes() +
      RawFrame{kContinuation, ""}.bytes() + RawFrame{kBinary, ""}.bytes();
  CHECK(read_all(bytes) == std::vector{ping("are you there"), pong(""),
                                       message(Opcode::text, "Hello"),
                                       message(Opcode::binary, "")});
}

TEST_CASE("cut at every byte, and at every two, the same comes out") {
  const std::string bytes =
      text_frame("h\xC3\xA9llo") + RawFrame{kBinary, std::string(130, 'b')}.bytes() +
      RawFrame{kText, "\xF0\x9F", false}.bytes() + RawFrame{kPing, "in between"}.bytes() +
      RawFrame{kContinuation, "\x98\x80", false}.bytes() + RawFrame{kContinuation, ""}.bytes() +
      RawFrame{kPong, std::string(125, 'p')}.bytes() +
      RawFrame{kClose, close_body(1000, "Client is closing the connection.")}.bytes() + "junk";
  const std::vector<Seen> whole = read_all(bytes);
  REQUIRE(whole == std::vector{message(Opcode::text, "h\xC3\xA9llo"),
                               message(Opcode::binary, std::string(130, 'b')), ping("in between"),
                               message(Opcode::text, "\xF0\x9F\x98\x80"),
                               pong(std::string(125, 'p')),
                               closed(CloseCode::normal, "Client is closing the connection.")});
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    CHECK(read_all(bytes, std::vector{first}) == whole);
    for (std::size_t second = first; second <= bytes.size(); second += 7) {
      CHECK(read_all(bytes, std::vector{first, second}) == whole);
    }
  }
  std::vector<std::size_t> each(bytes.size());
  std::iota(each.begin(), each.end(), std::size_t{1});
  CHECK(read_all(bytes, each) == whole);
}

TEST_CASE("reserved bits are refused, one by one, in every kind of frame") {
  for (const unsigned reserved : {1U, 2U, 4U, 7U}) {
    for (const unsigned opcode : {kText, kBinary, kClose, kPing, kPong}) {
      CHECK(failure(RawFrame{opcode, "", true, reserved}.bytes()) ==
            protocol_error("Reserved bits are set"));
    }
  }
  CHECK(
      failure(RawFrame{kText, "", false}.bytes() + RawFrame{kContinuation, "", true, 4}.bytes()) ==
      protocol_error("Reserved bits are set"));
}

TEST_CASE("reserved opcodes are refused, also inside a fragmented message") {
  for (const unsigned opcode : {0x3U, 0x4U, 0x5U, 0x6U, 0x7U, 0xBU, 0xCU, 0xDU, 0xEU, 0xFU}) {
    CAPTURE(opcode);
    CHECK(failure(RawFrame{opcode}.bytes()) == protocol_error("Reserved opcode"));
    CHECK(failure(RawFrame{kText, "a", false}.bytes() + RawFrame{opcode}.bytes()) ==
          protocol_error("Reserved opcode"));
  }
}

TEST_CASE("a client masks, a server does not") {
  RawFrame frame{kText, "x"};
  CHECK(failure(frame.bytes(), 0, Role::client) == protocol_error("Masked frame from a server"));
  frame.key.reset();
  CHECK(failure(frame.bytes()) == protocol_error("Unmasked frame from a client"));
  frame.opcode = kPing;
  CHECK(failure(frame.bytes()) == protocol_error("Unmasked frame from a client"));
}

TEST_CASE("the order of fragments") {
  const Seen lone = protocol_error("Continuation frame without a message to continue");
  CHECK(failure(RawFrame{kContinuation, "x"}.bytes()) == lone);
  CHECK(failure(RawFrame{kContinuation, "x", false}.bytes()) == lone);
  CHECK(failure(text_frame("whole") + RawFrame{kContinuation, "x"}.bytes()) == lone);
  const Seen inside = protocol_error("New message inside a fragmented one");
  CHECK(failure(RawFrame{kText, "a", false}.bytes() + text_frame("b")) == inside);
  CHECK(failure(RawFrame{kBinary, "", false}.bytes() + RawFrame{kBinary, "", false}.bytes()) ==
        inside);
}

TEST_CASE("control frames are whole and at most 125 bytes") {
  for (const unsigned opcode : {kClose, kPing, kPong}) {
    CHECK(failure(RawFrame{opcode, "", false}.bytes()) ==
          protocol_error("Fragmented control frame"));
    CHECK(failure(RawFrame{opcode, std::string(126, 'x')}.bytes()) ==
          protocol_error("Control frame with more than 125 bytes"));
    RawFrame huge{opcode};
    huge.length = 1ULL << 40;
    CHECK(failure(huge.bytes()) == protocol_error("Control frame with more than 125 bytes"));
  }
  // A long form that hides a short length.
  RawFrame padded{kPing, "x"};
  padded.length_bytes = 2;
  CHECK(failure(padded.bytes()) == protocol_error("Frame length is not in its shortest form"));
}

TEST_CASE("lengths") {
  RawFrame frame{kBinary};
  SUBCASE("not in their shortest form") {
    for (const auto& [bytes, length] :
         std::vector<std::pair<unsigned, std::uint64_t>>{{2, 0}, {2, 125}, {8, 0}, {8, 65535}}) {
      frame.length_bytes = bytes;
      frame.length = length;
      CHECK(failure(frame.bytes()) == protocol_error("Frame length is not in its shortest form"));
    }
  }
  SUBCASE("with the top bit set") {
    frame.length = 1ULL << 63;
    CHECK(failure(frame.bytes()) == protocol_error("Frame length with its top bit set"));
    frame.length = ~0ULL;
    CHECK(failure(frame.bytes(), 1000) == protocol_error("Frame length with its top bit set"));
  }
  SUBCASE("huge ones cost no memory before their bytes come") {
    frame.length = 1ULL << 62;
    FrameReader reader(Role::server);
    std::vector<Seen> events;
    feed(reader, frame.bytes() + std::string(1000, 'x'), events);
    CHECK(events.empty());
    CHECK(reader.buffered() == 1000);
  }
}

TEST_CASE("the limit counts all fragments of a message, as they are announced") {
  const Seen too_big =
      error(CloseCode::message_too_big, "Message is larger than 10 bytes (max_message)");
  CHECK(read_all(RawFrame{kBinary, std::string(10, 'x')}.bytes(), {}, 10).front().payload.size() ==
        10);
  RawFrame announced{kBinary};
  announced.length = 11;
  CHECK(failure(announced.bytes(), 10) == too_big);
  announced.length = 1ULL << 62;
  CHECK(failure(announced.bytes(), 10) == too_big);

  RawFrame rest{kContinuation};
  rest.length = 5;
  CHECK(failure(RawFrame{kBinary, "123456", false}.bytes() + rest.bytes(), 10) == too_big);
  rest.length = (1ULL << 63) - 1;
  CHECK(failure(RawFrame{kBinary, "123456", false}.bytes() + rest.bytes(), 10) == too_big);

  // Control frames between do not count, and the next message starts from nothing.
  const std::string twice = RawFrame{kBinary, "123456", false}.bytes() +
                            RawFrame{kPing, std::string(100, 'p')}.bytes() +
                            RawFrame{kContinuation, "7890"}.bytes();
  CHECK(read_all(twice + twice, {}, 10).size() == 4);
}

TEST_CASE("a stream of empty fragments does not grow memory and never ends the connection") {
  FrameReader reader(Role::server);
  std::vector<Seen> events;
  feed(reader, RawFrame{kBinary, "", false}.bytes(), events, 10);
  std::string many;
  for (int i = 0; i < 1000; ++i) many += RawFrame{kContinuation, "", false}.bytes();
  for (int i = 0; i < 100; ++i) feed(reader, many, events, 10);
  CHECK(events.empty());
  CHECK(reader.buffered() == 0);
  feed(reader, RawFrame{kContinuation, "end"}.bytes(), events, 10);
  CHECK(events == std::vector{message(Opcode::binary, "end")});
}

TEST_CASE("a flood of pings does not grow memory") {
  // wslay would queue a pong for each.
  const auto resident_pages = [] {
    std::size_t size = 0;
    std::size_t resident = 0;
    std::ifstream("/proc/self/statm") >> size >> resident;
    return resident;
  };
  std::string many;
  for (int i = 0; i < 1000; ++i) many += RawFrame{kPing, std::string(100, 'p')}.bytes();
  std::string memory = many;
  FrameReader reader(Role::server);
  std::size_t before = 0;
  std::size_t pings = 0;
  for (int round = 0; round < 300; ++round) {
    memory = many;  // reading unmasks in place
    std::span<std::byte> input = std::as_writable_bytes(std::span(memory));
    while (reader.read(input, 0).kind == Kind::ping) ++pings;
    if (round == 0) before = resident_pages();
  }
  CHECK(pings == 300000);
  CHECK(resident_pages() < before + 2000);  // of 4 KiB
}

TEST_CASE("text must be UTF-8") {
  const Seen invalid = error(CloseCode::invalid_data, "Text is not valid UTF-8");
  const std::vector<std::string> wrong{"\x80",
                                       "\xC0\xAF",
                                       "\xC1\xBF",
                                       "\xC3",
                                       "\xE2\x82",
                                       "\xE0\x80\x80",
                                       "\xE0\x9F\xBF",
                                       "\xED\xA0\x80",
                                       "\xF0\x80\x80\x80",
                                       "\xF0\x8F\xBF\xBF",
                                       "\xF4\x90\x80\x80",
                                       "\xF5\x80",
                                       "\xFF",
                                       "\xF0\x9F\x98",
                                       "ok \xC3(",
                                       std::string(1000, 'a') + "\xFE"};
  for (const std::string& text : wrong) {
    CAPTURE(text);
    CHECK(failure(text_frame(text)) == invalid);
    CHECK(failure(text_frame(text + "tail")) == invalid);
    // The same over two fragments and cut at every byte.
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
      const std::string bytes = RawFrame{kText, text.substr(0, cut), false}.bytes() +
                                RawFrame{kContinuation, text.substr(cut)}.bytes();
      CHECK(failure(bytes) == invalid);
      if (text.size() > 10) break;
    }
  }
  const std::vector<std::string> right{"",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5"};
  for (const std::string& text : right) {
    CAPTURE(text);
    CHECK(read_all(text_frame(text)) == std::vector{message(Opcode::text, text)});
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
      CHECK(read_all(RawFrame{kText, text.substr(0, cut), false}.bytes() +
                     RawFrame{kContinuation, text.substr(cut)}.bytes()) ==
            std::vector{message(Opcode::text, text)});
    }
  }
  // Nobody asks that of binary.
  CHECK(read_all(RawFrame{kBinary, "\xFF"}.bytes()) ==
        std::vector{message(Opcode::binary, "\xFF")});
}

TEST_CASE("invalid text fails as soon as the byte is there that makes it so") {
  // RFC 6455 allows to wait for the message's end; a message that never ends would not be caught.
  const std::vector<std::string> begins{"valid \xCE\xBA\xFF", "\xED\xA0", "\xF4\x90", "\xE0\x80",
                                        "\xF0\x80",           "\xC0",     "\xC3\xC3", "\x80"};
  for (const std::string& begin : begins) {
    CAPTURE(begin);
    RawFrame frame{kText, begin};
    frame.length = 1000;
    FrameReader reader(Role::server);
    std::vector<Seen> events;
    const std::string bytes = frame.bytes();
    feed(reader, std::string_view(bytes).substr(0, bytes.size() - 1), events);
    CHECK(events.empty());
    feed(reader, std::string_view(bytes).substr(bytes.size() - 1), events);
    CHECK(events == std::vector{error(CloseCode::invalid_data, "Text is not valid UTF-8")});
  }
  // A sequence may be open at the end of a fragment, but not of the message.
  FrameReader reader(Role::server);
  std::vector<Seen> events;
  feed(reader, RawFrame{kText, "\xF0\x9F\x98", false}.bytes(), events);
  CHECK(events.empty());
  feed(reader, RawFrame{kContinuation, ""}.bytes(), events);
  CHECK(events == std::vector{error(CloseCode::invalid_data, "Text is not valid UTF-8")});
}

TEST_CASE("close frames") {
  SUBCASE("as recorded from the Python framework") {
    const std::string body =
        hex("03e8436c69656e7420697320636c6f73696e672074686520636f6e6e656374696f6e2e");
    CHECK(read_all(RawFrame{kClose, body}.bytes()) ==
          std::vector{closed(CloseCode::normal, "Client is closing the connection.")});
    RawFrame server{kClose, hex("03e9")};
    server.key.reset();
    CHECK(read_all(server.bytes(), {}, 0, Role::client) ==
          std::vector{closed(CloseCode::going_away, "")});
    RawFrame limited{kClose, hex("03f5") + "Rate limit exceeded"};
    limited.key.reset();
    CHECK(read_all(limited.bytes(), {}, 0, Role::client) ==
          std::vector{closed(CloseCode::try_again_later, "Rate limit exceeded")});
  }
  SUBCASE("without a body") {
    CHECK(read_all(RawFrame{kClose}.bytes()) == std::vector{closed(CloseCode::no_status, "")});
  }
  SUBCASE("with a body of one byte") {
    CHECK(failure(RawFrame{kClose, "\x03"}.bytes()) ==
          protocol_error("Close frame with a body of 1 byte"));
  }
  SUBCASE("every code there is") {
    for (unsigned code = 0; code <= 65535; ++code) {
      const bool legal = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                         (code >= 3000 && code <= 4999);
      const std::vector<Seen> events = read_all(RawFrame{kClose, close_body(code, "why")}.bytes());
      REQUIRE(events == std::vector{legal ? closed(static_cast<CloseCode>(code), "why")
                                          : protocol_error("Close code " + std::to_string(code) +
                                                           " is not allowed")});
    }
  }
  SUBCASE("with a reason that is not UTF-8") {
    CHECK(failure(RawFrame{kClose, close_body(1000, "\xC3")}.bytes()) ==
          error(CloseCode::invalid_data, "Close reason is not valid UTF-8"));
  }
  SUBCASE("in the middle of a message") {
    CHECK(read_all(RawFrame{kText, "half", false}.bytes() +
                   RawFrame{kClose, close_body(1001)}.bytes()) ==
          std::vector{closed(CloseCode::going_away, "")});
  }
}

TEST_CASE("after a close or an error the rest is swallowed, until reset") {
  for (const std::string& end : {RawFrame{kClose}.bytes(), RawFrame{0xF}.bytes()}) {
    FrameReader reader(Role::server);
    std::vector<Seen> events;
    feed(reader, RawFrame{kText, "half", false}.bytes() + end + text_frame("more"), events);
    CHECK(events.size() == 1);
    CHECK(reader.finished());
    CHECK(!reader.idle());
    feed(reader, text_frame("more"), events);
    CHECK(events.size() == 1);

    reader.reset();
    CHECK(reader.idle());
    CHECK(!reader.finished());
    events.clear();
    feed(reader, text_frame("again"), events);
    CHECK(events == std::vector{message(Opcode::text, "again")});
  }
}

TEST_CASE("reset forgets a connection wherever it stood") {
  const std::string bytes = RawFrame{kText, "h\xC3\xA9", false}.bytes() +
                            RawFrame{kPing, "ping"}.bytes() +
                            RawFrame{kContinuation, "llo"}.bytes();
  FrameReader reader(Role::server);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    std::vector<Seen> events;
    feed(reader, std::string_view(bytes).substr(0, cut), events);
    reader.reset();
    CHECK(reader.idle());
    CHECK(reader.buffered() == 0);
    events.clear();
    feed(reader, text_frame("fresh"), events);
    CHECK(events == std::vector{message(Opcode::text, "fresh")});
  }
}

TEST_CASE("idle only between messages and frames, so that a reader can be lent") {
  const std::string whole = RawFrame{kBinary, "abc"}.bytes();
  const std::string parts = RawFrame{kBinary, "a", false}.bytes() + RawFrame{kPing, "p"}.bytes() +
                            RawFrame{kContinuation, "b"}.bytes();
  const std::string bytes = whole + parts;
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    CAPTURE(cut);
    FrameReader reader(Role::server);
    CHECK(reader.idle());
    std::vector<Seen> events;
    feed(reader, std::string_view(bytes).substr(0, cut), events);
    CHECK(reader.idle() == (cut == 0 || cut == whole.size() || cut == bytes.size()));
    // One idle reader is as good as another.
    if (reader.idle() && cut == whole.size()) {
      FrameReader other(Role::server);
      feed(other, std::string_view(bytes).substr(cut), events);
      CHECK(events == read_all(bytes));
    }
  }
}

TEST_CASE("buffered counts what is held for a message that is not whole") {
  FrameReader reader(Role::server);
  std::vector<Seen> events;
  feed(reader, RawFrame{kBinary, std::string(100, 'x'), false}.bytes(), events);
  CHECK(reader.buffered() == 100);
  RawFrame rest{kContinuation, std::string(20, 'y')};
  rest.length = 50;
  feed(reader, rest.bytes(), events);
  CHECK(reader.buffered() == 120);
  // The last 30 bytes of the payload: the key goes on with its third byte.
  feed(reader, std::string(30, 'z'), events);
  CHECK(reader.buffered() == 0);
  REQUIRE(events.size() == 1);
  CHECK(events.front().payload.size() == 150);
}

TEST_CASE("a moved reader goes on where it was") {
  FrameReader first(Role::server);
  std::vector<Seen> events;
  feed(first, RawFrame{kText, "one ", false}.bytes(), events);
  FrameReader second(std::move(first));
  feed(second, RawFrame{kContinuation, "two"}.bytes(), events);
  CHECK(events == std::vector{message(Opcode::text, "one two")});
}
