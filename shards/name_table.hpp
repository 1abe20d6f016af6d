/// A hash table of things that carry their own name.
#pragma once

#include <xxhash.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace webshocket::shards {

/// Names come from clients, so the seed should be random: else they can choose names that collide.
inline std::uint64_t hash_name(std::string_view name, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(name.data(), name.size(), seed);
}

/// T has `std::string_view name() const`, unique in the table and constant. The table does not own.
/// Callers pass the hash, so that several tables share one computation of it.
template <class T>
class NameTable {
 public:
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  T* find(std::string_view name, std::uint64_t hash) const noexcept {
    if (size_ == 0) return nullptr;
    for (std::size_t i = hash & mask(); slots_[i].item != nullptr; i = (i + 1) & mask()) {
      // Not by `==`: that is not inlined, and finds out which of two names comes first.
      if (slots_[i].hash == hash && std::ranges::equal(slots_[i].item->name(), name)) {
        return slots_[i].item;
      }
    }
    return nullptr;
  }

  /// REQUIRES: no item of that name. Does nothing if it throws.
  void insert(T& item, std::uint64_t hash) {
    if ((size_ + 1) * 4 > slots_.size() * 3) rehash(slots_.empty() ? 8 : slots_.size() * 2);
    place({hash, &item});
    ++size_;
  }

  /// REQUIRES: the item is in the table.
  void erase(const T& item, std::uint64_t hash) noexcept {
    std::size_t hole = hash & mask();
    while (slots_[hole].item != &item) hole = (hole + 1) & mask();
    // Closing the gap instead of marking it keeps probes short however much names come and go.
    for (std::size_t i = (hole + 1) & mask(); slots_[i].item != nullptr; i = (i + 1) & mask()) {
      if (((i - slots_[i].hash) & mask()) < ((i - hole) & mask())) continue;
      slots_[hole] = slots_[i];
      hole = i;
    }
    slots_[hole] = {};
    --size_;
    if (slots_.size() > 64 && size_ * 8 < slots_.size()) shrink();
  }

  template <class F>
  void for_each(F&& f) const {
    for (const Slot& slot : slots_) {
      if (slot.item != nullptr) f(*slot.item);
    }
  }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    T* item = nullptr;
  };

  std::size_t mask() const noexcept { return slots_.size() - 1; }

  void place(Slot slot) noexcept {
    std::size_t i = slot.hash & mask();
    while (slots_[i].item != nullptr) i = (i + 1) & mask();
    slots_[i] = slot;
  }

  void rehash(std::size_t capacity) {
    std::vector<Slot> old(capacity);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.item != nullptr) place(slot);
    }
  }

  void shrink() noexcept {
    try {
      rehash(slots_.size() / 2);
    } catch (...) {
      // No memory for a smaller table: the larger one still serves.
    }
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace webshocket::shards
