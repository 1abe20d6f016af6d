/// What waits for one socket.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include <webshocket/detail/executor.hpp>

#include "protocol/buffer.hpp"
#include "shards/page_file.hpp"
#include "shards/run.hpp"
#include "shards/socket.hpp"

namespace webshocket::shards {

class Endpoint;
class Reactor;

/// Messages of shared runs, by what they are.
struct Tally {
  std::uint64_t deliveries = 0;
  std::uint64_t sends = 0;
  std::size_t bytes = 0;

  std::uint64_t messages() const noexcept { return deliveries + sends; }
  Tally& operator+=(const Tally& more) noexcept {
    deliveries += more.deliveries;
    sends += more.sends;
    bytes += more.bytes;
    return *this;
  }
};

/// In order: ranges of shared runs, and bytes of its own (replies, control frames). Neighbours are
/// one part. Lent to a connection only while it has output, and kept warm by the shard in between,
/// so that a fan-out allocates nothing per recipient. One thread.
class Outbox {
 public:
  bool empty() const noexcept { return first_ == items_.size(); }
  /// What waits, and what of it is the outbox's own memory.
  std::size_t bytes() const noexcept { return bytes_; }
  std::size_t own_bytes() const noexcept { return own_.size(); }
  /// What waits of shared runs.
  Tally tally() const noexcept;

  void push(const Range& range);
  /// The same, message by message: of those with one key only the newest waits. What was dropped.
  Tally push_newest(const Range& range);

  /// Appends what `write(protocol::Buffer&)` appends.
  template <class Write>
  void write(Write&& write) {
    const std::size_t before = own_.size();
    try {
      write(own_);
      push_own(before, own_.size() - before);
    } catch (...) {
      own_.resize_down(before);
      throw;
    }
  }
  /// Splits what was pushed, as far as `may(run)` says so, in the same way. What was dropped.
  template <class May>
  Tally keep_newest(May&& may);
  /// Puts a control frame in front of all that has not begun; one of the same kind that waits there
  /// it replaces. REQUIRES: it is `Handling::Kind::control`.
  void push_ahead(const Range& frame);

  /// The front, as far as `parts` reaches; how many it took.
  std::size_t gather(std::span<iovec> parts) noexcept;
  /// The front, as far as it lies in the file in one piece; nothing if that is not worth it.
  FilePart front_in(PageFile& file) const noexcept;
  /// The socket took so many bytes. The messages that ended in them. `are_frames`: and no HTTP.
  Tally consume(std::size_t count, bool are_frames) noexcept;
  /// All that waits counts as one frame that has begun: frames come behind it.
  void begin_frames() noexcept { frame_rest_ = bytes_; }

  /// So many more bytes are on their way, and the socket wants to be given them again: what they
  /// belong to counts as begun. `are_frames` as for `consume`.
  void commit(std::size_t count, bool are_frames) noexcept;

  /// Drops messages, the oldest first, of runs that `may(run)` allows, until `bytes` have gone or
  /// there are none; what the peer has begun to receive stays. What was dropped.
  template <class May>
  Tally drop_oldest(std::size_t bytes, May&& may);
  /// Drops everything but the rest of the frame that the peer has begun to receive. What was
  /// dropped.
  Tally drop_unsent() noexcept;

  /// Copies the ranges that keep much more memory alive than they are: for a peer that takes its
  /// time. Ranges that it has seen before are left as they are.
  void detach();

  /// Cuts `owner` off when its socket takes nothing for `timeout` (0: never).
  void watch_progress(Reactor& reactor, Endpoint& owner, std::chrono::nanoseconds timeout);
  void note_progress() noexcept { patience_.has_progress = true; }
  void stop_watching(Reactor& reactor) noexcept;

  /// For another connection. Keeps its memory, up to `keep` bytes.
  void reset(std::size_t keep) noexcept;
  std::size_t memory() const noexcept { return own_.capacity(); }
  /// In its list and its index: what it takes beside that.
  std::size_t entries() const noexcept {
    return items_.size() + (newest_ == nullptr ? 0 : newest_->size());
  }

 private:
  struct Item {
    RunRef run = {};        ///< none: bytes of `own_`
    std::size_t begin = 0;  ///< of what is unsent, in the run or in `own_`
    std::size_t end = 0;
    std::uint64_t key = Run::kNoKey;  ///< of the only message in it

    std::size_t size() const noexcept { return end - begin; }
    Tally tally(std::size_t to) const noexcept;
  };
  /// By key, which item is the newest: counted from the first that there ever was.
  using Newest = std::unordered_map<std::uint64_t, std::uint64_t>;

  /// Looks now and then whether the socket takes anything.
  struct Patience final : webshocket::detail::TimerNode {
    void fire() noexcept override;
    Reactor* reactor = nullptr;
    Endpoint* owner = nullptr;
    std::chrono::nanoseconds timeout{0};
    bool has_progress = false;
  };

  static constexpr std::size_t kItemsKept = 256;
  static constexpr std::size_t kWorthMoving = 64 * 1024;

  void push_own(std::size_t offset, std::size_t size) {
    if (size == 0) return;
    if (!empty() && !items_.back().run && items_.back().end == offset) {
      items_.back().end += size;
    } else {
      push_item(offset, offset + size);
    }
    bytes_ += size;
  }
  void push_item(std::size_t begin, std::size_t end);
  const std::byte* data(const Item& item) const noexcept {
    return (item.run ? item.run->data() : own_.data()) + item.begin;
  }
  /// From the front of an item to the end of the message that is there.
  static std::size_t rest_of_message(const Item& item, std::size_t offset) noexcept;
  /// The first end of a frame that is `offset` bytes or more from the front.
  std::size_t frame_end_from(std::size_t offset) const noexcept;
  /// Which item holds `key`, if that still waits and has not begun.
  Item* find_newest(std::uint64_t key) noexcept;
  /// The first item that begins so many bytes from the front; one that lies there is cut in two.
  std::size_t split(std::size_t offset);
  /// The first item that begins behind what is fixed.
  std::size_t first_free() const noexcept;
  void index_newest();
  Tally append_newest(const Range& range);
  /// The last item is the newest of `key`: the one before it goes.
  Tally replace_newest(std::uint64_t key);
  static bool is_control(const Item& item) noexcept;
  /// What begun messages and frames leave no choice of.
  std::size_t fixed() const noexcept { return begun_ > frame_rest_ ? begun_ : frame_rest_; }
  void skip_emptied() noexcept;
  void close_gaps();
  void clear() noexcept;
  /// Room for so many more items, and not just for them.
  void make_room(std::size_t items);
  void reclaim() noexcept;
  void reclaim_items() noexcept;
  void move_own_to_front() noexcept;

  std::vector<Item> items_;  ///< some may have been emptied
  std::size_t first_ = 0;    ///< items before it have been sent
  std::size_t bytes_ = 0;
  std::size_t begun_ = 0;  ///< bytes at the front, of messages that the peer has begun to receive
  std::size_t frame_rest_ = 0;      ///< the same of frames
  std::size_t detached_ = 0;        ///< items before it have been detached
  std::size_t emptied_ = 0;         ///< how many there are behind `first_`, at most
  std::uint64_t erased_ = 0;        ///< items that have left the front of `items_`
  std::unique_ptr<Newest> newest_;  ///< made when first needed
  protocol::Buffer own_;
  std::size_t own_sent_ = 0;  ///< bytes at the front of `own_` that have been sent
  Patience patience_;
};

template <class May>
Tally Outbox::keep_newest(May&& may) {
  const auto wanted = [&](const Item& item) {
    return item.run && item.key == Run::kNoKey && item.run->has_keys() && may(*item.run);
  };
  // What is fixed may end in the middle of a burst.
  const std::size_t begin = split(fixed());
  if (std::none_of(items_.begin() + static_cast<std::ptrdiff_t>(begin), items_.end(), wanted)) {
    return {};
  }
  const std::vector<Item> items(items_.begin() + static_cast<std::ptrdiff_t>(begin), items_.end());
  const std::size_t bytes = bytes_;
  const std::size_t emptied = emptied_;
  items_.resize(begin);
  detached_ = std::min(detached_, begin);
  Tally dropped;
  try {
    index_newest();
    for (const Item& item : items) {
      if (wanted(item)) {
        bytes_ -= item.size();
        dropped += append_newest({item.run, item.begin, item.end});
      } else {
        items_.push_back(item);
        if (item.key != Run::kNoKey) (*newest_)[item.key] = erased_ + items_.size() - 1;
      }
    }
  } catch (...) {
    // As it was: there was room for it.
    items_.resize(begin);
    items_.insert(items_.end(), items.begin(), items.end());
    bytes_ = bytes;
    emptied_ = emptied;
    newest_.reset();
    throw;
  }
  close_gaps();
  return dropped;
}

template <class May>
Tally Outbox::drop_oldest(std::size_t bytes, May&& may) {
  make_room(1);  // from here on nothing fails
  Tally dropped;
  std::size_t ahead = 0;  // of the item, from the front
  for (std::size_t i = first_; i < items_.size() && dropped.bytes < bytes; ++i) {
    Item& item = items_[i];
    const std::size_t size = item.size();
    const std::size_t at = ahead;
    ahead += size;
    if (size == 0 || !item.run || at + size <= fixed() || !may(*item.run)) continue;
    const std::size_t kept = fixed() > at ? fixed() - at : 0;
    std::size_t cut = item.begin + kept;
    while (cut < item.end && dropped.bytes + (cut - item.begin - kept) < bytes) {
      cut = item.run->end_of_message(cut);
    }
    const Item gone{item.run, item.begin + kept, cut};
    dropped += gone.tally(cut);
    bytes_ -= gone.size();
    ahead -= gone.size();
    if (kept == 0) {
      item.begin = cut;
      if (item.size() == 0) {
        item = {};
        ++emptied_;
      }
      continue;
    }
    // The begun message stays in front of the gap.
    const Item rest{item.run, cut, item.end};
    item.end = item.begin + kept;
    if (rest.size() != 0) {
      items_.insert(items_.begin() + static_cast<std::ptrdiff_t>(i) + 1, rest);
      newest_.reset();
    }
  }
  close_gaps();
  return dropped;
}

}  // namespace webshocket::shards
