// A crew at work: calls, streams, publishes.

#include <exception>
#include <string>
#include <utility>

#include "crew.hpp"
#include "tools/wsbench/clock.hpp"

namespace wssoak {

namespace ws = webshocket;

ws::Task<void> Crew::work(Kind kind) {
  try {
    switch (kind) {
      case calls:
        co_await call();
        break;
      case streams:
        co_await stream();
        break;
      case visits:
        co_await visit();
        break;
      case publishes:
        co_await publish_some(rooms_, next_room_);
        break;
      case slow_publishes:
        co_await publish_some(slow_rooms_, next_slow_room_);
        break;
      case broadcasts:
        co_await broadcast();
        break;
      case kinds:
        break;
    }
  } catch (const std::exception& error) {
    constexpr const char* kNames[] = {"call", "publish", "stream", "visit", "publish", "broadcast"};
    mistake(kNames[kind], error.what());
  }
  --busy_[kind];
}

ws::Task<void> Crew::call() {
  ws::Client& client = *any_member().client;
  const std::uint64_t begin = wsbench::now_ns();
  if (constexpr std::size_t kEchoEach = 8; draw(kEchoEach) == 0) {
    const std::uint64_t number = 1 + draw(1'000'000);
    const std::string text = text_of(Note{"echo", number, begin}, draw(3'000));
    const auto answer = co_await client.call_async<std::string>("echo", text);
    if (answer != text) mistake("call", "echo is wrong");
  } else {
    const auto a = static_cast<std::int64_t>(random_() >> 8U);
    const auto b = -static_cast<std::int64_t>(random_() >> 8U);
    const auto sum = co_await client.call_async<std::int64_t>("add", a, b);
    if (sum != a + b) mistake("call", "the sum is wrong");
  }
  ++tally_.calls;
  tally_.call_ns.add(wsbench::now_ns() - begin);
}

ws::Task<void> Crew::stream() {
  ws::Client& client = *any_member().client;
  const auto length = static_cast<std::int64_t>(20 + draw(80));
  constexpr std::size_t kAbandonEach = 5;
  const std::int64_t most =
      draw(kAbandonEach) == 0 ? static_cast<std::int64_t>(draw(20)) : length + 1;
  std::int64_t expected = 0;
  auto items = client.stream_async<std::int64_t>("count", length);
  while (expected < most) {
    const auto item = co_await items.next();
    if (!item) break;
    if (*item != expected) mistake("stream", "an item is wrong");
    ++expected;
    ++tally_.stream_items;
  }
  if (most <= length) {
    ++tally_.streams_abandoned;
  } else {
    if (expected != length) mistake("stream", "it ended early");
    ++tally_.streams;
  }
}

ws::Task<void> Crew::publish_some(std::vector<std::unique_ptr<Publisher>>& publishers,
                                  std::size_t& next) {
  return publish(*publishers[next++ % publishers.size()]);
}

ws::Task<void> Crew::publish(Publisher& publisher) {
  // From the number to the sending nothing waits: so numbers go out in their order.
  const std::size_t filling =
      publisher.filling != 0 ? publisher.filling : (publisher.number * 61) % 500;
  const std::string text =
      text_of(Note{publisher.channel, ++publisher.number, wsbench::now_ns()}, filling);
  if (publisher.client->format() == ws::Format::raw) {
    co_await publisher.client->send_async(text);
  } else {
    const bool published = co_await publisher.client->call_async<bool>("publish", publisher.channel,
                                                                       text, publisher.key);
    if (!published) mistake("publish", "refused");
  }
  ++tally_.publishes;
}

ws::Task<void> Crew::broadcast() {
  const std::string text = text_of(Note{news_, ++announcer_->number, wsbench::now_ns()}, 100);
  const bool done = co_await announcer_->client->call_async<bool>("broadcast", text);
  if (!done) mistake("broadcast", "refused");
  ++tally_.broadcasts;
}

ws::Task<void> Crew::publish_all(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    for (const auto& publisher : rooms_) co_await publish(*publisher);
  }
  co_await broadcast();
}

}  // namespace wssoak
