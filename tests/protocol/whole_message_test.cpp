#include "protocol/whole_message.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <span>
#include <string>

#include "tests/protocol/frames.hpp"

using namespace webshocket;
using namespace webshocket::protocol;
using namespace webshocket::protocol::test;

namespace {

std::span<std::byte> span_of(std::string& bytes) {
  return std::as_writable_bytes(std::span(bytes));
}

/// Nothing is taken of it, and nothing is changed.
void check_left(std::string bytes, std::size_t max_message = 0, Role role = Role::server) {
  const std::string before = bytes;
  std::span<std::byte> input = span_of(bytes);
  CHECK_FALSE(take_whole(input, role, max_message));
  CHECK(input.size() == before.size());
  CHECK(bytes == before);
}

}  // namespace

TEST_CASE("a message in one frame is taken, unmasked where it lies") {
  for (const std::size_t size :
       {0UL, 1UL, 7UL, 63UL, 64UL, 65UL, 125UL, 126UL, 65'535UL, 65'536UL}) {
    CAPTURE(size);
    const std::string payload(size, 'p');
    for (const Role role : {Role::server, Role::client}) {
      RawFrame frame{kBinary, payload};
      if (role == Role::client) frame.key.reset();
      std::string bytes = frame.bytes() + "next";
      std::span<std::byte> input = span_of(bytes);
      const auto message = take_whole(input, role, size);
      REQUIRE(message);
      CHECK(message->opcode == Opcode::binary);
      CHECK(as_text(message->payload) == payload);
      CHECK(as_text(input) == "next");
    }
  }
  std::string text = RawFrame{kText,
                              "gr\xC3\xBC\xC3\x9F"
                              "e"}
                         .bytes();
  std::span<std::byte> input = span_of(text);
  const auto message = take_whole(input, Role::server, 0);
  REQUIRE(message);
  CHECK(message->opcode == Opcode::text);
  CHECK(as_text(message->payload) ==
        "gr\xC3\xBC\xC3\x9F"
        "e");
  CHECK(input.empty());
}

TEST_CASE("what is not whole is left") {
  for (const std::size_t size : {3UL, 200UL, 70'000UL}) {
    const std::string bytes = RawFrame{kBinary, std::string(size, 'p')}.bytes();
    for (const std::size_t cut : {0UL, 1UL, 2UL, 5UL, bytes.size() - 1}) {
      check_left(bytes.substr(0, cut));
    }
  }
}

TEST_CASE("what is anything else, or wrong, is left as it was") {
  check_left(RawFrame{kPing, "p"}.bytes());
  check_left(RawFrame{kClose}.bytes());
  check_left(RawFrame{kContinuation, "p"}.bytes());
  check_left(RawFrame{.opcode = kText, .payload = "p", .fin = false}.bytes());
  check_left(RawFrame{.opcode = kText, .payload = "p", .reserved = 4}.bytes());
  check_left(RawFrame{.opcode = 3, .payload = "p"}.bytes());
  check_left(RawFrame{.opcode = kText, .payload = "p", .key = std::nullopt}.bytes());
  check_left(RawFrame{kText, "p"}.bytes(), 0, Role::client);
  check_left(RawFrame{.opcode = kText, .payload = "p", .length_bytes = 2}.bytes());
  check_left(RawFrame{.opcode = kText, .payload = "p", .length_bytes = 8}.bytes());
  check_left(RawFrame{kText, std::string(126, 'p')}.bytes(), 125);
  const std::uint64_t top_bit = std::uint64_t{1} << 63;
  check_left(
      RawFrame{.opcode = kBinary, .payload = "p", .length_bytes = 8, .length = top_bit}.bytes());
  // It has to be unmasked before that is seen.
  check_left(RawFrame{kText, "\xC3("}.bytes());
  check_left(RawFrame{kText, std::string(1'000, 'a') + "\xFF"}.bytes());
}
