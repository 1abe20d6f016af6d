// What it costs to hand a message to the shards that want it: encoded, framed and posted once by a
// thread that is no shard. An item is one message, whatever the number of shards.

#include <benchmark/benchmark.h>
#include <poll.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "shards/bus.hpp"

using namespace webshocket;
using namespace webshocket::shards;

namespace {

constexpr std::string_view kRoom = "room";

std::shared_ptr<Bus> bus_of(std::size_t shards) {
  auto bus = std::make_shared<Bus>(shards, 0, Framing{.fragment_size = 64 * 1024});
  for (std::size_t shard = 0; shard < shards; ++shard) {
    bus->census().raise(shard, bus->census().bucket_of(kRoom), Form::raw);
  }
  return bus;
}

void publish(Bus& bus, const std::string& text) {
  if (!bus.publish(std::span(&kRoom, 1), {Payload(text), nullptr}, {})) std::abort();
}

/// As a shard does it: the flag first, then everything. Returns how many there were.
std::size_t drain(Inbox& inbox) {
  inbox.clear_wake();
  for (Inbox::Control control; inbox.take(control);) control();
  std::size_t count = 0;
  for (std::shared_ptr<const Delivery> delivery; inbox.take(delivery); ++count) {
    inbox.give_back(delivery->cost());
  }
  return count;
}

/// Posting and taking on one thread, so many at a time: what there is to do, without waiting.
void post_and_take(benchmark::State& state) {
  const auto shards = static_cast<std::size_t>(state.range(0));
  const std::int64_t burst = state.range(1);
  const std::string text(static_cast<std::size_t>(state.range(2)), 'x');
  const auto bus = bus_of(shards);
  for (auto _ : state) {
    for (std::int64_t i = 0; i < burst; ++i) publish(*bus, text);
    for (std::size_t shard = 0; shard < shards; ++shard) {
      benchmark::DoNotOptimize(drain(bus->inbox(shard)));
    }
  }
  state.SetItemsProcessed(state.iterations() * burst);
}
BENCHMARK(post_and_take)
    ->ArgNames({"shards", "burst", "bytes"})
    ->ArgsProduct({{1, 2}, {1, 16}, {64, 4096}});

/// A thread that takes what comes, and sleeps in between.
class Consumer {
 public:
  explicit Consumer(Inbox& inbox) : inbox_(inbox), thread_([this] { run(); }) {}
  ~Consumer() {
    inbox_.post_control([this] { ends_ = true; });
    inbox_.wake();
    thread_.join();
  }
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  void wait_for(std::uint64_t count) const noexcept {
    for (std::uint64_t taken = taken_; taken < count; taken = taken_) taken_.wait(taken);
  }
  std::uint64_t wakes() const noexcept { return wakes_; }

 private:
  void run() {
    pollfd event{inbox_.descriptor(), POLLIN, 0};
    while (!ends_) {
      ::poll(&event, 1, -1);
      ++wakes_;
      taken_ += drain(inbox_);
      taken_.notify_one();
    }
  }

  Inbox& inbox_;
  std::atomic<std::uint64_t> taken_{0};
  std::atomic<std::uint64_t> wakes_{0};
  bool ends_ = false;
  std::thread thread_;
};

/// To shards with threads of their own, which sleep until something comes. A burst is waited for
/// before the next begins. `wakes` is per message, over all shards.
void to_sleeping_shards(benchmark::State& state) {
  const auto shards = static_cast<std::size_t>(state.range(0));
  const std::int64_t burst = state.range(1);
  const std::string text(64, 'x');
  const auto bus = bus_of(shards);
  std::vector<std::unique_ptr<Consumer>> consumers;
  for (std::size_t shard = 0; shard < shards; ++shard) {
    consumers.push_back(std::make_unique<Consumer>(bus->inbox(shard)));
  }
  std::uint64_t sent = 0;
  for (auto _ : state) {
    for (std::int64_t i = 0; i < burst; ++i) publish(*bus, text);
    sent += static_cast<std::uint64_t>(burst);
    for (const auto& consumer : consumers) consumer->wait_for(sent);
  }
  std::uint64_t wakes = 0;
  for (const auto& consumer : consumers) wakes += consumer->wakes();
  state.SetItemsProcessed(state.iterations() * burst);
  state.counters["wakes"] = static_cast<double>(wakes) / static_cast<double>(sent);
}
BENCHMARK(to_sleeping_shards)
    ->ArgNames({"shards", "burst"})
    ->ArgsProduct({{1, 2}, {1, 16, 256}})
    ->MeasureProcessCPUTime()
    ->UseRealTime();

}  // namespace
