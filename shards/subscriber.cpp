#include "shards/subscriber.hpp"

#include <algorithm>
#include <new>

#include "shards/channel.hpp"

namespace webshocket::shards {

namespace {

std::size_t hash_of(const Channel* channel) noexcept {
  // Addresses differ in their middle bits; the product carries those to the top.
  constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15;
  return static_cast<std::size_t>((reinterpret_cast<std::uintptr_t>(channel) * kGolden) >> 32);
}

}  // namespace

std::size_t Subscriptions::size() const noexcept {
  if (has_block()) return block()->count;
  return held_ == 0 ? 0 : 1;
}

// Where `channel` is, or the free entry where a table would put it.
Subscriptions::Entry* Subscriptions::slot(Block& block, const Channel* channel) noexcept {
  Entry* const entries = block.entries();
  if (!block.hashed()) {
    Entry* const end = entries + block.count;
    return std::find_if(entries, end, [=](const Entry& entry) { return entry.channel == channel; });
  }
  const std::size_t mask = block.capacity - 1;
  std::size_t i = hash_of(channel) & mask;
  while (entries[i].channel != nullptr && entries[i].channel != channel) i = (i + 1) & mask;
  return entries + i;
}

std::uint32_t* Subscriptions::find(const Channel* channel) noexcept {
  if (!has_block()) return held_ != 0 && only() == channel ? &place_ : nullptr;
  Entry* const found = slot(*block(), channel);
  if (!block()->hashed() && found == block()->entries() + block()->count) return nullptr;
  return found->channel == channel ? &found->place : nullptr;
}

Subscriptions::Block* Subscriptions::make(std::uint32_t capacity) noexcept {
  void* memory = ::operator new(sizeof(Block) + capacity * sizeof(Entry), std::nothrow);
  if (memory == nullptr) return nullptr;
  auto* block = ::new (memory) Block{0, capacity};
  for (std::uint32_t i = 0; i < capacity; ++i) ::new (block->entries() + i) Entry{nullptr, 0};
  return block;
}

bool Subscriptions::rebuild(std::uint32_t capacity) noexcept {
  Block* const fresh = make(capacity);
  if (fresh == nullptr) return false;
  for_each([&](const Entry& entry) {
    *slot(*fresh, entry.channel) = entry;
    ++fresh->count;
  });
  clear();
  held_ = reinterpret_cast<std::uintptr_t>(fresh) | kBlockTag;
  return true;
}

void Subscriptions::insert(Channel* channel, std::uint32_t place) {
  if (held_ == 0) {
    held_ = reinterpret_cast<std::uintptr_t>(channel);
    place_ = place;
    return;
  }
  const bool fits =
      !has_block() ? rebuild(2)
      : !block()->hashed()
          ? block()->count < block()->capacity ||
                rebuild(block()->capacity < kLargestArray ? block()->capacity * 2 : kFirstTable)
          : (block()->count + 1) * 2 <= block()->capacity || rebuild(block()->capacity * 2);
  if (!fits) throw std::bad_alloc();
  *slot(*block(), channel) = {channel, place};
  ++block()->count;
}

void Subscriptions::erase(const Channel* channel) noexcept {
  if (!has_block()) {
    assert(only() == channel);
    held_ = 0;
    return;
  }
  Block& many = *block();
  Entry* const entries = many.entries();
  Entry* hole = slot(many, channel);
  assert(hole->channel == channel);
  if (!many.hashed()) {
    std::copy(hole + 1, entries + many.count, hole);
    hole = entries + many.count - 1;
  } else {
    const std::size_t mask = many.capacity - 1;
    auto gap = static_cast<std::size_t>(hole - entries);
    for (std::size_t i = (gap + 1) & mask; entries[i].channel != nullptr; i = (i + 1) & mask) {
      if (((i - hash_of(entries[i].channel)) & mask) < ((i - gap) & mask)) continue;
      entries[gap] = entries[i];
      gap = i;
    }
    hole = entries + gap;
  }
  *hole = {nullptr, 0};
  --many.count;

  if (many.count == 1) {
    Entry last{nullptr, 0};
    for_each([&](const Entry& entry) { last = entry; });
    clear();
    insert(last.channel, last.place);
  } else if (many.hashed() && many.count * 8 <= many.capacity) {
    // If there is no memory for a smaller one, the larger one still serves.
    rebuild(many.capacity == kFirstTable ? kLargestArray : many.capacity / 2);
  }
}

void Subscriptions::clear() noexcept {
  if (has_block()) ::operator delete(block());
  held_ = 0;
}

std::vector<std::string_view> Subscriber::subscriptions() const {
  std::vector<std::string_view> names;
  names.reserve(size());
  for_each_subscription([&](std::string_view name) { names.push_back(name); });
  return names;
}

}  // namespace webshocket::shards
