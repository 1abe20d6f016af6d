/// Whose output is written at the end of the turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace webshocket::shards {

class Endpoint;

/// In the order in which they were added, or of their descriptors. The second is most often that in
/// which they have come, and so that in which the kernel's side of them lies in memory: where many
/// rooms are written to, their sockets would else be walked criss-cross. One thread.
class FlushList {
 public:
  bool empty() const noexcept { return entries_.empty(); }
  std::size_t size() const noexcept { return entries_.size(); }
  Endpoint& operator[](std::size_t index) const noexcept { return *entries_[index].endpoint; }

  void add(Endpoint& endpoint, int descriptor) {
    const auto key = static_cast<std::uint32_t>(descriptor);
    const bool is_next = entries_.empty() || key >= entries_.back().descriptor;
    entries_.push_back({key, &endpoint});
    is_ordered_ = is_next && (is_ordered_ || entries_.size() == 1);
  }
  /// By descriptor. Leaves them as they are if there is no memory for it.
  void order() noexcept;
  void drop_first(std::size_t count) noexcept {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(count));
  }
  void give_back_memory() noexcept;

 private:
  struct Entry {
    std::uint32_t descriptor;
    Endpoint* endpoint;
  };
  std::vector<Entry> entries_;
  std::vector<Entry> spare_;
  bool is_ordered_ = true;
};

}  // namespace webshocket::shards
