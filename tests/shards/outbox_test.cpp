#include "shards/outbox.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "shards/message.hpp"

using webshocket::Payload;
using webshocket::shards::Form;
using webshocket::shards::Message;
using webshocket::shards::Outbox;
using webshocket::shards::Range;
using webshocket::shards::Runs;

namespace {

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::shared_ptr<const Message> message_of(const std::string& text) {
  return Message::freeze(webshocket::PacketSource::custom, std::nullopt, {Payload(text), nullptr},
                         Form::raw, {});
}

/// A message in a run of its own.
Range frame_of(const std::string& text, Runs& runs) {
  return runs.refer(message_of(text), Form::raw);
}

std::string text_of(const Range& range) {
  return text_of(std::span(range.run->data() + range.begin, range.size()));
}

void write(Outbox& outbox, std::string_view text) {
  outbox.write([&](webshocket::protocol::Buffer& out) { out.append(text); });
}

/// What the next `parts` parts hold.
std::string front(Outbox& outbox, std::size_t parts = 64) {
  std::vector<iovec> list(parts);
  std::string result;
  const std::size_t count = outbox.gather(list);
  REQUIRE(count <= parts);
  for (std::size_t i = 0; i < count; ++i) {
    result.append(static_cast<const char*>(list[i].iov_base), list[i].iov_len);
  }
  return result;
}

std::size_t parts_of(Outbox& outbox) {
  std::vector<iovec> list(1000);
  return outbox.gather(list);
}

}  // namespace

TEST_CASE("an outbox gives back what was put in, in order") {
  Runs runs;
  Outbox outbox;
  CHECK(outbox.empty());
  CHECK(front(outbox).empty());

  const Range frame = frame_of("shared", runs);
  const std::string framed = text_of(frame);
  write(outbox, "one");
  outbox.push(frame);
  write(outbox, "two");
  outbox.push(frame);
  CHECK(outbox.bytes() == 6 + 2 * framed.size());
  CHECK(outbox.own_bytes() == 6);
  CHECK(front(outbox) == "one" + framed + "two" + framed);
  CHECK(front(outbox, 2) == "one" + framed);
  CHECK(front(outbox, 0).empty());
}

TEST_CASE("neighbouring bytes of its own leave as one part") {
  Outbox outbox;
  write(outbox, "ab");
  write(outbox, "");
  write(outbox, "cd");
  CHECK(parts_of(outbox) == 1);
  outbox.consume(1);
  write(outbox, "ef");
  CHECK(front(outbox) == "bcdef");
  CHECK(parts_of(outbox) == 1);
}

TEST_CASE("a cut at any byte leaves exactly the rest") {
  Runs runs;
  const Range frame = frame_of("0123456789", runs);
  const std::string whole = "head" + text_of(frame) + "tail";
  for (std::size_t first = 0; first <= whole.size(); ++first) {
    for (std::size_t second = 0; first + second <= whole.size(); ++second) {
      Outbox outbox;
      write(outbox, "head");
      outbox.push(frame);
      write(outbox, "tail");
      outbox.consume(first);
      outbox.consume(second);
      REQUIRE(front(outbox) == whole.substr(first + second));
      REQUIRE(outbox.bytes() == whole.size() - first - second);
      REQUIRE(outbox.empty() == (first + second == whole.size()));
    }
  }
}

TEST_CASE("what was begun stays whole, the rest is dropped") {
  Runs runs;
  const Range frame = frame_of("shared", runs);
  const std::string framed = text_of(frame);

  Outbox outbox;
  write(outbox, "reply");
  outbox.push(frame);
  outbox.push(frame);
  SUBCASE("nothing was sent: nothing is left") {
    outbox.drop_unsent();
    CHECK(outbox.empty());
    CHECK(outbox.own_bytes() == 0);
  }
  SUBCASE("cut inside its own bytes") {
    outbox.consume(2);
    outbox.drop_unsent();
    CHECK(front(outbox) == "ply");
  }
  SUBCASE("cut between two") {
    outbox.consume(5);
    outbox.drop_unsent();
    CHECK(outbox.empty());
  }
  SUBCASE("what is on its way counts as begun") {
    outbox.commit(5 + 3);
    outbox.drop_unsent();
    CHECK(front(outbox) == "reply" + framed);
    outbox.commit(2);
    outbox.drop_unsent();
    CHECK(front(outbox) == "reply" + framed);
  }
  SUBCASE("cut inside a frame") {
    outbox.consume(5 + 3);
    outbox.drop_unsent();
    CHECK(front(outbox) == framed.substr(3));
    CHECK(outbox.bytes() == framed.size() - 3);
    write(outbox, "close");
    CHECK(front(outbox) == framed.substr(3) + "close");
    outbox.consume(outbox.bytes());
    CHECK(outbox.empty());
    CHECK(outbox.own_bytes() == 0);
  }
}

TEST_CASE("a frame is let go of as soon as its last byte has left") {
  Runs runs;
  Outbox outbox;
  outbox.push(frame_of(std::string(100, 'x'), runs));
  outbox.push(frame_of(std::string(200, 'y'), runs));
  CHECK(runs.bytes() == (2 + 100) + (4 + 200));
  outbox.consume(102);
  CHECK(runs.bytes() == 204);
  outbox.drop_unsent();
  CHECK(runs.bytes() == 0);
}

TEST_CASE("what lies side by side in a run leaves as one part, and is dropped by the message") {
  Runs runs;
  Outbox outbox;
  std::string whole;
  for (const std::string text : {"one", "two", "three"}) {
    const Range range = runs.add(7, message_of(text), Form::raw);
    whole += text_of(range);
    outbox.push(range);
  }
  CHECK(parts_of(outbox) == 1);
  CHECK(front(outbox) == whole);
  const std::size_t first = 2 + 3;
  SUBCASE("cut inside the second") {
    outbox.consume(first + 1);
    outbox.drop_unsent();
    CHECK(front(outbox) == whole.substr(first + 1, 4));
    CHECK(outbox.bytes() == 4);
  }
  SUBCASE("cut behind the first") {
    outbox.consume(first);
    outbox.drop_unsent();
    CHECK(outbox.empty());
  }
  SUBCASE("the first two are on their way") {
    outbox.commit(first + 1);
    outbox.drop_unsent();
    CHECK(front(outbox) == whole.substr(0, 2 * first));
  }
  SUBCASE("what comes behind what was dropped is a part of its own") {
    outbox.consume(1);
    outbox.drop_unsent();
    outbox.push(runs.add(7, message_of("four"), Form::raw));
    CHECK(front(outbox) == whole.substr(1, first - 1) +
                               "\x81\x04"
                               "four");
    CHECK(parts_of(outbox) == 2);
  }
}

TEST_CASE("what a slow peer is left with does not keep a whole run alive") {
  Runs runs;
  Outbox outbox;
  const Range first = runs.add(7, message_of(std::string(100, 'a')), Form::raw);
  std::string whole = text_of(first);
  outbox.push(first);
  for (int i = 0; i < 100; ++i) runs.add(7, message_of(std::string(1'000, 'x')), Form::raw);
  const Range last = runs.add(7, message_of("last"), Form::raw);
  outbox.push(last);
  whole += text_of(last);
  runs.end_turn();
  CHECK(runs.bytes() > 100'000);
  outbox.consume(1);
  SUBCASE("others hold it, too") {
    const std::vector<Range> others(10'000, last);
    outbox.detach();
    CHECK(runs.bytes() > 100'000);
    CHECK(front(outbox) == whole.substr(1));
  }
  outbox.detach();
  CHECK(front(outbox) == whole.substr(1));
  outbox.drop_unsent();
  CHECK(front(outbox) == whole.substr(1, 101));
}

TEST_CASE("bytes of its own do not pile up behind a reader that never quite catches up") {
  Outbox outbox;
  const std::string piece(1000, 'p');
  write(outbox, piece);
  for (int i = 0; i < 10'000; ++i) {
    write(outbox, piece);
    outbox.consume(1000);
    REQUIRE(outbox.bytes() == 1000);
    REQUIRE(outbox.own_bytes() < 200'000);
  }
  outbox.consume(1000);
  CHECK(outbox.own_bytes() == 0);
}

TEST_CASE("reset makes it as new, for another connection") {
  Runs runs;
  Outbox outbox;
  write(outbox, std::string(100'000, 'x'));
  outbox.push(frame_of("shared", runs));
  outbox.consume(10);
  outbox.reset(1000);
  CHECK(outbox.empty());
  CHECK(outbox.bytes() == 0);
  CHECK(outbox.own_bytes() == 0);
  CHECK(outbox.memory() == 0);
  CHECK(runs.bytes() == 0);
  write(outbox, "next");
  CHECK(front(outbox) == "next");
}

namespace {

/// The outbox as a list of plain strings. Own messages next to each other are one until some of it
/// has left, as the outbox cannot tell them apart.
struct Model {
  struct Item {
    std::string rest;
    bool shared;
    bool started = false;
  };

  void push(std::string bytes, bool shared) {
    if (bytes.empty()) return;
    if (!shared && !items.empty() && !items.back().shared && !items.back().started) {
      items.back().rest += bytes;
    } else {
      items.push_back({std::move(bytes), shared});
    }
  }
  std::string all() const {
    std::string text;
    for (const Item& item : items) text += item.rest;
    return text;
  }
  void consume(std::size_t count) {
    while (count > 0) {
      Item& item = items.front();
      const std::size_t taken = std::min(count, item.rest.size());
      item.rest.erase(0, taken);
      item.started = true;
      count -= taken;
      if (item.rest.empty()) items.pop_front();
    }
  }
  void drop_unsent() {
    const bool begun = !items.empty() && items.front().started;
    items.resize(begun ? 1 : 0, {});
  }

  std::deque<Item> items;
};

}  // namespace

TEST_CASE("an outbox behaves as a plain list of messages does, whatever happens to it") {
  Runs runs;
  const std::array<Range, 3> frames{frame_of("small", runs),
                                    frame_of(std::string(3'000, 'm'), runs),
                                    frame_of(std::string(70'000, 'l'), runs)};
  const std::size_t held = runs.bytes();
  std::mt19937 random(20'221'122);
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random()) % bound; };
  Outbox outbox;
  Model model;
  for (int step = 0; step < 20'000; ++step) {
    switch (below(8)) {
      case 0:
      case 1: {
        const Range& frame = frames[below(frames.size())];
        outbox.push(frame);
        model.push(text_of(frame), true);
        break;
      }
      case 2:
      case 3: {
        const std::string text(below(10) == 0 ? below(40'000) : below(200),
                               static_cast<char>('a' + step % 26));
        write(outbox, text);
        model.push(text, false);
        break;
      }
      case 4:
        if (below(20) != 0) break;
        outbox.drop_unsent();
        model.drop_unsent();
        break;
      default: {
        const std::string offered = front(outbox, below(6));
        const std::size_t sent = offered.empty() ? 0 : below(offered.size() + 1);
        outbox.consume(sent);
        model.consume(sent);
        break;
      }
    }
    REQUIRE(outbox.empty() == model.items.empty());
    if (step % 16 != 0) continue;
    const std::string all = model.all();
    REQUIRE(outbox.bytes() == all.size());
    REQUIRE(front(outbox, 5) == all.substr(0, front(outbox, 5).size()));
  }
  outbox.reset(1000);
  CHECK(runs.bytes() == held);
}
