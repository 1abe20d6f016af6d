/// Which TLS the connections of each listener begin with.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace webshocket::shards {

class TlsContext;

/// Any thread. All listeners change at once; who has begun goes on with what he began with.
class TlsTable {
 public:
  using List = std::vector<std::shared_ptr<const TlsContext>>;

  /// Nothing: that listener does without.
  std::shared_ptr<const TlsContext> of(std::size_t listener) const {
    const std::lock_guard lock(mutex_);
    return listener < list_.size() ? list_[listener] : nullptr;
  }

  void exchange(List list) {
    const std::lock_guard lock(mutex_);
    list_.swap(list);
  }

 private:
  mutable std::mutex mutex_;
  List list_;
};

}  // namespace webshocket::shards
