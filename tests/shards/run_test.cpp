#include "shards/run.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using webshocket::Payload;
using webshocket::shards::Audience;
using webshocket::shards::Form;
using webshocket::shards::Message;
using webshocket::shards::Range;
using webshocket::shards::RunRef;
using webshocket::shards::Runs;

namespace {

std::shared_ptr<const Message> message_of(const std::string& text) {
  return Message::freeze(webshocket::PacketSource::custom, std::nullopt, {Payload(text), nullptr},
                         Form::raw, {});
}

std::string_view text_of(const Range& range) {
  return {reinterpret_cast<const char*>(range.run->data()) + range.begin, range.size()};
}

}  // namespace

TEST_CASE("the messages of a turn lie side by side, target by target") {
  Runs runs;
  const Range one = runs.add(1, message_of("one"), Form::raw);
  const Range other = runs.add(2, message_of("other"), Form::raw);
  const Range two = runs.add(1, message_of("two"), Form::raw);
  CHECK(one.run.get() == two.run.get());
  CHECK(one.end == two.begin);
  CHECK(other.run.get() != one.run.get());
  CHECK(text_of(one) == "\x81\x03one");
  CHECK(text_of(two) == "\x81\x03two");
  CHECK(text_of(other) == "\x81\x05other");

  runs.end_turn();
  const Range next = runs.add(1, message_of("next"), Form::raw);
  CHECK(next.run.get() != one.run.get());
  CHECK(text_of(one) == "\x81\x03one");
}

TEST_CASE("a form has a run of its own") {
  Runs runs;
  webshocket::shards::Forms forms = Form::raw;
  forms.add(Form::json_text);
  const auto message = Message::freeze(webshocket::PacketSource::broadcast, std::nullopt,
                                       {Payload("x"), nullptr}, forms, {});
  const Range raw = runs.add(1, message, Form::raw);
  const Range json = runs.add(1, message, Form::json_text);
  CHECK(raw.run.get() != json.run.get());
  // Whatever the targets are.
  CHECK(runs.add(~0ULL, message, Form::json_text).run.get() !=
        runs.add(~0ULL - 2, message, Form::raw).run.get());
  CHECK(runs.add(0, message, Form::raw).run.get() !=
        runs.add(2, message, Form::json_text).run.get());
  CHECK(text_of(raw) == "\x81\x01x");
}

TEST_CASE("a large message is referred to and not copied") {
  Runs runs;
  auto message = message_of(std::string(Runs::kMostCopied + 1, 'l'));
  const std::byte* const frozen = message->frames(Form::raw).data();
  const std::weak_ptr<const Message> watch = message;
  Range range = runs.add(1, message, Form::raw);
  CHECK(range.run->data() == frozen);
  CHECK(range.run->rest_of_message(0) == 0);
  CHECK(range.run->rest_of_message(1) == range.size() - 1);
  CHECK(runs.add(1, message_of("small"), Form::raw).run.get() != range.run.get());
  message.reset();
  CHECK_FALSE(watch.expired());
  range = {};
  CHECK(watch.expired());
}

TEST_CASE("a run has a bound") {
  Runs runs;
  const auto message = message_of(std::string(10'000, 'm'));
  const Range first = runs.add(1, message, Form::raw);
  Range last = first;
  for (int i = 0; i < 100; ++i) {
    last = runs.add(1, message, Form::raw);
    REQUIRE(last.run->size() <= Runs::kMostInRun);
  }
  CHECK(last.run.get() != first.run.get());
}

TEST_CASE("a run knows its messages") {
  Runs runs;
  const Range first = runs.add(1, message_of("abc"), Form::raw);
  const Range second = runs.add(1, message_of("defgh"), Form::raw);
  const auto rest = [&](std::size_t offset) { return first.run->rest_of_message(offset); };
  CHECK(rest(0) == 0);
  CHECK(rest(1) == 4);
  CHECK(rest(4) == 1);
  CHECK(rest(5) == 0);
  CHECK(rest(6) == 6);
  CHECK(rest(second.end) == 0);

  const RunRef copy = first.run->copy(2, second.end);
  CHECK(copy->size() == second.end - 2);
  CHECK(copy->rest_of_message(1) == 2);
  CHECK(copy->rest_of_message(3) == 0);
  CHECK(copy->rest_of_message(4) == 6);
}

TEST_CASE("bytes are counted once, however many refer to them, and as long as anybody does") {
  Runs runs;
  {
    Range range = runs.add(1, message_of("hello"), Form::raw);
    const std::vector<Range> many(1'000, range);
    CHECK(runs.bytes() == 7);
    runs.end_turn();
    range = {};
    CHECK(runs.bytes() == 7);
  }
  CHECK(runs.bytes() == 0);
  runs.add(1, message_of("nobody wants it"), Form::raw);
  CHECK(runs.bytes() != 0);
  runs.end_turn();
  CHECK(runs.bytes() == 0);
}

TEST_CASE("what is kept for the next runs has a bound, and it is for those that are in use") {
  Runs runs;
  const auto message = message_of(std::string(1'000, 'm'));
  const auto turn = [&](std::uint64_t targets) {
    for (std::uint64_t target = 0; target < targets; ++target) {
      for (int i = 0; i < 60; ++i) runs.add(target, message, Form::raw);
    }
    runs.end_turn();
  };
  turn(1);
  const std::size_t one = runs.spare_bytes();
  CHECK(one >= 60'000);
  turn(1);
  CHECK(runs.spare_bytes() == one);
  turn(10);
  CHECK(runs.spare_bytes() == 10 * one);
  turn(100);
  CHECK(runs.spare_bytes() <= Runs::kMostSpare);
  CHECK(runs.spare_bytes() > Runs::kMostSpare - one);
  // A turn that needs few changes nothing.
  const std::size_t many = runs.spare_bytes();
  turn(3);
  CHECK(runs.spare_bytes() == many);
  runs.give_back_spare();
  CHECK(runs.spare_bytes() == 0);
  turn(1);
  CHECK(runs.spare_bytes() == one);
}

TEST_CASE("whatever targets a turn has, each has one run, and it holds what was added") {
  Runs runs;
  std::mt19937_64 random(20'261'123);
  for (const std::size_t targets : {1UL, 40UL, 3'000UL, 5UL, 5UL, 5UL}) {
    std::vector<std::uint64_t> names(targets);
    for (std::uint64_t& name : names) name = random();
    std::map<std::uint64_t, std::pair<Range, std::string>> all;
    for (int i = 0; i < 10'000; ++i) {
      const std::uint64_t target = names[random() % targets];
      const std::string text = std::to_string(i);
      const Range range = runs.add(target, message_of(text), Form::raw);
      auto& [first, expected] = all.try_emplace(target, range, std::string()).first->second;
      REQUIRE(first.run.get() == range.run.get());
      REQUIRE(range.begin == expected.size());
      expected += text_of(range);
    }
    runs.end_turn();
    for (const auto& [target, entry] : all) {
      const auto& [first, expected] = entry;
      REQUIRE(text_of({first.run, 0, first.run->size()}) == expected);
    }
  }
  CHECK(runs.bytes() == 0);
}

TEST_CASE("who follows has what is appended, from where he is") {
  Runs runs;
  const Audience room{.target = 1, .name = "room", .changes = 7};
  const auto append = [&](const Audience& audience, std::string_view text) {
    Runs::Following* const following = runs.following(audience);
    return following != nullptr &&
           runs.append(
               *following, webshocket::shards::Run::kNoKey, [&](Form) { return text.size(); },
               [&](Form, webshocket::protocol::Buffer& out) { out.append(text); });
  };
  CHECK_FALSE(append(room, "nobody is there"));
  const Range first = runs.add(1, message_of("one"), Form::raw);
  CHECK_FALSE(append(room, "nobody follows"));
  runs.follow(room, Form::raw, Form::raw, 3);
  REQUIRE(runs.following(room) != nullptr);
  CHECK(runs.following(room)->followers == 3);
  CHECK(runs.following({.target = 1, .name = "another room", .changes = 7}) == nullptr);
  CHECK(runs.following({.target = 1, .name = "room", .changes = 8}) == nullptr);
  CHECK(runs.following({.target = 2, .name = "room", .changes = 7}) == nullptr);

  CHECK(append(room, "two"));
  CHECK(append(room, "three"));
  CHECK(first.run->end_of_part(first.end) == first.end + 8);
  CHECK(first.run->messages_between(first.end, first.end + 8) == 2);
  CHECK(runs.bytes() == first.end + 8);

  // Somebody gets something else: each is given his part, and those who followed are known.
  const Range fourth = runs.add(1, message_of("four"), Form::raw);
  CHECK_FALSE(append(room, "five"));
  CHECK(fourth.begin == first.end + 8);
  CHECK(first.run->end_of_part(first.end) == fourth.begin);
  CHECK(first.run->begin_of_following(fourth.begin) == first.end);
  CHECK(first.run->end_of_part(fourth.end) == fourth.end);
  // Once in a run: there is one place from where they are known.
  runs.follow(room, Form::raw, Form::raw, 3);
  CHECK_FALSE(append(room, "five"));
  runs.end_turn();
  CHECK(runs.following(room) == nullptr);
}

TEST_CASE("who follows takes no more than the one who takes least") {
  Runs runs;
  const Audience room{.target = 1, .name = "room", .changes = 0};
  const Range first = runs.add(1, message_of("one"), Form::raw);
  first.run->limit(40);
  first.run->limit(30);
  first.run->limit(50);
  runs.follow(room, Form::raw, Form::raw, 3);
  const auto append = [&](std::size_t size) {
    return runs.append(
        *runs.following(room), webshocket::shards::Run::kNoKey, [&](Form) { return size; },
        [&](Form, webshocket::protocol::Buffer& out) { out.append(std::string(size, 'x')); });
  };
  CHECK_FALSE(append(31 - first.size()));
  CHECK(append(30 - first.size()));
  CHECK_FALSE(append(1));
  CHECK(first.run->size() == 30);
  first.run->stop_following();
  CHECK(runs.following(room) == nullptr);
}

TEST_CASE("the replies of a turn lie side by side, and what has been sent makes room") {
  Runs runs;
  const auto append = [&](std::string_view text) {
    return runs.append_reply([&](webshocket::protocol::Buffer& out) { out.append(text); });
  };
  CHECK(runs.replies().size() == 0);
  CHECK_FALSE(RunRef(runs.replies())->handling().has_messages());
  RunRef one(runs.replies());
  CHECK(append("one") == 3);
  CHECK(runs.can_reply_behind(*one, 3));
  CHECK(append(", more") == 9);
  CHECK(text_of({one, 0, 9}) == "one, more");
  CHECK(runs.bytes() == 9);

  // Another connection's: the first can only go on elsewhere.
  RunRef two(runs.replies());
  CHECK(two.get() == one.get());
  CHECK(append("two") == 12);
  CHECK_FALSE(runs.can_reply_behind(*one, 9));
  CHECK(runs.can_reply_behind(*two, 12));
  CHECK(two->messages_between(9, 12) == 0);

  one.reset();
  CHECK(runs.replies().size() == 12);
  two.reset();
  CHECK(runs.replies().size() == 0);
  CHECK(runs.bytes() == 0);
}

TEST_CASE("a reply that cannot be written leaves nothing behind") {
  Runs runs;
  const RunRef run(runs.replies());
  const auto fail = [](webshocket::protocol::Buffer& out) {
    out.append(std::string_view("half"));
    throw std::bad_alloc();
  };
  CHECK_THROWS_AS(runs.append_reply(fail), std::bad_alloc);
  CHECK(run->size() == 0);
  CHECK(runs.can_reply_behind(*run, 0));
}

TEST_CASE("replies have a bound, and end with their turn") {
  Runs runs;
  const std::string text(10'000, 'r');
  const auto append = [&] {
    return runs.append_reply([&](webshocket::protocol::Buffer& out) { out.append(text); });
  };
  RunRef first(runs.replies());
  std::size_t end = 0;
  while (runs.can_reply_behind(*first, end)) end = append();
  CHECK(end <= 64 * 1024);
  const RunRef second(runs.replies());
  CHECK(second.get() != first.get());
  CHECK(append() == text.size());
  CHECK(first->size() == end);

  runs.end_turn();
  CHECK_FALSE(runs.can_reply_behind(*second, text.size()));
  const RunRef third(runs.replies());
  CHECK(third.get() != second.get());
}
