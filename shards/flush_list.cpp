#include "shards/flush_list.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

namespace webshocket::shards {

// A radix sort, digit by digit from the lowest: the numbers are small, and lie side by side.
void FlushList::order() noexcept {
  if (is_ordered_) return;
  try {
    spare_.resize(entries_.size());
  } catch (const std::bad_alloc&) {
    return;
  }
  constexpr unsigned kDigit = 8;
  const std::uint32_t highest =
      std::ranges::max_element(entries_, {}, &Entry::descriptor)->descriptor;
  for (unsigned shift = 0; shift < 32 && highest >> shift != 0; shift += kDigit) {
    std::array<std::size_t, 1U << kDigit> places{};
    const auto digit = [shift, mask = places.size() - 1](const Entry& entry) {
      return entry.descriptor >> shift & mask;
    };
    for (const Entry& entry : entries_) ++places[digit(entry)];
    std::size_t place = 0;
    for (std::size_t& count : places) place += std::exchange(count, place);
    for (const Entry& entry : entries_) spare_[places[digit(entry)]++] = entry;
    entries_.swap(spare_);
  }
  is_ordered_ = true;
}

void FlushList::give_back_memory() noexcept {
  entries_.shrink_to_fit();
  spare_.clear();
  spare_.shrink_to_fit();
}

}  // namespace webshocket::shards
