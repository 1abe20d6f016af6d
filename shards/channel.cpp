#include "shards/channel.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

namespace webshocket::shards {

Channel::Owner Channel::make(std::string_view name) {
  auto* memory = static_cast<char*>(::operator new(sizeof(Channel) + name.size()));
  char* const text = memory + sizeof(Channel);
  if (!name.empty()) std::memcpy(text, name.data(), name.size());
  Owner channel(::new (memory) Channel(false));
  channel->set_name({text, name.size()});
  return channel;
}

void Channel::Deleter::operator()(Channel* channel) const noexcept {
  channel->~Channel();
  ::operator delete(channel);
}

Channel::~Channel() {
  if (capacity_ != 1) ::operator delete(many_);
}

bool Channel::resize(std::uint32_t capacity) noexcept {
  auto* fresh =
      static_cast<Subscriber**>(::operator new(capacity * sizeof(Subscriber*), std::nothrow));
  if (fresh == nullptr) return false;
  std::copy_n(list(), size_, fresh);
  if (capacity_ != 1) ::operator delete(many_);
  many_ = fresh;
  capacity_ = capacity;
  return true;
}

void Channel::add(Subscriber& subscriber) {
  if (size_ == capacity_) {
    const bool full = capacity_ > std::numeric_limits<std::uint32_t>::max() / 2;
    // Half as much again above a page: a list of a million should not waste eight megabytes.
    if (full || !resize(capacity_ < 512 ? capacity_ * 2 : capacity_ + capacity_ / 2)) {
      throw std::bad_alloc();
    }
  }
  subscriber.insert(this, size_);
  list()[size_++] = &subscriber;
  ++count_;
}

void Channel::remove(std::uint32_t place) noexcept {
  assert(place < size_ && list()[place] != nullptr);
  list()[place] = nullptr;
  --count_;
}

void Channel::tidy() noexcept {
  while (size_ > 0 && list()[size_ - 1] == nullptr) --size_;
  if (size_ >= 8 && size_ - count_ > size_ / 4) compact();
}

void Channel::compact() noexcept {
  Subscriber** const all = list();
  std::uint32_t to = 0;
  for (std::uint32_t from = 0; from < size_; ++from) {
    Subscriber* const subscriber = all[from];
    if (subscriber == nullptr) continue;
    if (from != to) {
      all[to] = subscriber;
      *subscriber->find(this) = to;
    }
    ++to;
  }
  size_ = to;
  if (capacity_ >= 16 && size_ <= capacity_ / 4) resize(capacity_ / 2);
}

}  // namespace webshocket::shards
