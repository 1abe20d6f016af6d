#include "shards/outbox.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "protocol/frame_header.hpp"
#include "shards/endpoint.hpp"

namespace webshocket::shards {

Tally Outbox::Item::tally(std::size_t to) const noexcept {
  Tally tally;
  if (!run || !run->handling().has_messages()) return tally;
  const bool is_send = run->handling().kind == Handling::Kind::send;
  (is_send ? tally.sends : tally.deliveries) = run->messages_between(begin, to);
  tally.bytes = to - begin;
  return tally;
}

Tally Outbox::tally() const noexcept {
  Tally tally;
  for (std::size_t i = first_; i < items_.size(); ++i) {
    if (items_[i].run) tally += items_[i].tally(items_[i].end);
  }
  return tally;
}

void Outbox::push_item(std::size_t begin, std::size_t end) {
  items_.push_back({RunRef(), begin, end});
}

void Outbox::push(const Range& range) {
  Item* const last = empty() ? nullptr : &items_.back();
  if (last != nullptr && last->run.get() == range.run.get() && last->end == range.begin &&
      last->key == Run::kNoKey) {
    last->end = range.end;
  } else {
    items_.push_back({range.run, range.begin, range.end});
  }
  bytes_ += range.size();
}

Tally Outbox::push_newest(const Range& range) {
  if (newest_ == nullptr) index_newest();
  const Tally dropped = append_newest(range);
  close_gaps();
  return dropped;
}

void Outbox::index_newest() {
  auto newest = std::make_unique<Newest>();
  for (std::size_t i = first_; i < items_.size(); ++i) {
    if (items_[i].key != Run::kNoKey) (*newest)[items_[i].key] = erased_ + i;
  }
  newest_ = std::move(newest);
}

Tally Outbox::append_newest(const Range& range) {
  Tally dropped;
  for (std::size_t begin = range.begin; begin < range.end;) {
    const std::size_t end = range.run->end_of_message(begin);
    const std::uint64_t key = range.run->key_at(begin);
    if (key == Run::kNoKey) {
      push({range.run, begin, end});
      begin = end;
      continue;
    }
    items_.push_back({range.run, begin, end, key});
    dropped += replace_newest(key);
    bytes_ += end - begin;
    begin = end;
  }
  return dropped;
}

Tally Outbox::replace_newest(std::uint64_t key) {
  const std::uint64_t newest = erased_ + items_.size() - 1;
  try {
    if (newest_->try_emplace(key, newest).second) return {};
  } catch (...) {
    items_.pop_back();
    throw;
  }
  Tally dropped;
  if (Item* const older = find_newest(key)) {
    dropped = older->tally(older->end);
    bytes_ -= older->size();
    *older = {};
    ++emptied_;
  }
  newest_->find(key)->second = newest;
  return dropped;
}

Outbox::Item* Outbox::find_newest(std::uint64_t key) noexcept {
  const auto found = newest_->find(key);
  if (found == newest_->end() || found->second < erased_ + first_free()) return nullptr;
  Item& item = items_[found->second - erased_];
  return item.key == key && item.size() != 0 ? &item : nullptr;
}

std::size_t Outbox::first_free() const noexcept {
  std::size_t i = first_;
  for (std::size_t ahead = 0; ahead < fixed(); ++i) ahead += items_[i].size();
  return i;
}

std::size_t Outbox::split(std::size_t offset) {
  make_room(2);  // from here on nothing fails, nor in what follows
  std::size_t i = first_;
  for (; offset != 0; ++i) {
    const std::size_t size = items_[i].size();
    if (offset < size) {
      Item rest = items_[i];
      rest.begin += offset;
      items_[i].end = rest.begin;
      items_.insert(items_.begin() + static_cast<std::ptrdiff_t>(++i), std::move(rest));
      newest_.reset();
      detached_ = std::min(detached_, i);
      break;
    }
    offset -= size;
  }
  return i;
}

void Outbox::push_ahead(const Range& frame) {
  const std::byte kind = *frame.run->data();
  std::size_t i = split(frame_rest_);
  while (i < items_.size() && items_[i].size() == 0) ++i;
  if (i < items_.size() && is_control(items_[i]) && *data(items_[i]) == kind) {
    // The same again, and the last one still waits: it stands for both.
    if (begun_ > frame_rest_) begun_ += frame.size() - items_[i].size();
    bytes_ += frame.size() - items_[i].size();
    items_[i].run = frame.run;
    items_[i].begin = frame.begin;
    items_[i].end = frame.end;
    return;
  }
  items_.insert(items_.begin() + static_cast<std::ptrdiff_t>(i),
                {frame.run, frame.begin, frame.end});
  bytes_ += frame.size();
  // What of a message was begun and waits behind the frame still is.
  if (begun_ > frame_rest_) begun_ += frame.size();
  detached_ = std::min(detached_, i);
  newest_.reset();
}

bool Outbox::is_control(const Item& item) noexcept {
  return item.run && item.run->handling().kind == Handling::Kind::control;
}

std::size_t Outbox::gather(std::span<iovec> parts) noexcept {
  std::size_t count = 0;
  for (std::size_t i = first_; i < items_.size() && count < parts.size(); ++i) {
    const Item& item = items_[i];
    if (item.size() == 0) continue;
    // sendmsg takes what it only reads as void*.
    parts[count].iov_base = const_cast<std::byte*>(data(item));
    parts[count].iov_len = item.size();
    ++count;
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

std::size_t Outbox::frame_end_from(std::size_t offset) const noexcept {
  if (offset <= frame_rest_) return frame_rest_;
  std::size_t ahead = 0;
  for (std::size_t i = first_; i < items_.size(); ++i) {
    const Item& item = items_[i];
    const std::size_t behind = ahead + item.size();
    if (offset <= behind) {
      const std::size_t start = std::max(ahead, frame_rest_);  // a frame begins there
      const std::span<const std::byte> frames(data(item) + (start - ahead), behind - start);
      return start + protocol::frame_end(frames, offset - start);
    }
    ahead = behind;
  }
  return ahead;
}

Tally Outbox::consume(std::size_t count, bool are_frames) noexcept {
  if (count == bytes_) {
    const Tally written = tally();
    clear();
    return written;
  }
  Tally written;
  frame_rest_ = (are_frames ? frame_end_from(count) : bytes_) - count;
  bytes_ -= count;
  begun_ -= std::min(begun_, count);
  for (; count > 0; skip_emptied()) {
    Item& item = items_[first_];
    const std::size_t taken = std::min(count, item.size());
    if (item.run) written += item.tally(item.begin + taken);
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
  skip_emptied();
  reclaim();
  return written;
}

void Outbox::commit(std::size_t count, bool are_frames) noexcept {
  if (count == 0) return;
  frame_rest_ = are_frames ? frame_end_from(count) : bytes_;
  std::size_t before = 0;
  for (std::size_t i = first_; i < items_.size() && before < count; ++i) {
    const Item& item = items_[i];
    const std::size_t taken = std::min(count - before, item.size());
    before += taken;
    begun_ = std::max(begun_, before + rest_of_message(item, item.begin + taken));
    before += item.size() - taken;
  }
}

void Outbox::skip_emptied() noexcept {
  while (first_ < items_.size() && items_[first_].size() == 0) {
    ++first_;
    if (emptied_ != 0) --emptied_;
  }
}

// Else a key that changes all the time would fill the list with what it was, and each new key the
// index.
void Outbox::close_gaps() {
  constexpr std::size_t kKeysKept = 64;
  skip_emptied();
  reclaim_items();
  if (newest_ != nullptr && newest_->size() > 2 * (items_.size() - first_) + kKeysKept) {
    newest_.reset();
  }
  if (emptied_ < 64 || emptied_ * 2 < items_.size() - first_) return;
  const auto begin = items_.begin() + static_cast<std::ptrdiff_t>(first_);
  items_.erase(std::remove_if(begin, items_.end(),
                              [](const Item& item) noexcept { return item.size() == 0; }),
               items_.end());
  emptied_ = 0;
  detached_ = first_;
  newest_.reset();
}

void Outbox::clear() noexcept {
  items_.clear();
  first_ = detached_ = emptied_ = 0;
  bytes_ = begun_ = frame_rest_ = 0;
  if (newest_ != nullptr) newest_.reset();
  own_.clear();
  own_sent_ = 0;
}

void Outbox::reclaim() noexcept {
  if (empty()) return clear();
  reclaim_items();
  if (own_sent_ >= kWorthMoving && own_sent_ * 2 >= own_.size()) move_own_to_front();
}

void Outbox::make_room(std::size_t items) {
  if (items_.capacity() - items_.size() >= items) return;
  items_.reserve(std::max(2 * items_.size(), items_.size() + items));
}

void Outbox::reclaim_items() noexcept {
  if (first_ < kItemsKept || first_ * 2 < items_.size()) return;
  items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(first_));
  erased_ += first_;
  detached_ -= std::min(detached_, first_);
  first_ = 0;
}

void Outbox::move_own_to_front() noexcept {
  const std::size_t left = own_.size() - own_sent_;
  if (left != 0) std::memmove(own_.data(), own_.data() + own_sent_, left);
  own_.resize_down(left);
  for (std::size_t i = first_; i < items_.size(); ++i) {
    if (items_[i].run || items_[i].size() == 0) continue;
    items_[i].begin -= own_sent_;
    items_[i].end -= own_sent_;
  }
  own_sent_ = 0;
}

Tally Outbox::drop_unsent() noexcept {
  Tally dropped;
  std::size_t kept = first_;
  std::size_t left = frame_rest_;
  std::size_t own_end = own_sent_;
  for (; kept < items_.size() && left > 0; ++kept) {
    Item& item = items_[kept];
    const std::size_t end = item.begin + std::min(item.size(), left);
    dropped += Item{item.run, end, item.end}.tally(item.end);
    left -= end - item.begin;
    item.end = end;
    if (!item.run && item.size() != 0) own_end = end;
  }
  for (std::size_t i = kept; i < items_.size(); ++i) dropped += items_[i].tally(items_[i].end);
  bytes_ = begun_ = frame_rest_;
  items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(kept), items_.end());
  detached_ = std::min(detached_, kept);
  newest_.reset();
  // Its own memory goes now: who drops because of a limit looks at that.
  own_.resize_down(own_end);
  move_own_to_front();
  own_.shrink();
  reclaim();
  return dropped;
}

void Outbox::detach() {
  for (std::size_t i = std::max(first_, detached_); i < items_.size(); ++i) {
    Item& item = items_[i];
    if (!item.run) continue;
    if (item.size() * item.run->references() * 2 <= item.run->size()) {
      item.run = item.run->copy(item.begin, item.end);
      item.end = item.size();
      item.begin = 0;
    } else {
      item.run.keep();
    }
  }
  detached_ = items_.size();
}

void Outbox::watch_progress(Reactor& reactor, Endpoint& owner, std::chrono::nanoseconds timeout) {
  if (timeout.count() == 0) return;
  patience_.reactor = &reactor;
  patience_.owner = &owner;
  patience_.timeout = timeout;
  patience_.has_progress = false;
  reactor.start_timer(patience_, timeout);
}

void Outbox::stop_watching(Reactor& reactor) noexcept {
  if (patience_.armed()) reactor.stop_timer(patience_);
}

void Outbox::Patience::fire() noexcept {
  if (!std::exchange(has_progress, false)) return owner->cut_off_unread();
  reactor->start_timer(*this, timeout);
}

void Outbox::reset(std::size_t keep) noexcept {
  clear();
  if (items_.capacity() > kItemsKept) items_.shrink_to_fit();
  own_.release(keep);
}

}  // namespace webshocket::shards
