#include "shards/spares.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <vector>

using webshocket::shards::Spares;

namespace {

void fill(Spares<int>& spares, int count) {
  for (int i = 0; i < count; ++i) spares.keep(std::make_unique<int>(i));
}

std::vector<int> thin_out(Spares<int>& spares) {
  std::vector<int> gone;
  spares.thin_out([&](int item) { gone.push_back(item); });
  return gone;
}

}  // namespace

TEST_CASE("the last one is taken first, and there is a most") {
  Spares<int> spares(3);
  CHECK(spares.take() == nullptr);
  fill(spares, 3);
  CHECK(spares.is_full());
  CHECK_FALSE(spares.keep(std::make_unique<int>(3)));
  CHECK(*spares.take() == 2);
  CHECK(spares.size() == 2);
}

TEST_CASE("what nobody has needed goes by halves, what is needed stays") {
  Spares<int> spares(100);
  fill(spares, 10);
  CHECK(thin_out(spares).empty());  // they have only just come
  const auto use = [&](std::size_t count) {
    std::vector<std::unique_ptr<int>> used;
    while (used.size() < count) used.push_back(spares.take());
    for (auto& item : used) CHECK(spares.keep(std::move(item)));
  };
  use(4);
  CHECK(thin_out(spares) == std::vector{0, 1, 2});
  use(4);
  CHECK(thin_out(spares) == std::vector{3, 4});
  use(4);
  CHECK(thin_out(spares) == std::vector{5});
  for (int i = 0; i < 3; ++i) {
    use(4);
    CHECK(thin_out(spares).empty());
  }
  CHECK(spares.size() == 4);
  CHECK(thin_out(spares).size() == 2);
  CHECK(thin_out(spares).size() == 1);
  CHECK(thin_out(spares).size() == 1);
  CHECK(spares.size() == 0);
}
