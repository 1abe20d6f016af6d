#include "shards/flush_list.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <utility>
#include <vector>

using webshocket::shards::Endpoint;
using webshocket::shards::FlushList;

namespace {

/// Nobody looks at them: where they are is what they are told apart by.
Endpoint& endpoint(std::size_t number) {
  static std::vector<std::max_align_t> places(10'000);
  return reinterpret_cast<Endpoint&>(places.at(number));
}

std::vector<Endpoint*> all_of(const FlushList& list) {
  std::vector<Endpoint*> all;
  for (std::size_t i = 0; i < list.size(); ++i) all.push_back(&list[i]);
  return all;
}

}  // namespace

TEST_CASE("they stay as they were added until they are ordered, and then lie by descriptor") {
  FlushList list;
  for (const int descriptor : {70'000, 3, 300, 299, 3}) {
    list.add(endpoint(list.size()), descriptor);
  }
  CHECK(all_of(list) ==
        std::vector{&endpoint(0), &endpoint(1), &endpoint(2), &endpoint(3), &endpoint(4)});
  list.order();
  CHECK(all_of(list) ==
        std::vector{&endpoint(1), &endpoint(4), &endpoint(3), &endpoint(2), &endpoint(0)});
  list.drop_first(2);
  CHECK(list.size() == 3);
  list.add(endpoint(5), 1);
  list.order();
  CHECK(&list[0] == &endpoint(5));
  list.drop_first(4);
  CHECK(list.empty());
  list.order();
  list.give_back_memory();
  CHECK(list.empty());
}

TEST_CASE("however many, and however they come") {
  std::mt19937 random(20'261'124);
  for (const int most : {1, 200, 5'000, 1'000'000, 20'000'000}) {
    FlushList list;
    for (int round = 0; round < 4; ++round) {
      std::vector<std::pair<int, Endpoint*>> expected;
      for (std::size_t i = 0; i < 3'000; ++i) {
        const int descriptor = static_cast<int>(random() % static_cast<unsigned>(most));
        expected.emplace_back(descriptor, &endpoint(i));
        list.add(endpoint(i), descriptor);
      }
      list.order();
      std::ranges::stable_sort(expected, {}, &std::pair<int, Endpoint*>::first);
      std::vector<Endpoint*> in_order;
      for (const auto& [descriptor, endpoint] : expected) in_order.push_back(endpoint);
      CHECK(all_of(list) == in_order);
      list.drop_first(list.size());
    }
  }
}
