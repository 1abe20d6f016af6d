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
