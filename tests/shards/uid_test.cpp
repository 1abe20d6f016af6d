#include "shards/uid.hpp"

#include <doctest/doctest.h>

#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

using webshocket::Uid;
using webshocket::shards::mint_uid;

TEST_CASE("a uid is a random UUID, version 4") {
  for (int i = 0; i < 2'000; ++i) {
    const Uid uid = mint_uid();
    const std::string text = uid.to_string();
    REQUIRE(text.size() == 36);
    CHECK(text[14] == '4');
    CHECK(std::string("89ab").find(text[19]) != std::string::npos);
    CHECK(Uid::parse(text) == uid);
  }
}

TEST_CASE("no two are alike, on any thread") {
  std::mutex mutex;
  std::set<Uid> all;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      std::vector<Uid> mine;
      for (int i = 0; i < 5'000; ++i) mine.push_back(mint_uid());
      const std::scoped_lock lock(mutex);
      all.insert(mine.begin(), mine.end());
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(all.size() == 20'000);
}
