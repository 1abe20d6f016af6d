#include "shards/outbox.hpp"

#include <algorithm>
#include <cstring>

namespace webshocket::shards {

void Outbox::push(const FrameRef& frame) {
  const std::size_t size = frame.bytes().size();
  items_.push_back({frame, 0, size, false});
  bytes_ += size;
}

void Outbox::push_own(std::size_t offset, std::size_t size) {
  if (size == 0) return;
  bytes_ += size;
  if (!empty()) {
    Item& last = items_.back();
    if (!last.frame && !last.started && last.offset + last.size == offset) {
      last.size += size;
      return;
    }
  }
  items_.push_back({FrameRef(), offset, size, false});
}

std::size_t Outbox::gather(std::span<iovec> parts) noexcept {
  std::size_t count = 0;
  for (std::size_t i = first_; i < items_.size() && count < parts.size(); ++i, ++count) {
    const Item& item = items_[i];
    const std::byte* start = item.frame ? item.frame.bytes().data() : own_.data();
    // sendmsg takes what it only reads as void*.
    parts[count].iov_base = const_cast<std::byte*>(start + item.offset);
    parts[count].iov_len = item.size;
  }
  return count;
}

void Outbox::consume(std::size_t count) noexcept {
  bytes_ -= count;
  while (count > 0) {
    Item& item = items_[first_];
    const std::size_t taken = std::min(count, item.size);
    item.offset += taken;
    item.size -= taken;
    item.started = true;
    count -= taken;
    if (!item.frame) own_sent_ = item.offset;
    if (item.size > 0) break;
    item.frame = FrameRef();
    ++first_;
  }
  reclaim();
}

void Outbox::commit(std::size_t count) noexcept {
  for (std::size_t i = first_; i < items_.size() && count > 0; ++i) {
    items_[i].started = true;
    count -= std::min(count, items_[i].size);
  }
}

void Outbox::reclaim() noexcept {
  if (empty()) {
    items_.clear();
    first_ = 0;
    own_.clear();
    own_sent_ = 0;
    return;
  }
  if (first_ >= kItemsKept && first_ * 2 >= items_.size()) {
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  if (own_sent_ >= kWorthMoving && own_sent_ * 2 >= own_.size()) {
    const std::size_t left = own_.size() - own_sent_;
    std::memmove(own_.data(), own_.data() + own_sent_, left);
    own_.resize_down(left);
    for (std::size_t i = first_; i < items_.size(); ++i) {
      if (!items_[i].frame) items_[i].offset -= own_sent_;
    }
    own_sent_ = 0;
  }
}

void Outbox::drop_unsent() noexcept {
  std::size_t kept = first_;
  while (kept < items_.size() && items_[kept].started) ++kept;
  for (std::size_t i = kept; i < items_.size(); ++i) bytes_ -= items_[i].size;
  items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(kept), items_.end());
  // The bytes behind them in own_ go when the outbox is empty.
  reclaim();
}

void Outbox::reset() noexcept {
  items_.clear();
  if (items_.capacity() > kItemsKept) items_.shrink_to_fit();
  first_ = 0;
  bytes_ = 0;
  own_.release(kOwnKept);
  own_sent_ = 0;
}

}  // namespace webshocket::shards
