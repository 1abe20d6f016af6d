/// A shard's connections by uid: open addressing over pointers, eight to sixteen bytes each.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

#include <webshocket/types.hpp>

#include "shards/tcp_connection.hpp"

namespace webshocket::shards {

class ConnectionTable {
 public:
  std::size_t size() const noexcept { return size_; }

  /// For one more: `insert` needs no memory then.
  void make_room() {
    if ((size_ + 1) * 4 > slots_.size() * 3) resize(slots_.empty() ? 16 : slots_.size() * 2);
  }
  /// REQUIRES: there is room.
  void insert(TcpConnection& connection) noexcept {
    place(connection);
    ++size_;
  }

  TcpConnection* find(const Uid& uid) const noexcept {
    if (slots_.empty()) return nullptr;
    for (std::size_t i = home(uid); slots_[i] != nullptr; i = next(i)) {
      if (slots_[i]->uid() == uid) return slots_[i];
    }
    return nullptr;
  }

  void erase(const TcpConnection& connection) noexcept {
    if (slots_.empty()) return;
    std::size_t hole = home(connection.uid());
    while (slots_[hole] != &connection) {
      if (slots_[hole] == nullptr) return;
      hole = next(hole);
    }
    // Moves back what the hole would make unreachable.
    for (std::size_t i = next(hole); slots_[i] != nullptr; i = next(i)) {
      const std::size_t wanted = home(slots_[i]->uid());
      if (((i - wanted) & mask()) >= ((i - hole) & mask())) {
        slots_[hole] = slots_[i];
        hole = i;
      }
    }
    slots_[hole] = nullptr;
    --size_;
    if (slots_.size() <= 64 || size_ * 8 >= slots_.size()) return;
    try {
      resize(slots_.size() / 2);
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): it stays as it is
    }
  }

  /// `f` must not insert or erase.
  template <class F>
  void for_each(F&& f) const {
    for (TcpConnection* connection : slots_) {
      if (connection != nullptr) f(*connection);
    }
  }

 private:
  std::size_t mask() const noexcept { return slots_.size() - 1; }
  std::size_t home(const Uid& uid) const noexcept { return std::hash<Uid>{}(uid)&mask(); }
  std::size_t next(std::size_t i) const noexcept { return (i + 1) & mask(); }

  void place(TcpConnection& connection) noexcept {
    std::size_t i = home(connection.uid());
    while (slots_[i] != nullptr) i = next(i);
    slots_[i] = &connection;
  }

  void resize(std::size_t size) {
    std::vector<TcpConnection*> before(size, nullptr);
    before.swap(slots_);
    for (TcpConnection* connection : before) {
      if (connection != nullptr) place(*connection);
    }
  }

  std::vector<TcpConnection*> slots_;
  std::size_t size_ = 0;
};

}  // namespace webshocket::shards
