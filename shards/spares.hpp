/// What lies ready for its next use.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace webshocket::shards {

/// What came last is taken first, so that those at the front are the ones that are seldom needed.
/// Of them half go with each `thin_out`: what the largest crowd has needed is not kept for ever.
/// One thread.
template <class T>
class Spares {
 public:
  explicit Spares(std::size_t most) noexcept : most_(most) {}

  std::size_t size() const noexcept { return items_.size(); }
  bool is_full() const noexcept { return items_.size() >= most_; }
  /// The first one has lain there longest.
  T& operator[](std::size_t index) noexcept { return *items_[index]; }

  /// nullptr if there is none.
  std::unique_ptr<T> take() noexcept {
    if (items_.empty()) return nullptr;
    std::unique_ptr<T> last = std::move(items_.back());
    items_.pop_back();
    fewest_ = std::min(fewest_, items_.size());
    return last;
  }

  /// False, and it is destroyed, if there are enough, or there is no memory to keep it in.
  bool keep(std::unique_ptr<T> item) noexcept {
    if (is_full()) return false;
    try {
      items_.push_back(std::move(item));
    } catch (const std::bad_alloc&) {
      return false;
    }
    return true;
  }

  /// Of those that nobody has taken since the last time, half go; `tell(item)` before each does.
  template <class Tell>
  void thin_out(Tell&& tell) noexcept {
    const std::size_t count = (fewest_ + 1) / 2;
    for (std::size_t i = 0; i < count; ++i) tell(*items_[i]);
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(count));
    fewest_ = items_.size();
  }

  void clear() noexcept {
    items_.clear();
    items_.shrink_to_fit();
    fewest_ = 0;
  }

 private:
  std::vector<std::unique_ptr<T>> items_;
  std::size_t most_;
  std::size_t fewest_ = 0;  ///< that there have been since the last `thin_out`
};

}  // namespace webshocket::shards
