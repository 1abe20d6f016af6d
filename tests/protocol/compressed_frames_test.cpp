#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "protocol/frame_reader.hpp"
#include "protocol/frame_writer.hpp"
#include "tests/protocol/frames.hpp"

using namespace webshocket;
using namespace webshocket::protocol;
using namespace webshocket::protocol::test;

using Kind = FrameEvent::Kind;

namespace {

constexpr unsigned kCompressed = 4;  // RSV1

std::string lines(std::size_t size) {
  std::string text;
  while (text.size() < size) text += "line " + std::to_string(text.size()) + "; ";
  text.resize(size);
  return text;
}

std::string deflated(std::string_view message) {
  Buffer out;
  REQUIRE(Deflater::shared({}).deflate(std::as_bytes(std::span(message)), out));
  return std::string(out.text());
}

std::string frame(unsigned opcode, std::string payload, bool fin = true,
                  unsigned reserved = kCompressed) {
  return RawFrame{.opcode = opcode, .payload = std::move(payload), .fin = fin, .reserved = reserved}
      .bytes();
}

const Compression kSettings{.enabled = true};

/// A server's reading of a client that forgets, or remembers.
std::vector<Seen> read(std::string_view bytes, std::vector<std::size_t> cuts = {},
                       std::size_t max_message = 0, bool remembers = false) {
  PerMessageDeflate deflate({.client_no_context_takeover = !remembers}, Role::server, kSettings);
  return read_all(bytes, cuts, max_message, Role::server, &deflate);
}

std::vector<std::size_t> every(std::size_t step, std::size_t size) {
  std::vector<std::size_t> cuts;
  for (std::size_t cut = step; cut < size; cut += step) cuts.push_back(cut);
  return cuts;
}

Seen reserved_bits() { return error(CloseCode::protocol_error, "Reserved bits are set"); }

}  // namespace

TEST_CASE("a compressed message, whole, in pieces, in fragments") {
  for (const std::size_t size : {200UL, 5000UL, 300'000UL}) {
    const std::string text = lines(size);
    const std::string body = deflated(text);
    CAPTURE(size);
    const std::string whole = frame(kText, body);
    CHECK(read(whole) == std::vector{message(Opcode::text, text)});
    CHECK(read(whole, every(1, whole.size() < 3000 ? whole.size() : 0)) ==
          std::vector{message(Opcode::text, text)});
    CHECK(read(whole, every(997, whole.size())) == std::vector{message(Opcode::text, text)});
    const std::string fragments =
        frame(kBinary, body.substr(0, 10), false) + frame(kContinuation, "", false, 0) +
        frame(kPing, "between", true, 0) + frame(kContinuation, body.substr(10), false, 0) +
        frame(kContinuation, "", true, 0);
    CHECK(read(fragments) == std::vector{ping("between"), message(Opcode::binary, text)});
    CHECK(read(fragments, every(7, fragments.size())) ==
          std::vector{ping("between"), message(Opcode::binary, text)});
  }
}

TEST_CASE("compressed and plain messages take turns") {
  const std::string bytes = frame(kText, deflated(lines(300))) + frame(kText, "plain", true, 0) +
                            frame(kBinary, deflated(lines(400))) + frame(kText, "", true, 0);
  const std::vector expected{message(Opcode::text, lines(300)), message(Opcode::text, "plain"),
                             message(Opcode::binary, lines(400)), message(Opcode::text, "")};
  CHECK(read(bytes) == expected);
  CHECK(read(bytes, every(11, bytes.size())) == expected);
}

TEST_CASE("a peer that remembers, and one that says it does not") {
  const std::string bytes =
      frame(kText, hex("f2 48 cd c9 c9 07 00")) + frame(kText, hex("f2 00 11 00 00"));
  CHECK(read(bytes, {}, 0, true) ==
        std::vector{message(Opcode::text, "Hello"), message(Opcode::text, "Hello")});
  CHECK(read(bytes) ==
        std::vector{message(Opcode::text, "Hello"),
                    error(CloseCode::invalid_data, "Compressed message cannot be inflated")});
}

TEST_CASE("RSV1 belongs to the first frame of a message, and to nobody who has not agreed") {
  const std::string body = deflated(lines(300));
  CHECK(read(frame(kPing, "", true)) == std::vector{reserved_bits()});
  CHECK(read(frame(kPong, "", true)) == std::vector{reserved_bits()});
  CHECK(read(frame(kClose, "", true)) == std::vector{reserved_bits()});
  CHECK(read(frame(kText, body, false) + frame(kContinuation, "", true)) ==
        std::vector{reserved_bits()});
  CHECK(read(frame(kText, "plain", false, 0) + frame(kContinuation, body, true)) ==
        std::vector{reserved_bits()});
  CHECK(read(frame(kText, body, true, 4 | 2)) == std::vector{reserved_bits()});
  CHECK(read(frame(kText, body, true, 2)) == std::vector{reserved_bits()});
  CHECK(read(frame(kText, body, true, 1)) == std::vector{reserved_bits()});
  CHECK(read_all(frame(kText, body)) == std::vector{reserved_bits()});
}

TEST_CASE("text is checked once it is inflated") {
  const std::string bad = lines(300) + "\xC3\x28" + lines(300);
  const Seen failure = error(CloseCode::invalid_data, "Text is not valid UTF-8");
  CHECK(read(frame(kText, deflated(bad))) == std::vector{failure});
  CHECK(read(frame(kBinary, deflated(bad))) == std::vector{message(Opcode::binary, bad)});
  // The compressed bytes are no text, and need be none.
  const std::string good = "déjà vu, " + lines(300);
  const std::string body = deflated(good);
  CHECK(read(frame(kText, body.substr(0, 20), false) +
             frame(kContinuation, body.substr(20), true, 0)) ==
        std::vector{message(Opcode::text, good)});
}

TEST_CASE("the limit holds for what comes out, and for what goes in") {
  const std::string text = lines(10'000);
  const Seen too_big =
      error(CloseCode::message_too_big, "Message is larger than 9999 bytes (max_message)");
  CHECK(read(frame(kText, deflated(text)), {}, 10'000) == std::vector{message(Opcode::text, text)});
  CHECK(read(frame(kText, deflated(text)), {}, 9'999) == std::vector{too_big});
  // Before it arrives, if it cannot be less.
  RawFrame announced{.opcode = kText, .payload = "x", .reserved = kCompressed};
  announced.length = 11'000;
  CHECK(read(announced.bytes(), {}, 9'999) == std::vector{too_big});
}

TEST_CASE("a bomb of many fragments is refused at the limit") {
  const std::string body = deflated(std::string(50'000'000, ' '));
  std::string bytes;
  for (std::size_t at = 0; at < body.size(); at += 1000) {
    bytes += frame(at == 0 ? kText : kContinuation, body.substr(at, 1000), at + 1000 >= body.size(),
                   at == 0 ? kCompressed : 0);
  }
  CHECK(read(bytes, {}, 100'000) ==
        std::vector{error(CloseCode::message_too_big,
                          "Message is larger than 100000 bytes (max_message)")});
}

TEST_CASE("what is written compressed is read again") {
  const std::string text = lines(200'000);
  const std::string body = deflated(text);
  Buffer out;
  write_message(out, Opcode::text, std::as_bytes(std::span(body)), 4096, {}, true);
  PerMessageDeflate deflate({.server_no_context_takeover = true}, Role::client, kSettings);
  CHECK(read_all(out.text(), every(1000, out.size()), 0, Role::client, &deflate) ==
        std::vector{message(Opcode::text, text)});
  // Only the first frame says so.
  const auto* bytes = out.data();
  CHECK(bytes[0] == std::byte{0x41});
  CHECK(bytes[4 + 4096] == std::byte{0x00});
}
