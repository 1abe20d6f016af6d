/// What waits for one socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "protocol/buffer.hpp"
#include "shards/page_file.hpp"
#include "shards/run.hpp"
#include "shards/socket.hpp"

namespace webshocket::shards {

/// In order: ranges of shared runs, and bytes of its own (replies, control frames). Neighbours are
/// one part. Lent to a connection only while it has output, and kept warm by the shard in between,
/// so that a fan-out allocates nothing per recipient. One thread.
class Outbox {
 public:
  bool empty() const noexcept { return first_ == items_.size(); }
  /// What waits, and what of it is the outbox's own memory.
  std::size_t bytes() const noexcept { return bytes_; }
  std::size_t own_bytes() const noexcept { return own_.size(); }

  void push(const Range& range);

  /// Appends what `write(protocol::Buffer&)` appends.
  template <class Write>
  void write(Write&& write) {
    const std::size_t before = own_.size();
    write(own_);
    push_own(before, own_.size() - before);
  }

  /// The front, as far as `parts` reaches; how many it took.
  std::size_t gather(std::span<iovec> parts) noexcept;
  /// The front, as far as it lies in the file in one piece; nothing if that is not worth it.
  FilePart front_in(PageFile& file) const noexcept;
  /// The socket took so many bytes.
  void consume(std::size_t count) noexcept;

  /// So many more bytes are on their way, and the socket wants to be given them again: what they
  /// belong to counts as begun.
  void commit(std::size_t count) noexcept;

  /// Drops everything that no byte has been sent of. What the peer has begun to receive stays
  /// whole.
  void drop_unsent() noexcept;

  /// Copies the ranges that keep much more memory alive than they are: for a peer that takes its
  /// time.
  void detach();

  /// For another connection. Keeps its memory, up to `keep` bytes.
  void reset(std::size_t keep) noexcept;
  std::size_t memory() const noexcept { return own_.capacity(); }

 private:
  struct Item {
    RunRef run;         ///< none: bytes of `own_`
    std::size_t begin;  ///< of what is unsent, in the run or in `own_`
    std::size_t end;

    std::size_t size() const noexcept { return end - begin; }
  };

  static constexpr std::size_t kItemsKept = 256;
  static constexpr std::size_t kWorthMoving = 64 * 1024;

  void push_own(std::size_t offset, std::size_t size) {
    if (size == 0) return;
    if (!empty() && !items_.back().run && items_.back().end == offset) {
      items_.back().end += size;
    } else {
      items_.push_back({RunRef(), offset, offset + size});
    }
    bytes_ += size;
  }
  /// From the front of an item to the end of the message that is there.
  static std::size_t rest_of_message(const Item& item, std::size_t offset) noexcept;
  void reclaim() noexcept;

  std::vector<Item> items_;
  std::size_t first_ = 0;  ///< items before it have been sent
  std::size_t bytes_ = 0;
  std::size_t begun_ = 0;  ///< bytes at the front, of messages that the peer has begun to receive
  protocol::Buffer own_;
  std::size_t own_sent_ = 0;  ///< bytes at the front of `own_` that have been sent
};

}  // namespace webshocket::shards
