#include <webshocket/types.hpp>

#include <doctest/doctest.h>

#include <unordered_set>

using namespace webshocket;

TEST_CASE("uid: text and back") {
  Uid uid;
  for (std::size_t i = 0; i < uid.bytes.size(); ++i) uid.bytes[i] = static_cast<std::byte>(i * 17);
  CHECK(uid.to_string() == "00112233-4455-6677-8899-aabbccddeeff");
  CHECK(Uid::parse(uid.to_string()) == uid);
  CHECK(Uid::parse("00112233-4455-6677-8899-AABBCCDDEEFF") == uid);
  CHECK(Uid().to_string() == "00000000-0000-0000-0000-000000000000");
}

TEST_CASE("uid: what is no uid") {
  for (const auto text :
       {"", "0", "00112233-4455-6677-8899-aabbccddeef", "00112233-4455-6677-8899-aabbccddeefff",
        "00112233445566778899aabbccddeeff0000", "00112233-4455-6677-8899_aabbccddeeff",
        "0011223g-4455-6677-8899-aabbccddeeff", "00112233-4455-6677-8899-aabbccddee f",
        "-0112233-4455-6677-8899-aabbccddeeff"}) {
    CAPTURE(text);
    CHECK_FALSE(Uid::parse(text));
  }
}

TEST_CASE("uid: ordered and hashed by its bytes") {
  const Uid low = *Uid::parse("00000000-0000-0000-0000-000000000001");
  const Uid high = *Uid::parse("80000000-0000-0000-0000-000000000000");
  CHECK(low < high);
  const std::unordered_set<Uid> uids{low, high, low};
  CHECK(uids.size() == 2);
}

TEST_CASE("types: names of enumerators") {
  CHECK(to_string(Format::msgpack) == "msgpack");
  CHECK(to_string(Format::json) == "json");
  CHECK(to_string(Format::raw) == "raw");
  CHECK(to_string(static_cast<Format>(99)) == "invalid");
  CHECK(to_string(ConnectionState::disconnected) == "disconnected");
  CHECK(to_string(ConnectionState::connecting) == "connecting");
  CHECK(to_string(ConnectionState::connected) == "connected");
  CHECK(to_string(ConnectionState::closed) == "closed");
  CHECK(to_string(static_cast<ConnectionState>(99)) == "invalid");
  CHECK(to_string(ServerState::closed) == "closed");
  CHECK(to_string(ServerState::serving) == "serving");
  CHECK(to_string(ServerState::draining) == "draining");
  CHECK(to_string(static_cast<ServerState>(99)) == "invalid");
}
