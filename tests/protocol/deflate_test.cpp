#include "protocol/deflate.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/per_message_deflate.hpp"
#include "tests/protocol/frames.hpp"

using namespace webshocket;
using namespace webshocket::protocol;
using namespace webshocket::protocol::test;

using Status = Inflater::Status;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string chat(std::size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i) {
    text += R"({"from":"alice","text":"hello, this is line )" + std::to_string(i) + "\"}";
  }
  text.resize(size);
  return text;
}

std::string noise(std::size_t size) {
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same in every run
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

std::string deflated(Deflater& deflater, std::string_view message) {
  Buffer out;
  REQUIRE(deflater.deflate(bytes_of(message), out));
  return std::string(out.text());
}

std::string inflated(Inflater& inflater, std::string_view message) {
  Buffer out;
  REQUIRE(inflater.inflate(bytes_of(message), out, 0) == Status::ok);
  return std::string(out.text());
}

}  // namespace

TEST_CASE("the examples of RFC 7692, section 7.2.3") {
  Inflater inflater(15, true);
  SUBCASE("one block, and again with what it remembers") {
    CHECK(inflated(inflater, hex("f2 48 cd c9 c9 07 00")) == "Hello");
    CHECK(inflated(inflater, hex("f2 00 11 00 00")) == "Hello");
  }
  SUBCASE("a block without compression") {
    CHECK(inflated(inflater, hex("00 05 00 fa ff 48 65 6c 6c 6f 00")) == "Hello");
  }
  SUBCASE("a block that says it is the last") {
    CHECK(inflated(inflater, hex("f3 48 cd c9 c9 07 00 00")) == "Hello");
    // What follows may still refer to it.
    CHECK(inflated(inflater, hex("f2 00 11 00 00")) == "Hello");
  }
  SUBCASE("two blocks") {
    CHECK(inflated(inflater, hex("f2 48 05 00 00 00 ff ff ca c9 c9 07 00")) == "Hello");
  }
  SUBCASE("an empty message") { CHECK(inflated(inflater, hex("00")).empty()); }
}

TEST_CASE("what is deflated is inflated to the same, in any size and with any setting") {
  for (const int window_bits : {9, 12, 15}) {
    for (const int level : {1, 6, 9}) {
      const Compression settings{.level = level, .window_bits = window_bits, .memory_level = 4};
      Deflater forgetful(settings, window_bits);
      Deflater remembering(settings, window_bits);
      Inflater with_window(window_bits, true);
      Inflater without;
      for (const std::size_t size : {100UL, 1000UL, 70'000UL, 1'000'000UL}) {
        const std::string text = chat(size);
        CAPTURE(window_bits);
        CAPTURE(level);
        CAPTURE(size);
        forgetful.forget();
        const std::string once = deflated(forgetful, text);
        CHECK(once.size() < size);
        CHECK(inflated(without, once) == text);
        CHECK(inflated(with_window, deflated(remembering, text)) == text);
      }
    }
  }
}

TEST_CASE("what it remembers makes the next message smaller") {
  Deflater deflater({}, 15);
  Inflater inflater(15, true);
  const std::string first = deflated(deflater, chat(400));
  const std::string second = deflated(deflater, chat(400));
  CHECK(second.size() < first.size() / 4);
  CHECK(inflated(inflater, first) == chat(400));
  CHECK(inflated(inflater, second) == chat(400));
  SUBCASE("and who does not remember cannot read it") {
    Inflater forgetful;
    Buffer out;
    CHECK(forgetful.inflate(bytes_of(second), out, 0) == Status::corrupt);
    CHECK(inflated(forgetful, first) == chat(400));
  }
  SUBCASE("until it is told to forget") {
    deflater.forget();
    CHECK(deflated(deflater, chat(400)).size() == first.size());
  }
}

TEST_CASE("what would not get smaller is left alone") {
  Deflater deflater({}, 15);
  Buffer out;
  out.append(std::string_view("before"));
  for (const std::string& message : {std::string(), std::string("a"), noise(5), noise(100'000)}) {
    CHECK_FALSE(deflater.deflate(bytes_of(message), out));
    CHECK(out.text() == "before");
    deflater.forget();
  }
  CHECK(deflater.deflate(bytes_of(chat(200)), out));
  CHECK(out.text().starts_with("before"));
}

TEST_CASE("an empty message behind another one") {
  Deflater deflater({}, 15);
  Inflater inflater(15, true);
  Buffer out;
  CHECK(inflated(inflater, deflated(deflater, chat(300))) == chat(300));
  CHECK_FALSE(deflater.deflate({}, out));
  CHECK(out.empty());
  CHECK_FALSE(is_worth_deflating({.threshold = 0}, Compress::always, 0));
  CHECK(inflated(inflater, deflated(deflater, chat(300))) == chat(300));
}

TEST_CASE("a message that is cut off is no message") {
  Deflater deflater({}, 15);
  const std::string whole = deflated(deflater, chat(2000));
  for (std::size_t size = 1; size < whole.size(); ++size) {
    CAPTURE(size);
    Inflater inflater;
    Buffer out;
    CHECK(inflater.inflate(bytes_of(whole).first(size), out, 0) == Status::corrupt);
  }
}

TEST_CASE("no more comes out than is let out") {
  constexpr std::size_t kBomb = 64 * 1024 * 1024;
  Deflater deflater({.level = 9}, 15);
  const std::string bomb = deflated(deflater, std::string(kBomb, '\0'));
  CHECK(bomb.size() < kBomb / 1000);
  Inflater inflater;
  Buffer out;
  CHECK(inflater.inflate(bytes_of(bomb), out, 100'000) == Status::too_big);
  CHECK(out.capacity() < 1'000'000);
  SUBCASE("to the byte") {
    deflater.forget();
    const std::string message = deflated(deflater, chat(5000));
    out.clear();
    CHECK(inflater.inflate(bytes_of(message), out, 4999) == Status::too_big);
    out.clear();
    CHECK(inflater.inflate(bytes_of(message), out, 5000) == Status::ok);
    CHECK(out.text() == chat(5000));
  }
  SUBCASE("and what was there before does not count") {
    deflater.forget();
    out.clear();
    out.append(std::string_view("before "));
    CHECK(inflater.inflate(bytes_of(deflated(deflater, chat(5000))), out, 5000) == Status::ok);
    CHECK(out.text() == "before " + chat(5000));
  }
}

TEST_CASE("what is no deflate stream is corrupt, and the next message is not") {
  Inflater& inflater = Inflater::shared();
  Deflater& deflater = Deflater::shared({});
  for (const std::string& message : {hex("ff ff ff"), hex("07"), hex("06 00 00"), noise(1000)}) {
    Buffer out;
    CHECK(inflater.inflate(bytes_of(message), out, 0) == Status::corrupt);
    deflater.forget();
    CHECK(inflated(inflater, deflated(deflater, chat(300))) == chat(300));
  }
}

TEST_CASE("a thread's compressor follows the settings") {
  const std::string text = chat(60'000);
  const std::string quick = deflated(Deflater::shared({.level = 1}), text);
  const std::string small = deflated(Deflater::shared({.level = 9}), text);
  CHECK(small.size() < quick.size());
  CHECK(deflated(Deflater::shared({.level = 1}), text) == quick);
}

TEST_CASE("one connection's share") {
  const Compression settings{
      .enabled = true, .window_bits = 15, .context = true, .peer_context = true};
  Buffer out;
  const auto send = [&](PerMessageDeflate& from, std::string_view text) {
    out.clear();
    REQUIRE(from.deflate(bytes_of(text), settings, out));
    return std::string(out.text());
  };
  SUBCASE("both ends remember, and forget what others have made") {
    const DeflateTerms terms;
    PerMessageDeflate server(terms, Role::server, settings);
    PerMessageDeflate client(terms, Role::client, settings);
    const std::string first = send(server, chat(500));
    const std::string second = send(server, chat(500));
    CHECK(second.size() < first.size() / 2);
    CHECK(inflated(client.inflater(), first) == chat(500));
    CHECK(inflated(client.inflater(), second) == chat(500));

    CHECK(inflated(client.inflater(), deflated(Deflater::shared(settings), chat(900))) ==
          chat(900));
    server.forget();
    const std::string third = send(server, chat(500));
    CHECK(third.size() == first.size());
    CHECK(inflated(client.inflater(), third) == chat(500));
    CHECK(inflated(server.inflater(), send(client, chat(700))) == chat(700));
  }
  SUBCASE("neither remembers") {
    const DeflateTerms terms{.server_no_context_takeover = true,
                             .client_no_context_takeover = true};
    PerMessageDeflate server(terms, Role::server, settings);
    PerMessageDeflate client(terms, Role::client, settings);
    CHECK(send(server, chat(500)) == send(server, chat(500)));
    CHECK(&client.inflater() == &Inflater::shared());
    CHECK(server.can_share());
  }
  SUBCASE("a peer with a small window gets the large ones as they are") {
    for (const int bits : {8, 9, 11}) {
      const DeflateTerms terms{.server_no_context_takeover = true, .server_window_bits = bits};
      PerMessageDeflate server(terms, Role::server, settings);
      const std::size_t window = std::size_t{1} << bits;
      CHECK_FALSE(server.can_share());
      CHECK(server.deflate(bytes_of(chat(window)), settings, out));
      CHECK_FALSE(server.deflate(bytes_of(chat(window + 1)), settings, out));
    }
  }
  SUBCASE("one that remembers compresses for the peer's window") {
    const DeflateTerms terms{.server_window_bits = 9};
    PerMessageDeflate server(terms, Role::server, settings);
    Inflater small_window(9, true);
    for (int i = 0; i < 5; ++i)
      CHECK(inflated(small_window, send(server, chat(9000))) == chat(9000));
  }
  SUBCASE("what is not sent is forgotten") {
    const DeflateTerms terms;
    PerMessageDeflate server(terms, Role::server, settings);
    PerMessageDeflate client(terms, Role::client, settings);
    CHECK_FALSE(server.deflate(bytes_of(noise(3000)), settings, out));
    CHECK(inflated(client.inflater(), send(server, chat(500))) == chat(500));
    CHECK_FALSE(server.deflate(bytes_of(noise(3000)), settings, out));
    CHECK(inflated(client.inflater(), send(server, chat(500))) == chat(500));
  }
}
