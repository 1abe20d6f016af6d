// What a publish costs to find its recipients, and what it costs to come and go.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "shards/channels.hpp"

namespace {

using webshocket::shards::Channels;
using webshocket::shards::ChannelsOptions;
using webshocket::shards::Subscriber;

// About as large as a connection, so that a walk meets the memory that it meets in life.
struct Client : Subscriber {
  std::uint64_t received = 0;
  std::array<std::byte, 280> rest;
};

class Shard {
 public:
  explicit Shard(ChannelsOptions options = {}) : channels(options) {}
  ~Shard() {
    for (const auto& client : clients_) channels.remove(*client);
  }
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  Client& connect() { return *clients_.emplace_back(std::make_unique<Client>()); }
  void publish(std::string_view name) {
    channels.for_each_match(name, [](Subscriber& to) { ++static_cast<Client&>(to).received; });
  }

  Channels channels;

 private:
  std::vector<std::unique_ptr<Client>> clients_;
};

std::string numbered(const char* name, std::int64_t i) { return name + std::to_string(i); }

void one_recipient_of_many_channels(benchmark::State& state) {
  Shard shard;
  shard.channels.subscribe(shard.connect(), "market.btc-usd");
  for (std::int64_t i = 1; i < state.range(0); ++i) {
    shard.channels.subscribe(shard.connect(), numbered("user.", i));
  }
  for (auto _ : state) shard.publish("market.btc-usd");
}
BENCHMARK(one_recipient_of_many_channels)->Arg(1)->Arg(1000)->Arg(100000);

// Each of the other patterns has a prefix of its own, as users have.
void one_recipient_beside_patterns(benchmark::State& state) {
  Shard shard;
  shard.channels.subscribe(shard.connect(), "market.btc-usd");
  for (std::int64_t i = 1; i < state.range(0); ++i) {
    shard.channels.subscribe(shard.connect(), numbered("user.", i) + ".*");
  }
  for (auto _ : state) shard.publish("market.btc-usd");
}
BENCHMARK(one_recipient_beside_patterns)->Arg(1)->Arg(1000)->Arg(100000);

// All patterns have the prefix of the name, one of them matches.
void one_pattern_of_many_alike(benchmark::State& state) {
  Shard shard;
  shard.channels.subscribe(shard.connect(), "market.*.trades");
  for (std::int64_t i = 1; i < state.range(0); ++i) {
    shard.channels.subscribe(shard.connect(), numbered("market.*.", i));
  }
  for (auto _ : state) shard.publish("market.btc-usd.trades");
}
BENCHMARK(one_pattern_of_many_alike)->Arg(1)->Arg(8)->Arg(9)->Arg(1000)->Arg(100000);

// Where trying the candidates anew ceases to be cheaper than remembering: the limit
// `tried_at_once`.
void candidates(benchmark::State& state) {
  Shard shard({.tried_at_once = static_cast<std::uint32_t>(state.range(1))});
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    shard.channels.subscribe(shard.connect(), numbered("market.*.", i));
  }
  for (auto _ : state) shard.publish("market.btc-usd.trades");
}
BENCHMARK(candidates)->ArgsProduct({{1, 2, 4, 8}, {0, 8}});

void changing_names(benchmark::State& state) {
  Shard shard({.tried_at_once = static_cast<std::uint32_t>(state.range(1))});
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    shard.channels.subscribe(shard.connect(), numbered("user.*.", i));
  }
  std::vector<std::string> names;
  for (int i = 0; i < 100000; ++i) names.push_back(numbered("user.", i) + ".mail");
  std::size_t next = 0;
  for (auto _ : state) shard.publish(names[next++ % names.size()]);
}
BENCHMARK(changing_names)->ArgsProduct({{1, 8}, {0, 8}});

void recipients(benchmark::State& state) {
  Shard shard;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    shard.channels.subscribe(shard.connect(), "all");
  }
  for (auto _ : state) shard.publish("all");
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(recipients)->Arg(1)->Arg(10)->Arg(1000)->Arg(10000)->Arg(100000);

// A publish to 1,000, beside so many other channels and as many patterns: with prefixes of their
// own ("user.7.*"), with none ("*.7"), or with none and other names all the time.
enum class Others : std::uint8_t { prefixed, loose, loose_and_changing };

void thousand_recipients_beside(benchmark::State& state, Others others) {
  Shard shard;
  for (int i = 0; i < 1000; ++i) shard.channels.subscribe(shard.connect(), "market.*");
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    Client& client = shard.connect();
    shard.channels.subscribe(client, numbered("user.", i));
    shard.channels.subscribe(
        client, others == Others::prefixed ? numbered("user.", i) + ".*" : numbered("*.", i));
  }
  std::vector<std::string> names;
  const int count = others == Others::loose_and_changing ? 100'000 : 1;
  for (int i = 0; i < count; ++i) names.push_back(numbered("market.", i) + ".btc");
  std::size_t next = 0;
  for (auto _ : state) shard.publish(names[next++ % names.size()]);
}
BENCHMARK_CAPTURE(thousand_recipients_beside, prefixed, Others::prefixed)
    ->Arg(1)
    ->Arg(1000)
    ->Arg(100000);
BENCHMARK_CAPTURE(thousand_recipients_beside, loose, Others::loose)->Arg(1)->Arg(1000)->Arg(100000);
BENCHMARK_CAPTURE(thousand_recipients_beside, loose_and_changing, Others::loose_and_changing)
    ->Arg(1)
    ->Arg(1000)
    ->Arg(100000);

// The same walk over an array of pointers and nothing else: what cannot be beaten.
void recipients_of_a_plain_array(benchmark::State& state) {
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<Client*> list;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    list.push_back(clients.emplace_back(std::make_unique<Client>()).get());
  }
  for (auto _ : state) {
    for (Client* client : list) ++client->received;
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(recipients_of_a_plain_array)->Arg(1)->Arg(1000)->Arg(10000)->Arg(100000);

// With as much to do per recipient as it takes to note a range in an outbox, in the order of
// arrival (0) or in any order (1).
void recipients_with_work(benchmark::State& state) {
  Shard shard;
  std::vector<Client*> clients;
  for (std::int64_t i = 0; i < state.range(0); ++i) clients.push_back(&shard.connect());
  if (state.range(1) != 0) std::shuffle(clients.begin(), clients.end(), std::mt19937(1));
  for (Client* client : clients) shard.channels.subscribe(*client, "all");
  for (auto _ : state) {
    shard.channels.for_each_match("all", [](Subscriber& to) {
      std::uint64_t& received = static_cast<Client&>(to).received;
      for (int i = 0; i < 20; ++i) received = received * 6364136223846793005U + (received >> 7);
    });
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(recipients_with_work)->ArgsProduct({{1000, 10000, 100000}, {0, 1}});

void recipients_by_name_and_pattern(benchmark::State& state) {
  Shard shard;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    Client& client = shard.connect();
    shard.channels.subscribe(client, "all");
    shard.channels.subscribe(client, "*");
  }
  for (auto _ : state) shard.publish("all");
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(recipients_by_name_and_pattern)->Arg(1)->Arg(1000)->Arg(10000);

void come_and_go(benchmark::State& state) {
  Shard shard;
  std::vector<Client*> clients;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    clients.push_back(&shard.connect());
    shard.channels.subscribe(*clients.back(), "all");
  }
  std::uint64_t random = 1;
  for (auto _ : state) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    Client& client = *clients[(random >> 33) % clients.size()];
    shard.channels.remove(client);
    shard.channels.subscribe(client, "all");
  }
}
BENCHMARK(come_and_go)->Arg(1)->Arg(1000)->Arg(10000)->Arg(100000);

void come_and_go_with_own_channel(benchmark::State& state) {
  Shard shard;
  for (std::int64_t i = 0; i < 10000; ++i) {
    shard.channels.subscribe(shard.connect(), numbered("user.", i));
  }
  Client& client = shard.connect();
  for (auto _ : state) {
    shard.channels.subscribe(client, "user.me.and-only-me");
    shard.channels.remove(client);
  }
}
BENCHMARK(come_and_go_with_own_channel);

// The cache is full, and the pattern can match all of it, one name, or none.
void come_and_go_with_own_pattern(benchmark::State& state, const char* pattern) {
  Shard shard({.tried_at_once = 0});
  shard.channels.subscribe(shard.connect(), "*");
  for (int i = 0; i < 10000; ++i) shard.publish(numbered("user.", i) + ".mail");
  Client& client = shard.connect();
  for (auto _ : state) {
    shard.channels.subscribe(client, pattern);
    shard.channels.remove(client);
  }
  state.counters["cached"] = static_cast<double>(shard.channels.match_cache().size());
}
BENCHMARK_CAPTURE(come_and_go_with_own_pattern, none, "user.me.*");
BENCHMARK_CAPTURE(come_and_go_with_own_pattern, one, "user.9999.*");
BENCHMARK_CAPTURE(come_and_go_with_own_pattern, looks_at_all, "*.me");
BENCHMARK_CAPTURE(come_and_go_with_own_pattern, matches_all, "*.mail");

}  // namespace
