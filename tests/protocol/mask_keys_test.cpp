#include "protocol/mask_keys.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "protocol/frame_header.hpp"
#include "protocol/frame_writer.hpp"
#include "protocol/mask.hpp"

using namespace webshocket;
using namespace webshocket::protocol;

namespace {

constexpr std::size_t kBatches = 20;

std::vector<std::uint32_t> draw(MaskKeys& keys, std::size_t count) {
  std::vector<std::uint32_t> drawn(count);
  std::ranges::generate(drawn, [&keys] { return keys(); });
  return drawn;
}

}  // namespace

// What is random is judged by what happens once in more than 2^100 runs.

TEST_CASE("mask keys differ, within a batch and between batches") {
  MaskKeys keys;
  const auto drawn = draw(keys, 16 * kBatches);
  // A few may be equal by chance; a key used twice in each batch would be many.
  CHECK(std::set(drawn.begin(), drawn.end()).size() > drawn.size() - kBatches / 2);
  for (std::size_t i = 0; i < 16; ++i) {
    std::set<std::uint32_t> at_place;
    for (std::size_t batch = 0; batch < kBatches; ++batch) at_place.insert(drawn[16 * batch + i]);
    CHECK(at_place.size() > kBatches / 2);
  }
}

TEST_CASE("mask keys use all of their bits") {
  MaskKeys keys;
  std::uint32_t ones = 0, zeros = 0;
  for (const std::uint32_t key : draw(keys, 16 * kBatches)) {
    ones |= key;
    zeros |= ~key;
  }
  CHECK(ones == UINT32_MAX);
  CHECK(zeros == UINT32_MAX);
}

TEST_CASE("two connections have other keys") {
  MaskKeys first, second;
  CHECK(draw(first, 16) != draw(second, 16));
  CHECK(draw(first, 7) != draw(second, 7));
}

TEST_CASE("mask keys are small") { CHECK(sizeof(MaskKeys) <= 72); }

TEST_CASE("frames are masked with them") {
  MaskKeys keys;
  const MaskSource source(keys);
  const std::string text(1000, 'x');
  Buffer out;
  write_message(out, Opcode::text, std::as_bytes(std::span(text)), 10, source);
  std::set<MaskKey> used;
  std::string read;
  std::span<std::byte> rest = out.span();
  while (!rest.empty()) {
    const std::size_t size = FrameHeader::size(rest);
    const FrameHeader header = FrameHeader::parse(rest.first(size));
    REQUIRE(header.masked);
    used.insert(header.key);
    const auto payload = rest.subspan(size, static_cast<std::size_t>(header.length));
    apply_mask(payload, header.key);
    read.append(reinterpret_cast<const char*>(payload.data()), payload.size());
    rest = rest.subspan(size + payload.size());
  }
  CHECK(read == text);
  CHECK(used.size() > 90);
}

TEST_CASE("random bytes fill what they are asked to fill, and no more") {
  for (const std::size_t size : std::array<std::size_t, 5>{0, 1, 16, 33, 100'000}) {
    std::vector<std::byte> bytes(size + 2, std::byte{0x55});
    std::vector<std::byte> seen(size);
    for (int round = 0; round < 100; ++round) {
      draw_random(std::span(bytes).subspan(1, size));
      for (std::size_t i = 0; i < size; ++i) seen[i] |= bytes[i + 1] ^ std::byte{0x55};
    }
    CHECK(bytes.front() == std::byte{0x55});
    CHECK(bytes.back() == std::byte{0x55});
    CHECK(std::ranges::find(seen, std::byte{0}) == seen.end());
  }
}
