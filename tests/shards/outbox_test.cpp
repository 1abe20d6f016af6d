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
using webshocket::shards::Frame;
using webshocket::shards::FrameRef;
using webshocket::shards::Message;
using webshocket::shards::Outbox;
using webshocket::shards::SharedBytes;

namespace {

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

FrameRef frame_of(const std::string& text, SharedBytes& shared) {
  auto message = Message::freeze(webshocket::PacketSource::custom, std::nullopt,
                                 {Payload(text), nullptr}, Form::raw, {});
  return FrameRef(std::make_unique<Frame>(std::move(message), Form::raw, shared));
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
  SharedBytes shared;
  Outbox outbox;
  CHECK(outbox.empty());
  CHECK(front(outbox).empty());

  const FrameRef frame = frame_of("shared", shared);
  const std::string framed = text_of(frame.bytes());
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

TEST_CASE("neighbouring bytes of its own leave as one part, until some of them have left") {
  Outbox outbox;
  write(outbox, "ab");
  write(outbox, "");
  write(outbox, "cd");
  CHECK(parts_of(outbox) == 1);
  outbox.consume(1);
  write(outbox, "ef");
  CHECK(front(outbox) == "bcdef");
  CHECK(parts_of(outbox) == 2);
}

TEST_CASE("a cut at any byte leaves exactly the rest") {
  SharedBytes shared;
  const FrameRef frame = frame_of("0123456789", shared);
  const std::string whole = "head" + text_of(frame.bytes()) + "tail";
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
  SharedBytes shared;
  const FrameRef frame = frame_of("shared", shared);
  const std::string framed = text_of(frame.bytes());

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
  SharedBytes shared;
  Outbox outbox;
  outbox.push(frame_of(std::string(100, 'x'), shared));
  outbox.push(frame_of(std::string(200, 'y'), shared));
  CHECK(shared.total() == (2 + 100) + (4 + 200));
  outbox.consume(102);
  CHECK(shared.total() == 204);
  outbox.drop_unsent();
  CHECK(shared.total() == 0);
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
  SharedBytes shared;
  Outbox outbox;
  write(outbox, std::string(100'000, 'x'));
  outbox.push(frame_of("shared", shared));
  outbox.consume(10);
  outbox.reset();
  CHECK(outbox.empty());
  CHECK(outbox.bytes() == 0);
  CHECK(outbox.own_bytes() == 0);
  CHECK(shared.total() == 0);
  write(outbox, "next");
  CHECK(front(outbox) == "next");
}

namespace {

/// The outbox as a list of plain strings. Own messages next to each other are one, for the outbox
/// too, until some of it has left.
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
  SharedBytes shared;
  const std::array<FrameRef, 3> frames{frame_of("small", shared),
                                       frame_of(std::string(3'000, 'm'), shared),
                                       frame_of(std::string(70'000, 'l'), shared)};
  const std::size_t held = shared.total();
  std::mt19937 random(20'221'122);
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random()) % bound; };
  Outbox outbox;
  Model model;
  for (int step = 0; step < 20'000; ++step) {
    switch (below(8)) {
      case 0:
      case 1: {
        const FrameRef& frame = frames[below(frames.size())];
        outbox.push(frame);
        model.push(text_of(frame.bytes()), true);
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
  outbox.reset();
  CHECK(shared.total() == held);
}
