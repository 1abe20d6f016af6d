#include <webshocket/detail/arena.hpp>

#include <algorithm>

namespace webshocket::detail {

std::byte* Arena::allocate_slow(std::size_t size) {
  // A moved-from arena has no blocks, but may remember how far it was.
  std::size_t next = blocks_.empty() ? 0 : current_ + 1;
  while (next < blocks_.size() && blocks_[next].size < size) ++next;
  if (next >= blocks_.size()) {
    const std::size_t doubled =
        blocks_.empty() ? kFirstBlock : std::min(blocks_.back().size * 2, kLargestBlock);
    const std::size_t bytes = std::max(size, doubled);
    blocks_.push_back({std::make_unique_for_overwrite<std::byte[]>(bytes), bytes});
    next = blocks_.size() - 1;
  }
  current_ = next;
  used_ = size;
  return blocks_[current_].bytes.get();
}

void Arena::reset(std::size_t keep) noexcept {
  std::size_t total = capacity();
  while (total > keep) {
    total -= blocks_.back().size;
    blocks_.pop_back();
  }
  current_ = 0;
  used_ = 0;
}

std::size_t Arena::used() const noexcept {
  std::size_t total = blocks_.empty() ? 0 : used_;
  for (std::size_t i = 0; i < current_ && i < blocks_.size(); ++i) total += blocks_[i].size;
  return total;
}

std::size_t Arena::capacity() const noexcept {
  std::size_t total = 0;
  for (const Block& block : blocks_) total += block.size;
  return total;
}

}  // namespace webshocket::detail
