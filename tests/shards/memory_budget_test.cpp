#include "shards/memory_budget.hpp"

#include <doctest/doctest.h>

#include <cstddef>

using webshocket::shards::MemoryBudget;

namespace {

constexpr std::size_t kGrain = MemoryBudget::kGrain;

}  // namespace

TEST_CASE("what is told adds up, grain by grain") {
  MemoryBudget budget(4 * kGrain, 2);
  CHECK(budget.share() == 2 * kGrain);
  std::size_t one = 0;
  std::size_t other = 0;
  budget.tell(one, kGrain - 1);
  CHECK(one == 0);  // not worth it
  budget.tell(one, 2 * kGrain);
  CHECK(one == 2 * kGrain);
  budget.tell(other, 2 * kGrain);
  CHECK_FALSE(budget.is_over());
  budget.tell(other, 3 * kGrain);
  CHECK(budget.is_over());
  budget.tell(one, 0);
  CHECK_FALSE(budget.is_over());
}

TEST_CASE("the first who sees that it is too much tells the others, each time anew") {
  MemoryBudget budget(kGrain, 2);
  std::size_t told = 0;
  CHECK_FALSE(budget.must_tell_others());
  budget.tell(told, 2 * kGrain);
  CHECK(budget.must_tell_others());
  CHECK_FALSE(budget.must_tell_others());
  budget.tell(told, 0);
  CHECK_FALSE(budget.must_tell_others());
  budget.tell(told, 2 * kGrain);
  CHECK(budget.must_tell_others());
}

TEST_CASE("without a limit it is never too much") {
  MemoryBudget budget(0, 1);
  std::size_t told = 0;
  budget.tell(told, 1000 * kGrain);
  CHECK(told == 0);
  CHECK_FALSE(budget.is_over());
}
