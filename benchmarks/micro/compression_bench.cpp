// What permessage-deflate saves and what it costs, on two traces that are made here: lines of a
// chat as JSON packets, and the positions in a game as msgpack packets. Each is the same in every
// run. `saved` is the share of bytes that need not be sent; the time is one message's.

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <webshocket/payload.hpp>
#include <webshocket/value.hpp>

#include "protocol/deflate.hpp"
#include "protocol/packet_codec.hpp"
#include "protocol/per_message_deflate.hpp"

using namespace webshocket;
using namespace webshocket::protocol;

namespace {

using Trace = std::vector<std::string>;

struct Line {
  std::string from, text;
  std::int64_t at;
  WEBSHOCKET_FIELDS(Line, from, text, at)
};

struct Position {
  std::uint32_t id;
  double x, y, heading;
  std::uint8_t health;
  WEBSHOCKET_FIELDS(Position, id, x, y, heading, health)
};

template <class T>
std::string packet(Format format, std::string_view channel, const T& data) {
  Buffer out;
  if (!encode_data(format, PacketSource::channel, channel, Payload(data), out)) std::abort();
  return std::string(out.text());
}

/// Words as people use them: few of them often, most of them seldom.
Trace chat() {
  const std::vector<std::string> words{
      "the",   "you",    "to",    "and",   "that",   "is",      "it",       "of",     "in",
      "what",  "not",    "we",    "this",  "for",    "have",    "on",       "but",    "so",
      "just",  "like",   "think", "know",  "going",  "tonight", "anyone",   "server", "game",
      "team",  "really", "maybe", "later", "thanks", "lol",     "yes",      "no",     "okay",
      "north", "raid",   "guild", "boss",  "level",  "weekend", "tomorrow", "update", "patch"};
  const std::vector<std::string> people{"alice", "bob", "carol_91", "dmitri", "Ève", "fatima"};
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same in every run
  std::geometric_distribution<std::size_t> pick(0.08);
  std::uniform_int_distribution<std::size_t> length(2, 24);
  Trace trace;
  std::int64_t at = 1'764'000'000'000;
  for (int i = 0; i < 2000; ++i) {
    Line line{people[random() % people.size()], "",
              at += static_cast<std::int64_t>(random() % 4000)};
    for (std::size_t left = length(random); left > 0; --left) {
      line.text += words[pick(random) % words.size()] + (left == 1 ? "" : " ");
    }
    trace.push_back(packet(Format::json, "room.lobby", line));
  }
  return trace;
}

/// Twenty players that move on, ten times a second.
Trace game() {
  std::mt19937 random(2);  // NOLINT(cert-msc51-cpp): the same in every run
  std::uniform_real_distribution<double> turn(-0.2, 0.2);
  std::uniform_real_distribution<double> place(0, 1000);
  std::vector<Position> players;
  for (std::uint32_t id = 1; id <= 20; ++id) {
    players.push_back({id * 7919, place(random), place(random), turn(random) * 15, 100});
  }
  Trace trace;
  for (int i = 0; i < 2000; ++i) {
    for (Position& player : players) {
      player.heading += turn(random);
      // As games send it: to the centimetre.
      player.x = std::round((player.x + std::cos(player.heading)) * 100) / 100;
      player.y = std::round((player.y + std::sin(player.heading)) * 100) / 100;
      if (random() % 200 == 0) player.health = static_cast<std::uint8_t>(random() % 100);
    }
    trace.push_back(packet(Format::msgpack, "arena.7", players));
  }
  return trace;
}

const Trace& trace_of(std::int64_t which) {
  static const Trace kChat = chat();
  static const Trace kGame = game();
  return which == 0 ? kChat : kGame;
}

void arguments(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"game", "level", "context", "window", "memory"});
  for (const int trace : {0, 1}) {
    for (const int level : {1, 6, 9}) {
      for (const int context : {0, 1}) bench->Args({trace, level, context, 15, 8});
    }
    for (const int memory : {2, 4, 5, 6}) bench->Args({trace, 6, 0, 15, memory});
    bench->Args({trace, 6, 1, 11, 4});
  }
}

Compression settings_of(const benchmark::State& state) {
  const bool context = state.range(2) != 0;
  return {.enabled = true,
          .threshold = 0,
          .level = static_cast<int>(state.range(1)),
          .window_bits = static_cast<int>(state.range(3)),
          .memory_level = static_cast<int>(state.range(4)),
          .context = context,
          .peer_context = context};
}

DeflateTerms terms_of(const Compression& settings) {
  return {.server_no_context_takeover = !settings.context,
          .client_no_context_takeover = !settings.context,
          .server_window_bits = settings.window_bits,
          .client_window_bits = settings.window_bits};
}

void BM_Deflate(benchmark::State& state) {
  const Trace& trace = trace_of(state.range(0));
  const Compression settings = settings_of(state);
  PerMessageDeflate deflate(terms_of(settings), Role::server, settings);
  Buffer out;
  std::size_t before = 0;
  std::size_t after = 0;
  std::size_t next = 0;
  for (auto _ : state) {
    const std::string& message = trace[next++ % trace.size()];
    out.clear();
    const bool smaller = deflate.deflate(std::as_bytes(std::span(message)), settings, out);
    before += message.size();
    after += smaller ? out.size() : message.size();
  }
  const auto messages = static_cast<double>(state.iterations());
  state.counters["bytes"] = static_cast<double>(before) / messages;
  state.counters["saved"] = 1 - static_cast<double>(after) / static_cast<double>(before);
}
BENCHMARK(BM_Deflate)->Apply(arguments);

void BM_Inflate(benchmark::State& state) {
  const Trace& trace = trace_of(state.range(0));
  const Compression settings = settings_of(state);
  // Made beforehand; who remembers must see them in their order, and from the first one on.
  PerMessageDeflate sender(terms_of(settings), Role::server, settings);
  std::vector<std::string> messages;
  for (const std::string& message : trace) {
    Buffer out;
    if (sender.deflate(std::as_bytes(std::span(message)), settings, out)) {
      messages.emplace_back(out.text());
    }
  }
  auto receiver = std::make_unique<PerMessageDeflate>(terms_of(settings), Role::client, settings);
  Buffer out;
  std::size_t next = 0;
  for (auto _ : state) {
    if (next == messages.size()) {
      state.PauseTiming();
      next = 0;
      receiver = std::make_unique<PerMessageDeflate>(terms_of(settings), Role::client, settings);
      state.ResumeTiming();
    }
    out.clear();
    const auto status =
        receiver->inflater().inflate(std::as_bytes(std::span(messages[next++])), out, 1'000'000);
    if (status != Inflater::Status::ok) return state.SkipWithError("cannot be inflated");
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(BM_Inflate)->Apply(arguments);

}  // namespace
