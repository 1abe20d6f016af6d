#include "protocol/frame_writer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/protocol/frames.hpp"

using namespace webshocket;
using namespace webshocket::protocol;
using namespace webshocket::protocol::test;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string written(std::string_view payload, std::size_t fragment_size,
                    Opcode opcode = Opcode::binary) {
  Buffer out;
  write_message(out, opcode, bytes_of(payload), fragment_size);
  return std::string(out.text());
}

struct Keys {
  std::uint32_t key = 0;
  int drawn = 0;
  std::uint32_t operator()() {
    ++drawn;
    return key++;
  }
};

/// The payload sizes of a server's frames, with their FIN bits and opcodes checked.
std::vector<std::size_t> fragment_sizes(std::string_view bytes) {
  std::vector<std::size_t> sizes;
  while (!bytes.empty()) {
    const std::span<const std::byte> raw = bytes_of(bytes);
    const std::size_t header = FrameHeader::size(raw);
    const FrameHeader frame = FrameHeader::parse(raw.first(header));
    CHECK(frame.opcode == (sizes.empty() ? Opcode::binary : Opcode::continuation));
    CHECK(frame.minimal);
    CHECK(!frame.masked);
    CHECK(frame.reserved == 0);
    bytes.remove_prefix(header + static_cast<std::size_t>(frame.length));
    CHECK(frame.fin == bytes.empty());
    sizes.push_back(static_cast<std::size_t>(frame.length));
  }
  return sizes;
}

}  // namespace

TEST_CASE("a server's frames, byte for byte") {
  CHECK(written("Hello", 65536, Opcode::text) == hex("81 05 48 65 6c 6c 6f"));
  CHECK(written("", 65536) == hex("82 00"));
  CHECK(written(std::string(125, 'x'), 0) == hex("82 7d") + std::string(125, 'x'));
  CHECK(written(std::string(126, 'x'), 0) == hex("82 7e 00 7e") + std::string(126, 'x'));
  CHECK(written(std::string(65535, 'x'), 0) == hex("82 7e ff ff") + std::string(65535, 'x'));
  CHECK(written(std::string(65536, 'x'), 0) ==
        hex("82 7f 00 00 00 00 00 01 00 00") + std::string(65536, 'x'));
  CHECK(written("Hello", 3, Opcode::text) == hex("01 03 48 65 6c 80 02 6c 6f"));
}

TEST_CASE("fragments as the Python framework cuts them") {
  const auto sizes = [](std::size_t payload) {
    return fragment_sizes(written(std::string(payload, 'x'), 65536));
  };
  CHECK(sizes(1) == std::vector<std::size_t>{1});
  CHECK(sizes(65536) == std::vector<std::size_t>{65536});
  CHECK(sizes(65537) == std::vector<std::size_t>{65536, 1});
  CHECK(sizes(131072) == std::vector<std::size_t>{65536, 65536});
  CHECK(sizes(200060) == std::vector<std::size_t>{65536, 65536, 65536, 3452});
}

TEST_CASE("framed_size is what is written") {
  for (const std::size_t payload :
       std::vector<std::size_t>{0, 1, 125, 126, 500, 65535, 65536, 65537, 131072, 200060}) {
    for (const std::size_t fragment :
         std::vector<std::size_t>{0, 1, 2, 125, 126, 65535, 65536, 1000000}) {
      if (fragment == 1 && payload > 1000) continue;
      const std::string text(payload, 'x');
      Buffer out;
      write_message(out, Opcode::binary, bytes_of(text), fragment);
      CHECK(out.size() == framed_size(payload, fragment));
      out.clear();
      Keys keys;
      write_message(out, Opcode::binary, bytes_of(text), fragment, keys);
      CHECK(out.size() == framed_size(payload, fragment, true));
    }
  }
}

TEST_CASE("writing appends, and leaves what is there") {
  Buffer out;
  out.append("before");
  write_message(out, Opcode::text, bytes_of("a"), 0);
  write_ping(out, bytes_of("b"));
  CHECK(out.text() == "before" + hex("81 01 61 89 01 62"));
}

TEST_CASE("a client's frames are masked, each with a key of its own") {
  Keys keys{.key = 0x3d21fa37};  // 37 fa 21 3d in memory
  Buffer out;
  write_message(out, Opcode::text, bytes_of("Hello"), 0, keys);
  CHECK(out.text() == hex("81 85 37 fa 21 3d 7f 9f 4d 51 58"));

  out.clear();
  keys = {};
  write_message(out, Opcode::binary, bytes_of(std::string(100, 'x')), 30, keys);
  write_ping(out, {}, keys);
  write_pong(out, bytes_of("p"), keys);
  write_close(out, CloseCode::normal, "bye", keys);
  CHECK(keys.drawn == 7);
  CHECK(read_all(out.text()) == std::vector{message(Opcode::binary, std::string(100, 'x')),
                                            ping(""), pong("p"), closed(CloseCode::normal, "bye")});

  // A server's frame after a client's, on the same thread.
  CHECK(written("Hello", 0, Opcode::text) == hex("81 05 48 65 6c 6c 6f"));
}

TEST_CASE("close frames") {
  const auto close = [](CloseCode code, std::string_view reason) {
    Buffer out;
    write_close(out, code, reason);
    return std::string(out.text());
  };
  CHECK(close(CloseCode::normal, "Client is closing the connection.") ==
        hex("8823 03e8436c69656e7420697320636c6f73696e672074686520636f6e6e656374696f6e2e"));
  CHECK(close(CloseCode::going_away, "") == hex("8802 03e9"));
  CHECK(close(static_cast<CloseCode>(4999), "") == hex("8802 1387"));
  // Codes that must not be sent.
  CHECK(close(CloseCode::no_status, "ignored") == hex("8800"));
  CHECK(close(CloseCode::abnormal, "ignored") == hex("8800"));

  SUBCASE("the reason is cut between two code points") {
    CHECK(close(CloseCode::normal, std::string(123, 'r')).size() == 2 + 125);
    CHECK(close(CloseCode::normal, std::string(124, 'r')).size() == 2 + 125);
    // 122 bytes, then one of two: it does not fit.
    CHECK(close(CloseCode::normal, std::string(122, 'r') + "\xC3\xA9") ==
          hex("887c 03e8") + std::string(122, 'r'));
    CHECK(close(CloseCode::normal, std::string(121, 'r') + "\xC3\xA9") ==
          hex("887d 03e8") + std::string(121, 'r') + "\xC3\xA9");
    CHECK(close(CloseCode::normal, std::string(120, 'r') + "\xF0\x9F\x98\x80") ==
          hex("887a 03e8") + std::string(120, 'r'));
  }
  SUBCASE("a reason that no peer would take is left out") {
    CHECK(close(CloseCode::normal, "caf\xE9") == hex("8802 03e8"));
    CHECK(close(CloseCode::normal, std::string(300, '\x80')) == hex("8802 03e8"));
  }
}

TEST_CASE("pings and pongs hold at most 125 bytes") {
  Buffer out;
  write_ping(out, bytes_of(std::string(125, 'p')));
  CHECK(out.text() == hex("897d") + std::string(125, 'p'));
  out.clear();
  write_pong(out, bytes_of(std::string(126, 'p')));
  CHECK(out.text() == hex("8a7d") + std::string(125, 'p'));
}

TEST_CASE("what one end writes at random, the other reads, cut at random") {
  std::mt19937 random(20240607);
  const auto below = [&random](std::size_t limit) { return random() % limit; };
  const auto some_text = [&](std::size_t limit) {
    static const std::vector<std::string> kParts{
        "a", "z", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\n"};
    std::string text;
    while (text.size() < limit) text += kParts[below(kParts.size())];
    return text;
  };
  for (int round = 0; round < 400; ++round) {
    CAPTURE(round);
    const bool client = round % 2 == 0;
    const MaskSource mask = client ? MaskSource(random) : MaskSource();
    Buffer out;
    std::vector<Seen> expected;
    for (std::size_t i = 0, count = 1 + below(12); i < count; ++i) {
      const std::size_t size = below(10) == 0 ? below(70000) : below(300);
      const std::size_t fragment = below(3) == 0 ? 0 : 1 + below(size / 3 + 2);
      const Opcode opcode = below(2) == 0 ? Opcode::text : Opcode::binary;
      std::string payload = some_text(size);
      if (opcode == Opcode::binary) std::shuffle(payload.begin(), payload.end(), random);

      // Control frames between the fragments: each fragment is written, then moved behind them.
      Buffer frames;
      write_message(frames, opcode, bytes_of(payload), fragment, mask);
      std::span<const std::byte> rest = frames.span();
      while (!rest.empty()) {
        const std::size_t header = FrameHeader::size(rest);
        const auto length = FrameHeader::parse(rest.first(header)).length;
        const std::size_t whole = header + static_cast<std::size_t>(length);
        out.append(rest.first(whole));
        rest = rest.subspan(whole);
        if (below(4) != 0) continue;
        const std::string note = some_text(below(100));
        if (rest.empty()) continue;
        if (below(2) == 0) {
          write_ping(out, bytes_of(note), mask);
          expected.push_back(ping(note));
        } else {
          write_pong(out, bytes_of(note), mask);
          expected.push_back(pong(note));
        }
      }
      expected.push_back(message(opcode, payload));
    }
    write_close(out, CloseCode::going_away, "\xC3\xA9nd", mask);
    expected.push_back(closed(CloseCode::going_away, "\xC3\xA9nd"));

    std::vector<std::size_t> cuts(below(20));
    for (std::size_t& cut : cuts) cut = below(out.size() + 1);
    std::sort(cuts.begin(), cuts.end());
    CHECK(read_all(out.text(), cuts, 0, client ? Role::server : Role::client) == expected);
  }
}

TEST_CASE("threads write at the same time") {
  const std::string expected = written(std::string(1000, 'x'), 100);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int& count : wrong) {
    threads.emplace_back([&count, &expected] {
      for (int i = 0; i < 500; ++i) count += written(std::string(1000, 'x'), 100) != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4));
}

TEST_CASE("masking: the position within the frame decides, not the alignment") {
  const MaskKey key{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  for (std::size_t offset = 0; offset < 9; ++offset) {
    for (std::size_t size = 0; size < 40; ++size) {
      std::vector<std::byte> memory(offset + size);
      apply_mask(std::span(memory).subspan(offset), key, size + 3);
      for (std::size_t i = 0; i < size; ++i) {
        REQUIRE(memory[offset + i] == key[(i + size + 3) % 4]);
      }
      for (std::size_t i = 0; i < offset; ++i) REQUIRE(memory[i] == std::byte{0});
    }
  }
}
