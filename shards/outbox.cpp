#include "shards/outbox.hpp"

#include <algorithm>
#include <cstring>

namespace webshocket::shards {

void Outbox::push(const Range& range) {
  bytes_ += range.size();
  if (!empty()) {
    Item& last = items_.back();
    if (last.run.get() == range.run.get() && last.end == range.begin) {
      last.end = range.end;
      return;
    }
  }
  items_.push_back({range.run, range.begin, range.end});
}

std::size_t Outbox::gather(std::span<iovec> parts) noexcept {
  std::size_t count = 0;
  for (std::size_t i = first_; i < items_.size() && count < parts.size(); ++i, ++count) {
    const Item& item = items_[i];
    const std::byte* start = item.run ? item.run->data() : own_.data();
    // sendmsg takes what it only reads as void*.
    parts[count].iov_base = const_cast<std::byte*>(start + item.begin);
    parts[count].iov_len = item.size();
  }
  return count;
}

FilePart Outbox::front_in(PageFile& file) const noexcept {
  FilePart front;
  for (std::size_t i = first_; i < items_.size() && front.size < PageFile::kMostSent; ++i) {
    const Item& item = items_[i];
    if (!item.run) break;
    const auto offset = file.place(*item.run, item.end);
    if (!offset) break;
    if (front.size == 0) front.offset = *offset + item.begin;
    if (*offset + item.begin != front.offset + front.size) break;
    front.size += item.size();
  }
  return front.size >= PageFile::kWorthSending ? front : FilePart{};
}

std::size_t Outbox::rest_of_message(const Item& item, std::size_t offset) noexcept {
  // Its own bytes are not told apart: replies are never dropped.
  return item.run ? item.run->rest_of_message(offset) : item.end - offset;
}

void Outbox::consume(std::size_t count) noexcept {
  bytes_ -= count;
  begun_ -= std::min(begun_, count);
  while (count > 0) {
    Item& item = items_[first_];
    const std::size_t taken = std::min(count, item.size());
    item.begin += taken;
    count -= taken;
    if (!item.run) own_sent_ = item.begin;
    if (item.size() > 0) {
      if (begun_ == 0) begun_ = rest_of_message(item, item.begin);
      break;
    }
    item.run = RunRef();
    ++first_;
  }
  reclaim();
}

void Outbox::commit(std::size_t count) noexcept {
  std::size_t before = 0;
  for (std::size_t i = first_; i < items_.size() && before < count; ++i) {
    const Item& item = items_[i];
    const std::size_t taken = std::min(count - before, item.size());
    before += taken;
    begun_ = std::max(begun_, before + rest_of_message(item, item.begin + taken));
    before += item.size() - taken;
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
      if (items_[i].run) continue;
      items_[i].begin -= own_sent_;
      items_[i].end -= own_sent_;
    }
    own_sent_ = 0;
  }
}

void Outbox::drop_unsent() noexcept {
  std::size_t kept = first_;
  std::size_t left = begun_;
  for (; kept < items_.size() && left > 0; ++kept) {
    Item& item = items_[kept];
    item.end = item.begin + std::min(item.size(), left);
    left -= item.size();
  }
  bytes_ = begun_;
  items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(kept), items_.end());
  // The bytes behind them in own_ go when the outbox is empty.
  reclaim();
}

void Outbox::detach() {
  for (std::size_t i = first_; i < items_.size(); ++i) {
    Item& item = items_[i];
    if (!item.run || item.size() * item.run->references() * 2 > item.run->size()) continue;
    item.run = item.run->copy(item.begin, item.end);
    item.end = item.size();
    item.begin = 0;
  }
}

void Outbox::reset(std::size_t keep) noexcept {
  items_.clear();
  if (items_.capacity() > kItemsKept) items_.shrink_to_fit();
  first_ = 0;
  bytes_ = 0;
  begun_ = 0;
  own_.release(keep);
  own_sent_ = 0;
}

}  // namespace webshocket::shards
