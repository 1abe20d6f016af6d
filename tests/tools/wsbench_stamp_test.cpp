#include "tools/wsbench/stamp.hpp"

#include <doctest/doctest.h>

#include <string>

using wsbench::Spelling;
using wsbench::Stamp;
using wsbench::Stamps;

namespace {

constexpr Stamp kStamp{.channel = 7, .sequence = 0x0102030405060708, .due_ns = 0xfedcba9876543210};

std::string payload_of(const Stamps& stamps, const Stamp& stamp) {
  std::string payload(stamps.size(), ' ');
  stamps.write_filler(payload);
  stamps.write(stamp, payload.data());
  return payload;
}

}  // namespace

TEST_CASE("stamp: what is written is read") {
  for (const Spelling spelling : {Spelling::binary, Spelling::printable}) {
    for (const std::size_t more : {0U, 1U, 5000U}) {
      const Stamps stamps(spelling, Stamps::smallest(spelling) + more);
      const std::string payload = payload_of(stamps, kStamp);
      REQUIRE(payload.size() == stamps.size());
      REQUIRE(stamps.begins(payload.data()));
      CHECK(stamps.read(payload.data()) == kStamp);
      CHECK(stamps.read_tail(payload.data() + payload.size() - stamps.tail_size()) ==
            kStamp.sequence);
    }
  }
}

TEST_CASE("stamp: printable payloads are digits") {
  const Stamps stamps(Spelling::printable, 300);
  CHECK(payload_of(stamps, kStamp).find_first_not_of("0123456789abcdef") == std::string::npos);
}

TEST_CASE("stamp: found wherever it stands in a message") {
  for (const Spelling spelling : {Spelling::binary, Spelling::printable}) {
    const Stamps stamps(spelling, 100);
    const std::string payload = payload_of(stamps, kStamp);
    CHECK(stamps.find(payload) == 0);
    CHECK(stamps.find("{\"data\":\"" + payload + "\"}") == 9);
    CHECK(stamps.find("9d77 9d " + payload) == 8);
  }
}

TEST_CASE("stamp: not found where there is none, or where it is cut off") {
  const Stamps stamps(Spelling::printable, 100);
  const std::string payload = payload_of(stamps, kStamp);
  CHECK(stamps.find("") == std::string::npos);
  CHECK(stamps.find("{\"error\":null}") == std::string::npos);
  CHECK(stamps.find(payload.substr(0, 99)) == std::string::npos);
  std::string filler(100, ' ');
  stamps.write_filler(filler);
  CHECK(stamps.find(filler) == std::string::npos);
}

TEST_CASE("stamp: the end tells one message from another") {
  const Stamps stamps(Spelling::binary, 100);
  const std::string one = payload_of(stamps, kStamp);
  std::string mixed = one.substr(0, 50);
  mixed += payload_of(stamps, {.channel = 7, .sequence = 9, .due_ns = 1}).substr(50);
  CHECK(stamps.read(mixed.data()) == kStamp);
  CHECK(stamps.read_tail(mixed.data() + 92) == 9);
}
