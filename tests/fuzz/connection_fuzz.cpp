// The whole state machine of a server's connections: a real shard on this thread, whose clients,
// handler, clock and turns all do what the input says (connection/program.hpp). Every byte that it
// writes is judged by a reader of its own, each call must be answered once, a connection that does
// no wrong must not notice the others, and at the end nothing may be left.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "shards/shard.hpp"  // the rooms that it needs
#include "tests/fuzz/connection/program.hpp"
#include "tests/fuzz/judge.hpp"
#include "tests/support/stepped_clock.hpp"

using namespace webshocket::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > kOptionBytes + kMostSteps * kStepBytes) return -1;
  run_program({data, size});
  return 0;
}

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most)
    __attribute__((weak));

namespace {

using Steps = std::vector<std::array<std::uint8_t, kStepBytes>>;

void mutate_steps(Steps& steps, std::minstd_rand& random) {
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random()) % bound; };
  const auto any = [&] {
    std::array<std::uint8_t, kStepBytes> step{};
    for (std::uint8_t& byte : step) byte = static_cast<std::uint8_t>(random() >> 8U);
    step[0] = static_cast<std::uint8_t>(step[0] % kStepKinds);
    return step;
  };
  const auto place = [&](std::size_t at) {
    return steps.begin() + static_cast<std::ptrdiff_t>(at);
  };
  switch (steps.empty() ? 0 : below(7)) {
    case 0:
    case 1:
      steps.insert(place(below(steps.size() + 1)), any());
      return;
    case 2:
      steps.erase(place(below(steps.size())));
      return;
    case 3:
      std::swap(steps[below(steps.size())], steps[below(steps.size())]);
      return;
    case 4: {  // once more, somewhere else
      const std::size_t begin = below(steps.size());
      const std::size_t end = begin + 1 + below(std::min<std::size_t>(8, steps.size() - begin));
      const Steps copy(place(begin), place(end));
      steps.insert(place(below(steps.size() + 1)), copy.begin(), copy.end());
      return;
    }
    case 5:
      steps[below(steps.size())][1 + below(3)] = static_cast<std::uint8_t>(random() >> 8U);
      return;
    default:
      steps[below(steps.size())][1 + below(3)] ^= static_cast<std::uint8_t>(1U << below(8));
      return;
  }
}

}  // namespace

// Half of the time whole steps are moved: a byte that is put in would turn all that follow into
// something else.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned seed) {
  std::minstd_rand random(seed);
  if (size < kOptionBytes || random() % 4 == 0) return LLVMFuzzerMutate(data, size, most);
  const std::size_t count = (size - kOptionBytes) / kStepBytes;
  Steps steps(count);
  if (count != 0) std::memcpy(steps.data(), data + kOptionBytes, count * kStepBytes);
  if (random() % 16 == 0) data[random() % kOptionBytes] = static_cast<std::uint8_t>(random() >> 8U);
  for (std::size_t i = 0; i <= random() % 4; ++i) mutate_steps(steps, random);
  const std::size_t room =
      (std::min(most, kOptionBytes + kMostSteps * kStepBytes) - kOptionBytes) / kStepBytes;
  steps.resize(std::min(steps.size(), room));
  if (!steps.empty()) std::memcpy(data + kOptionBytes, steps.data(), steps.size() * kStepBytes);
  return kOptionBytes + steps.size() * kStepBytes;
}
