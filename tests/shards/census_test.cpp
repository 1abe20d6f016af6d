#include "shards/census.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

using webshocket::shards::Census;
using webshocket::shards::Form;

TEST_CASE("a form is wanted from the first until the last has gone") {
  Census census(2, 1);
  const auto bucket = census.bucket_of("room");
  CHECK(census.forms(0, bucket).empty());
  census.raise(0, bucket, Form::json_text);
  census.raise(0, bucket, Form::json_text);
  census.raise(0, bucket, Form::raw);
  CHECK(census.forms(0, bucket).has(Form::json_text));
  CHECK(census.forms(0, bucket).has(Form::raw));
  CHECK_FALSE(census.forms(0, bucket).has(Form::json_binary));
  CHECK_FALSE(census.forms(0, bucket).has(Form::msgpack));
  CHECK(census.forms(1, bucket).empty());

  census.lower(0, bucket, Form::json_text);
  CHECK(census.forms(0, bucket).has(Form::json_text));
  census.lower(0, bucket, Form::json_text);
  CHECK_FALSE(census.forms(0, bucket).has(Form::json_text));
  census.lower(0, bucket, Form::raw);
  CHECK(census.forms(0, bucket).empty());
}

TEST_CASE("names never share the buckets of patterns and of everybody") {
  Census census(1, 42);
  std::set<Census::Bucket> used;
  for (int i = 0; i < 20'000; ++i) used.insert(census.bucket_of("name " + std::to_string(i)));
  CHECK(used.count(Census::kEverybody) == 0);
  CHECK(used.count(Census::kPatterns) == 0);
  CHECK(used.size() > 1'000);
  // The last bucket of the last shard is still inside.
  for (const Census::Bucket bucket : used) {
    census.raise(0, bucket, Form::raw);
    CHECK(census.forms(0, bucket).has(Form::raw));
  }
}

TEST_CASE("clients cannot aim at one bucket: each process hashes differently") {
  const Census one(1, 1);
  const Census other(1, 2);
  int same = 0;
  for (int i = 0; i < 1'000; ++i) {
    const std::string name = std::to_string(i);
    same += one.bucket_of(name) == other.bucket_of(name) ? 1 : 0;
  }
  CHECK(same < 20);
}

TEST_CASE("a form has been made since it was wanted, and no longer than somebody wants it") {
  Census census(2, 1);
  const auto bucket = census.bucket_of("room");
  const auto made = [&](std::uint64_t moment) {
    return census.made(0, bucket, moment).has(Form::raw);
  };
  const std::uint64_t before = census.moment();
  CHECK(census.is_settled(0, before));
  census.raise(0, bucket, Form::raw);
  const std::uint64_t first = census.moment();
  CHECK_FALSE(census.is_settled(0, before));
  CHECK(census.is_settled(0, first));
  CHECK_FALSE(made(before));
  CHECK(made(first));
  CHECK_FALSE(census.made(0, bucket, first).has(Form::json_text));
  CHECK_FALSE(census.made(1, bucket, first).has(Form::raw));

  // One more changes nothing, and nothing does that happens elsewhere.
  census.raise(0, bucket, Form::raw);
  CHECK(census.moment() == first);
  census.raise(1, bucket, Form::raw);
  CHECK(census.is_settled(0, first));
  census.lower(0, bucket, Form::raw);
  CHECK(made(first));

  // The next one finds messages that were made for those before him, and then none for a while.
  census.lower(0, bucket, Form::raw);
  CHECK_FALSE(made(census.moment()));
  const std::uint64_t between = census.moment();
  census.raise(0, bucket, Form::raw);
  CHECK_FALSE(made(first));
  CHECK_FALSE(made(between));
  CHECK(made(census.moment()));
}

TEST_CASE("what is made for patterns is made for every name") {
  Census census(1, 1);
  const auto bucket = census.bucket_of("room");
  const auto made = [&](std::uint64_t moment) {
    return census.made(0, bucket, moment).has(Form::raw);
  };
  census.raise(0, Census::kPatterns, Form::raw);
  const std::uint64_t first = census.moment();
  CHECK(made(first));
  CHECK_FALSE(census.made(0, Census::kEverybody, first).has(Form::raw));

  SUBCASE("also for who stays when the patterns have gone") {
    census.raise(0, bucket, Form::raw);
    CHECK(made(first));
    census.lower(0, Census::kPatterns, Form::raw);
    CHECK(made(first));
    census.lower(0, bucket, Form::raw);
    CHECK_FALSE(made(census.moment()));
  }
  SUBCASE("and what was made for a name goes on for patterns") {
    census.lower(0, Census::kPatterns, Form::raw);
    census.raise(0, bucket, Form::raw);
    const std::uint64_t second = census.moment();
    census.raise(0, Census::kPatterns, Form::raw);
    census.lower(0, bucket, Form::raw);
    CHECK(made(second));
    CHECK_FALSE(made(first));
    // Another name has been made so only since there are patterns.
    auto other = census.bucket_of("other");
    for (int i = 0; other == bucket; ++i) other = census.bucket_of(std::to_string(i));
    CHECK_FALSE(census.made(0, other, second).has(Form::raw));
    census.lower(0, Census::kPatterns, Form::raw);
    CHECK_FALSE(made(census.moment()));
  }
}
