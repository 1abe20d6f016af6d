#include "shards/outbox.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/frame_header.hpp"
#include "protocol/frame_writer.hpp"
#include "shards/message.hpp"
#include "tests/shards/outbox_model.hpp"

using webshocket::Payload;
using webshocket::protocol::FrameHeader;
using webshocket::shards::Form;
using webshocket::shards::Handling;
using webshocket::shards::Message;
using webshocket::shards::Outbox;
using webshocket::shards::Range;
using webshocket::shards::Run;
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

std::string framed(std::string_view text, std::size_t fragment_size = 0) {
  webshocket::protocol::Buffer out;
  webshocket::protocol::write_message(out, webshocket::Opcode::text, std::as_bytes(std::span(text)),
                                      fragment_size);
  return std::string(out.text());
}

/// A reply: a frame among the outbox's own bytes.
void write(Outbox& outbox, std::string_view text) {
  outbox.write([&](webshocket::protocol::Buffer& out) { out.append(framed(text)); });
}

Range control_of(std::string_view text, Runs& runs) {
  return runs.write({.kind = Handling::Kind::control},
                    [&](webshocket::protocol::Buffer& out) { out.append(framed(text)); });
}

void consume(Outbox& outbox, std::size_t count) { outbox.consume(count, true); }

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

  const Range range = frame_of("shared", runs);
  const std::string shared = text_of(range);
  write(outbox, "one");
  outbox.push(range);
  write(outbox, "two");
  outbox.push(range);
  CHECK(outbox.bytes() == 2 * 5 + 2 * shared.size());
  CHECK(outbox.own_bytes() == 2 * 5);
  CHECK(front(outbox) == framed("one") + shared + framed("two") + shared);
  CHECK(front(outbox, 2) == framed("one") + shared);
  CHECK(front(outbox, 0).empty());
}

TEST_CASE("neighbouring bytes of its own leave as one part") {
  Outbox outbox;
  write(outbox, "ab");
  outbox.write([](webshocket::protocol::Buffer&) {});
  write(outbox, "cd");
  CHECK(parts_of(outbox) == 1);
  consume(outbox, 1);
  write(outbox, "ef");
  CHECK(front(outbox) == (framed("ab") + framed("cd") + framed("ef")).substr(1));
  CHECK(parts_of(outbox) == 1);
}

TEST_CASE("a cut at any byte leaves exactly the rest") {
  Runs runs;
  const Range range = frame_of("0123456789", runs);
  const std::string whole = framed("head") + text_of(range) + framed("tail");
  for (std::size_t first = 0; first <= whole.size(); ++first) {
    for (std::size_t second = 0; first + second <= whole.size(); ++second) {
      Outbox outbox;
      write(outbox, "head");
      outbox.push(range);
      write(outbox, "tail");
      consume(outbox, first);
      consume(outbox, second);
      REQUIRE(front(outbox) == whole.substr(first + second));
      REQUIRE(outbox.bytes() == whole.size() - first - second);
      REQUIRE(outbox.empty() == (first + second == whole.size()));
    }
  }
}

TEST_CASE("of what is dropped for good, only the frame that has begun stays") {
  Runs runs;
  const Range range = frame_of("shared", runs);
  const std::string shared = text_of(range);
  const std::string reply = framed("reply");

  Outbox outbox;
  write(outbox, "reply");
  outbox.push(range);
  outbox.push(range);
  SUBCASE("nothing was sent: nothing is left") {
    CHECK(outbox.drop_unsent().deliveries == 2);
    CHECK(outbox.empty());
    CHECK(outbox.own_bytes() == 0);
  }
  SUBCASE("cut inside its own bytes") {
    consume(outbox, 2);
    CHECK(outbox.drop_unsent().deliveries == 2);
    CHECK(front(outbox) == reply.substr(2));
  }
  SUBCASE("cut between two") {
    consume(outbox, reply.size());
    outbox.drop_unsent();
    CHECK(outbox.empty());
  }
  SUBCASE("what is on its way counts as begun") {
    outbox.commit(reply.size() + 3, true);
    CHECK(outbox.drop_unsent().deliveries == 1);
    CHECK(front(outbox) == reply + shared);
    outbox.commit(2, true);
    outbox.drop_unsent();
    CHECK(front(outbox) == reply + shared);
  }
  SUBCASE("cut inside a frame") {
    consume(outbox, reply.size() + 3);
    CHECK(outbox.drop_unsent().deliveries == 1);
    CHECK(front(outbox) == shared.substr(3));
    CHECK(outbox.bytes() == shared.size() - 3);
    write(outbox, "close");
    CHECK(front(outbox) == shared.substr(3) + framed("close"));
    consume(outbox, outbox.bytes());
    CHECK(outbox.empty());
    CHECK(outbox.own_bytes() == 0);
  }
  SUBCASE("what was there before there were frames counts as one") {
    outbox.begin_frames();
    write(outbox, "frame");
    outbox.drop_unsent();
    CHECK(front(outbox) == reply + shared + shared);
  }
}

TEST_CASE("of fragments, only the one that has begun stays") {
  Runs runs;
  Outbox outbox;
  const std::string text(250, 'f');
  const auto message = Message::freeze(webshocket::PacketSource::custom, std::nullopt,
                                       {Payload(text), nullptr}, Form::raw, {.fragment_size = 100});
  outbox.push(runs.add(7, message, Form::raw));
  const std::string whole = framed(text, 100);
  consume(outbox, 150);
  SUBCASE("a control frame comes in between") {
    outbox.push_ahead(control_of("ping", runs));
    CHECK(front(outbox) == whole.substr(150, 2 * 102 - 150) + framed("ping") + whole.substr(204));
    CHECK(outbox.drop_oldest(1'000, [](const Run&) { return true; }).messages() == 0);
  }
  CHECK(outbox.drop_unsent().deliveries == 1);
  CHECK(front(outbox) == whole.substr(150, 2 * 102 - 150));
}

TEST_CASE("a frame is let go of as soon as its last byte has left") {
  Runs runs;
  Outbox outbox;
  outbox.push(frame_of(std::string(100, 'x'), runs));
  outbox.push(frame_of(std::string(200, 'y'), runs));
  CHECK(runs.bytes() == (2 + 100) + (4 + 200));
  CHECK(outbox.consume(102, true).deliveries == 1);
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
    consume(outbox, first + 1);
    outbox.drop_unsent();
    CHECK(front(outbox) == whole.substr(first + 1, 4));
    CHECK(outbox.bytes() == 4);
  }
  SUBCASE("cut behind the first") {
    consume(outbox, first);
    outbox.drop_unsent();
    CHECK(outbox.empty());
  }
  SUBCASE("the first two are on their way") {
    outbox.commit(first + 1, true);
    outbox.drop_unsent();
    CHECK(front(outbox) == whole.substr(0, 2 * first));
  }
  SUBCASE("what comes behind what was dropped is a part of its own") {
    consume(outbox, 1);
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
  consume(outbox, 1);
  SUBCASE("others hold it, too") {
    const std::vector<Range> others(10'000, last);
    outbox.detach();
    CHECK(runs.bytes() > 100'000);
    CHECK(front(outbox) == whole.substr(1));
  }
  outbox.detach();
  CHECK(front(outbox) == whole.substr(1));
  CHECK(outbox.drop_unsent().deliveries == 1);
  CHECK(front(outbox) == whole.substr(1, 101));
}

TEST_CASE("bytes of its own do not pile up behind a reader that never quite catches up") {
  Outbox outbox;
  const std::string piece(996, 'p');  // a thousand bytes as a frame
  write(outbox, piece);
  for (int i = 0; i < 10'000; ++i) {
    write(outbox, piece);
    consume(outbox, 1000);
    REQUIRE(outbox.bytes() == 1000);
    REQUIRE(outbox.own_bytes() < 200'000);
  }
  consume(outbox, 1000);
  CHECK(outbox.own_bytes() == 0);
}

TEST_CASE("reset makes it as new, for another connection") {
  Runs runs;
  Outbox outbox;
  write(outbox, std::string(100'000, 'x'));
  outbox.push(frame_of("shared", runs));
  consume(outbox, 10);
  outbox.reset(1000);
  CHECK(outbox.empty());
  CHECK(outbox.bytes() == 0);
  CHECK(outbox.own_bytes() == 0);
  CHECK(outbox.memory() == 0);
  CHECK(runs.bytes() == 0);
  write(outbox, "next");
  CHECK(front(outbox) == framed("next"));
}

TEST_CASE("an outbox behaves as a plain list of frames does, whatever happens to it") {
  using webshocket::tests::OutboxComparison;
  std::mt19937 random(20'221'122);
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random()) % bound; };
  OutboxComparison both;
  for (int step = 0; step < 20'000; ++step) {
    const std::size_t size = below(20) == 0 ? below(100'000) : below(300);
    const std::string text(size, static_cast<char>('a' + step % 26));
    const std::size_t what = below(17);
    if (what < 4) {
      both.push(text, below(2) == 0);
    } else if (what < 6) {
      both.push_newest(text, static_cast<int>(below(5)));
    } else if (what < 9) {
      both.write(text);
    } else if (what == 9) {
      both.push_ahead(below(100));
    } else if (what == 10) {
      REQUIRE(both.drop_oldest(below(2'000)));
    } else if (what == 11) {
      below(30) == 0 ? both.drop_unsent() : both.detach();
    } else if (what == 12) {
      below(4) == 0 ? both.keep_newest() : both.push_keyed(text, static_cast<int>(below(5)));
    } else {
      both.consume(below(6), random());
    }
    REQUIRE(both.same_counts());
    if (step % 16 == 0) REQUIRE(both.same_bytes());
  }
  CHECK(both.leaves_nothing());
}

TEST_CASE("what it drops of its own bytes it gives back at once") {
  Outbox outbox;
  write(outbox, std::string(1'000, 'a'));
  for (int i = 0; i < 1'000; ++i) write(outbox, std::string(1'000, 'b'));
  consume(outbox, 10);
  outbox.drop_unsent();
  CHECK(outbox.own_bytes() == outbox.bytes());
  CHECK(outbox.memory() == outbox.bytes());
  CHECK(front(outbox) == framed(std::string(1'000, 'a')).substr(10));
}

TEST_CASE("HTTP that is on its way is not read as frames") {
  Outbox outbox;
  // As a frame it would go on from where it began: 2^64 bytes less its header.
  const std::string text = std::string("HTTP") + "\x81\x7f" + "\xff\xff\xff\xff\xff\xff\xff\xf6";
  outbox.write([&](webshocket::protocol::Buffer& out) { out.append(text); });
  outbox.commit(5, false);
  outbox.drop_unsent();
  CHECK(front(outbox) == text);
}

TEST_CASE("a socket that takes nothing: what was dropped leaves nothing behind") {
  Runs runs;
  Outbox outbox;
  const auto any = [](const Run&) { return true; };
  constexpr std::size_t kKept = 100;
  const std::size_t size = frame_of("12345", runs).size();
  for (int i = 0; i < 100'000; ++i) {
    outbox.push(frame_of("12345", runs));
    if (outbox.bytes() > kKept * size) outbox.drop_oldest(size, any);
  }
  CHECK(outbox.bytes() == kKept * size);
  CHECK(outbox.entries() < 1'000);
}

TEST_CASE("keys that are gone are forgotten") {
  Runs runs;
  Outbox outbox;
  for (std::uint64_t key = 1; key <= 10'000; ++key) {
    const Range range = runs.refer(message_of("12345"), Form::raw, {}, key);
    outbox.push_newest(range);
    if (key > 1) consume(outbox, range.size());
  }
  CHECK(outbox.entries() < 1'000);
}
