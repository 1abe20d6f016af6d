// What frames cost: to unmask, to check as text, to read, to write. Bytes per second are the
// payload's.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/buffer.hpp"
#include "protocol/frame_header.hpp"
#include "protocol/frame_reader.hpp"
#include "protocol/frame_writer.hpp"
#include "protocol/mask.hpp"
#include "protocol/mask_keys.hpp"
#include "protocol/text.hpp"
#include "protocol/utf8.hpp"

using namespace webshocket;
using namespace webshocket::protocol;

namespace {

constexpr std::size_t kFragment = 64 * 1024;
constexpr std::size_t kLimit = 16 * 1024 * 1024;

enum class Content : std::uint8_t { binary, ascii, mixed };

/// Words, or words of several scripts: two to four bytes a letter, blanks between them.
std::string text_of(std::size_t size, bool mixed) {
  const std::string_view words =
      mixed ? "Grüße und καλημέρα, привет мир, 你好世界, 🚀 ahoy; " : "the quick brown fox; ";
  std::string text;
  while (text.size() < size) text += words;
  text.resize(cut_utf8(text, size).size());
  text.resize(size, '.');
  return text;
}

void bytes_of(benchmark::State& state, std::size_t bytes) {
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
}

void sizes(benchmark::internal::Benchmark* bench) {
  for (const int size : {64, 1024, 64 * 1024}) bench->Arg(size);
}

// --- bytes ------------------------------------------------------------------------------------

/// What cannot be beaten: each byte read and written once.
void copy(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const std::vector<std::byte> from(size, std::byte{1});
  std::vector<std::byte> to(size);
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), size);
    benchmark::ClobberMemory();
  }
  bytes_of(state, size);
}
BENCHMARK(copy)->Apply(sizes)->Arg(1024 * 1024);

/// At the place within a buffer where a frame's header leaves the payload.
void unmask(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  std::vector<std::byte> bytes(size + FrameHeader::kMaxSize);
  const std::span<std::byte> payload = std::span(bytes).last(size);
  const MaskKey key{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  for (auto _ : state) {
    apply_mask(payload, key);
    benchmark::ClobberMemory();
  }
  bytes_of(state, size);
}
BENCHMARK(unmask)->Arg(5)->Arg(20)->Apply(sizes)->Arg(1024 * 1024);

void check_text(benchmark::State& state, bool mixed) {
  const std::string text = text_of(static_cast<std::size_t>(state.range(0)), mixed);
  for (auto _ : state) {
    std::string_view view = text;
    benchmark::DoNotOptimize(view);
    const bool valid = is_text(view);
    benchmark::DoNotOptimize(valid);
  }
  bytes_of(state, text.size());
}
BENCHMARK_CAPTURE(check_text, ascii, false)->Apply(sizes);
BENCHMARK_CAPTURE(check_text, mixed, true)->Apply(sizes);

// --- reading ----------------------------------------------------------------------------------

/// A client's frames, so many of one kind. The key is zero: unmasked where they lie, they can be
/// read again.
std::vector<std::byte> frames_of(Content content, std::size_t size, std::size_t count) {
  const std::string text = content == Content::binary ? std::string(size, '\xFF')
                                                      : text_of(size, content == Content::mixed);
  const Opcode opcode = content == Content::binary ? Opcode::binary : Opcode::text;
  auto no_key = [] { return std::uint32_t{0}; };
  Buffer out;
  for (std::size_t i = 0; i < count; ++i) {
    write_message(out, opcode, std::as_bytes(std::span(text)), 0, no_key);
  }
  return {out.span().begin(), out.span().end()};
}

/// All that is in the input; each must be a message.
void read_all(FrameReader& reader, std::span<std::byte> input, std::size_t count) {
  while (!input.empty()) {
    const FrameEvent event = reader.read(input, kLimit);
    if (event.kind != FrameEvent::Kind::message) std::abort();
    benchmark::DoNotOptimize(event.payload.data());
    --count;
  }
  if (count != 0) std::abort();
}

/// As they come from a client that sends sixteen at a time; large ones one by one.
void read(benchmark::State& state, Content content) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const std::size_t count = size > 1024 ? 1 : 16;
  std::vector<std::byte> input = frames_of(content, size, count);
  FrameReader reader(Role::server);
  for (auto _ : state) read_all(reader, input, count);
  bytes_of(state, size * count);
  state.SetItemsProcessed(static_cast<std::int64_t>(count) * state.iterations());
}
BENCHMARK_CAPTURE(read, binary, Content::binary)->Arg(0)->Apply(sizes);
BENCHMARK_CAPTURE(read, ascii, Content::ascii)->Apply(sizes);
BENCHMARK_CAPTURE(read, mixed, Content::mixed)->Apply(sizes);

/// In pieces, as a socket gives a large message: put together in the reader's memory.
void read_in_pieces(benchmark::State& state, Content content) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const auto piece = static_cast<std::size_t>(state.range(1));
  std::vector<std::byte> input = frames_of(content, size, 1);
  FrameReader reader(Role::server);
  for (auto _ : state) {
    FrameEvent event;
    for (std::span<std::byte> left = input; !left.empty();) {
      std::span<std::byte> next = left.first(std::min(piece, left.size()));
      left = left.subspan(next.size());
      event = reader.read(next, kLimit);
    }
    if (event.kind != FrameEvent::Kind::message) std::abort();
  }
  bytes_of(state, size);
}
BENCHMARK_CAPTURE(read_in_pieces, binary, Content::binary)->Args({64 * 1024, 16 * 1024});
BENCHMARK_CAPTURE(read_in_pieces, ascii, Content::ascii)->Args({64 * 1024, 16 * 1024});

/// The judgement on one frame's header, whatever its payload.
void judge(benchmark::State& state) {
  const auto judge = HeaderJudge::create(Role::server);
  FrameHeader header;
  header.fin = true;
  header.masked = true;
  header.length = 64;
  for (auto _ : state) {
    if (!judge->accepts(header, false)) std::abort();
  }
}
BENCHMARK(judge);

// --- writing ----------------------------------------------------------------------------------

/// A server's frames; a client's are masked.
void write(benchmark::State& state, bool masked) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const std::vector<std::byte> payload(size);
  MaskKeys keys;
  Buffer out;
  for (auto _ : state) {
    out.clear();
    write_message(out, Opcode::binary, payload, kFragment,
                  masked ? MaskSource(keys) : MaskSource());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  bytes_of(state, size);
}
BENCHMARK_CAPTURE(write, server, false)->Apply(sizes);
BENCHMARK_CAPTURE(write, client, true)->Apply(sizes);

}  // namespace
