/// What all shards of a server share. Fixed once they run, but for counters.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/config.hpp>
#include <webshocket/handler.hpp>
#include <webshocket/upgrade.hpp>

#include "api/token_bucket.hpp"
#include "shards/admission.hpp"
#include "shards/bus.hpp"
#include "shards/ip_table.hpp"
#include "shards/memory_budget.hpp"
#include "shards/offload_pool.hpp"
#include "shards/tls_table.hpp"

namespace webshocket::detail {
class AcceptQueue;
}

namespace webshocket::shards {

struct Route {
  std::string path;  ///< of the first one: empty, for every path that no other has
  HandlerFactory factory;
};

struct HttpRoute {
  std::string method;
  std::string path;
  HttpHandler handler;
};

struct Folder {
  std::string prefix;
  std::string path;
};

/// A count with a bound, over all shards.
class Quota {
 public:
  /// 0: no bound.
  explicit Quota(std::size_t limit) noexcept : limit_(limit) {}
  std::size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }

 private:
  friend class Slot;
  std::size_t limit_;
  std::atomic<std::size_t> used_{0};
};

/// One of a quota's, given back by its destructor.
class Slot {
 public:
  Slot() noexcept = default;
  Slot(Slot&& other) noexcept : quota_(std::exchange(other.quota_, nullptr)) {}
  Slot& operator=(Slot&& other) noexcept {
    std::swap(quota_, other.quota_);
    return *this;
  }
  ~Slot() { release(); }

  /// Empty if none is left.
  static Slot take(Quota& quota) noexcept {
    Slot slot;
    const std::size_t before = quota.used_.fetch_add(1, std::memory_order_relaxed);
    if (quota.limit_ != 0 && before >= quota.limit_) {
      quota.used_.fetch_sub(1, std::memory_order_relaxed);
    } else {
      slot.quota_ = &quota;
    }
    return slot;
  }
  void release() noexcept {
    if (quota_ != nullptr) quota_->used_.fetch_sub(1, std::memory_order_relaxed);
    quota_ = nullptr;
  }
  explicit operator bool() const noexcept { return quota_ != nullptr; }

 private:
  Quota* quota_ = nullptr;
};

struct Site {
  explicit Site(Config settings)
      : config(std::move(settings)),
        admission(config),
        ips(config, admission.trusted_proxies()),
        accept_rate({config.accept_rate, std::max<std::size_t>(config.accept_rate / 10, 1)}),
        memory(config.memory_limit, std::max<std::size_t>(config.shards, 1)),
        connections(config.max_connections),
        handshakes(config.max_pending_handshakes),
        kept_alive(config.max_keep_alive) {}

  const Route& route(std::size_t index) const noexcept { return routes[index]; }
  std::size_t route_of(std::string_view path) const noexcept {
    for (std::size_t i = 1; i < routes.size(); ++i) {
      if (routes[i].path == path) return i;
    }
    return 0;
  }

  /// Any thread.
  void log(LogLevel level, std::string_view text) const noexcept {
    if (!config.log) return;
    try {
      config.log(level, text);
    } catch (...) {  // NOLINT(bugprone-empty-catch): there is nobody left to tell
    }
  }
  /// Of a publish: the channels where somebody's format could not hold the value. Any thread.
  void warn_of_lacking(const std::vector<std::string>& channels) const {
    for (const std::string& channel : channels) {
      log(LogLevel::warning,
          "publish to '" + channel + "': the value cannot be written in every subscriber's format");
    }
  }

  Config config;
  Admission admission;
  IpTable ips;
  std::vector<Listener> listeners;
  TlsTable tls;
  std::vector<Route> routes;
  std::vector<HttpRoute> http;
  std::vector<Folder> folders;
  std::shared_ptr<webshocket::detail::AcceptQueue> accept_queue;
  std::shared_ptr<Bus> bus;
  std::unique_ptr<OffloadPool> pool;
  webshocket::detail::SharedBucket accept_rate;
  MemoryBudget memory;
  Quota connections;
  Quota handshakes;
  Quota kept_alive;  ///< plain HTTP
};

}  // namespace webshocket::shards
