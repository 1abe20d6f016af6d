// What it costs that a message waits for a recipient, without any socket: what lies in a
// connection's outbox, how it is put there and taken from there. An item is one delivery, or one
// part of an outbox.

#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "protocol/buffer.hpp"
#include "shards/message.hpp"
#include "shards/outbox.hpp"
#include "shards/run.hpp"

using namespace webshocket;
using namespace webshocket::shards;

namespace {

constexpr std::uint64_t kRoom = 1;

std::shared_ptr<const Message> message_of(std::size_t size) {
  const std::string text(size, 'x');
  return Message::freeze(PacketSource::custom, std::nullopt, {Payload(text), nullptr}, Form::raw,
                         {});
}

/// What the kernel is handed: the first parts, all at once.
std::size_t flush(Outbox& outbox) {
  std::array<iovec, 64> parts;
  std::size_t bytes = 0;
  const std::size_t count = outbox.gather(parts);
  for (std::size_t i = 0; i < count; ++i) bytes += parts[i].iov_len;
  outbox.consume(bytes, true);
  return bytes;
}

void fan_outs(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"outboxes", "burst", "bytes"})
      ->ArgsProduct({{1000, 10'000}, {1, 16}, {64, 4096}});
}

struct Sizes {
  explicit Sizes(const benchmark::State& state)
      : outboxes(static_cast<std::size_t>(state.range(0))),
        burst(static_cast<std::size_t>(state.range(1))),
        bytes(static_cast<std::size_t>(state.range(2))) {}

  std::int64_t deliveries() const noexcept { return static_cast<std::int64_t>(outboxes * burst); }

  std::size_t outboxes;
  std::size_t burst;
  std::size_t bytes;
};

/// What it replaces: each outbox gets a copy of its own.
void copies(benchmark::State& state) {
  const Sizes sizes(state);
  const auto message = message_of(sizes.bytes);
  const std::span<const std::byte> frames = message->frames(Form::raw);
  std::vector<Outbox> outboxes(sizes.outboxes);
  for (auto _ : state) {
    for (std::size_t i = 0; i < sizes.burst; ++i) {
      for (Outbox& outbox : outboxes) {
        outbox.write([&](protocol::Buffer& out) { out.append(frames); });
      }
    }
    for (Outbox& outbox : outboxes) benchmark::DoNotOptimize(flush(outbox));
  }
  state.SetItemsProcessed(state.iterations() * sizes.deliveries());
}
BENCHMARK(copies)->Apply(fan_outs);

/// Ranges of one run, which grow: what a connection gets beside its replies.
void ranges(benchmark::State& state) {
  const Sizes sizes(state);
  const auto message = message_of(sizes.bytes);
  Runs runs;
  std::vector<Outbox> outboxes(sizes.outboxes);
  for (auto _ : state) {
    for (std::size_t i = 0; i < sizes.burst; ++i) {
      const Range range = runs.add(kRoom, message, Form::raw);
      for (Outbox& outbox : outboxes) outbox.push(range);
    }
    for (Outbox& outbox : outboxes) benchmark::DoNotOptimize(flush(outbox));
    runs.end_turn();
  }
  state.SetItemsProcessed(state.iterations() * sizes.deliveries());
}
BENCHMARK(ranges)->Apply(fan_outs);

/// A chat's outbox: what is published, and a reply after every fourth. An item is one of both.
void between_replies(benchmark::State& state) {
  const Sizes sizes(state);
  const auto message = message_of(sizes.bytes);
  const std::string reply(sizes.bytes, 'r');
  Runs runs;
  std::vector<Outbox> outboxes(sizes.outboxes);
  std::int64_t items = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < sizes.burst; ++i) {
      const Range range = runs.add(kRoom, message, Form::raw);
      for (Outbox& outbox : outboxes) {
        outbox.push(range);
        if (i % 4 != 3) continue;
        outbox.write([&](protocol::Buffer& out) { out.append(reply); });
      }
    }
    for (Outbox& outbox : outboxes) benchmark::DoNotOptimize(flush(outbox));
    runs.end_turn();
    items += sizes.deliveries() + static_cast<std::int64_t>(sizes.outboxes * (sizes.burst / 4));
  }
  state.SetItemsProcessed(items);
}
BENCHMARK(between_replies)->Apply(fan_outs);

/// A message at the front of a run, however many rooms were written to in between. An item is one
/// message.
void into_runs(benchmark::State& state) {
  const auto rooms = static_cast<std::uint64_t>(state.range(0));
  const auto message = message_of(static_cast<std::size_t>(state.range(1)));
  Runs runs;
  for (auto _ : state) {
    for (int i = 0; i < 16; ++i) {
      for (std::uint64_t room = 0; room < rooms; ++room) {
        benchmark::DoNotOptimize(runs.add(room * 0x9E3779B97F4A7C15, message, Form::raw));
      }
    }
    runs.end_turn();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(16 * rooms));
}
BENCHMARK(into_runs)->ArgNames({"rooms", "bytes"})->ArgsProduct({{1, 100, 10'000}, {64, 4096}});

/// A peer that stays behind: its ranges become bytes of its own, so that it keeps no run alive.
void detach(benchmark::State& state) {
  const auto message = message_of(512);
  for (auto _ : state) {
    state.PauseTiming();
    Runs runs;
    std::optional<Outbox> outbox(std::in_place);
    for (int i = 0; i < 16; ++i) {
      outbox->push(runs.add(kRoom, message, Form::raw));
      for (int other = 0; other < 16; ++other) (void)runs.add(kRoom, message, Form::raw);
    }
    runs.end_turn();
    state.ResumeTiming();
    outbox->detach();
    state.PauseTiming();
    outbox.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * 16);
}
BENCHMARK(detach);

}  // namespace
