/// The process side of a server: shards assembled, connections accepted, started, drained, stopped.
///
///     start()  ── sockets bound ── shards built ── control loop ──► serving
///     close()  ── drain_delay ── listeners closed ── every shard drains ── every shard is quiet ──
///              threads end
///
/// A stage of `close()` begins when every shard has finished the one before it: until the last call
/// has ended, each shard still answers the questions of the others.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <webshocket/server.hpp>

#include "engine/acceptor.hpp"
#include "engine/watchdog.hpp"
#include "shards/bus.hpp"
#include "shards/loop.hpp"
#include "shards/shard.hpp"
#include "shards/site.hpp"
#include "shards/tls_tickets.hpp"

namespace webshocket::engine {

class Engine {
 public:
  /// Throws `UsageError` that names a bad field of the configuration.
  Engine(Config config, HandlerFactory factory);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Before the start only; throws `UsageError` later.
  shards::Site& site_before_start(const char* what);

  void start();
  void serve_forever(const std::function<void()>& ready);
  void close();
  void reload_tls();

  ServerState state() const noexcept { return state_.load(std::memory_order_acquire); }
  bool is_ready() const noexcept { return is_ready_.load(std::memory_order_acquire); }
  const Config& config() const noexcept { return site_.config; }
  const shards::Site& site() const noexcept { return site_; }
  std::uint16_t port() const noexcept { return port_.load(std::memory_order_acquire); }
  std::vector<std::string> addresses() const;
  Stats stats() const;

  /// The bus, while there are shards to reach.
  std::shared_ptr<shards::Bus> bus() const;
  bool publish(std::span<const std::string_view> channels, const shards::Content& content,
               const Predicate& predicate);
  bool broadcast(const shards::Content& content, const Predicate& predicate);
  bool on_own_shard() const noexcept;
  /// Throws `UsageError` if there is none. Empty: the one of all other paths.
  std::size_t route_of(std::string_view path) const;
  /// False if it is too late: then it goes to the shards.
  bool register_before_start(std::size_t route, const std::string& name,
                             const std::function<RpcMethod()>& make);
  /// Throws what `Server::accept` promises where there is nothing to accept.
  void check_can_accept() const;

  /// Runs `fn` on that shard and waits for its end; rethrows what it throws. Throws
  /// `WebSocketError` if the shard has ended, `UsageError` on another shard's thread.
  void run_on_shard(std::size_t shard, const std::function<void(shards::Shard&)>& fn);
  /// The same on the shard whose thread this is, or on the first one.
  void run_on_any_shard(const std::function<void(shards::Shard&)>& fn);
  /// The same on every shard, one after the other.
  void run_on_shards(const std::function<void(shards::Shard&)>& fn);

 private:
  enum class Stage : std::uint8_t { idle, serving, leaving, draining, quiescing, closed };

  void build();
  void build_acceptors(std::size_t listener);
  std::vector<std::unique_ptr<shards::Shard>> build_shards();
  void undo_site() noexcept;
  void undo_shards(const std::vector<std::unique_ptr<shards::Shard>>& built) noexcept;
  void control() noexcept;
  void on_wake(std::uint32_t events) noexcept;
  void on_signal() noexcept;
  void on_hangup() noexcept;
  void post(std::function<void()> fn) { control_inbox_.post_control(std::move(fn)); }

  // On the control thread.
  void start_accepting() noexcept;
  void stop_accepting() noexcept;
  void begin_leaving() noexcept;
  void begin_drain() noexcept;
  void hurry() noexcept;
  void shard_done() noexcept;
  void begin_quiesce() noexcept;
  void end_shards() noexcept;

  shards::Site site_;
  const std::shared_ptr<shards::TlsTickets> tickets_;
  std::vector<std::unique_ptr<shards::Shard>> shards_;
  AcceptCounters accept_counters_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::vector<std::string> addresses_;

  std::atomic<ServerState> state_{ServerState::closed};
  std::atomic<bool> is_ready_{false};
  std::atomic<std::uint16_t> port_{0};

  // The control thread's own.
  shards::Inbox control_inbox_;
  std::unique_ptr<shards::Loop> loop_;
  shards::Poll wake_;
  shards::Signal interrupt_;
  shards::Signal terminate_;
  shards::Signal hangup_;
  shards::Timer delay_;  ///< `Config::drain_delay`
  std::unique_ptr<Watchdog> watchdog_;
  Stage stage_ = Stage::idle;
  std::size_t shards_left_ = 0;

  // Between callers; never on a message's way.
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::mutex reload_mutex_;   ///< who has read the files last decides
  bool is_starting_ = false;  ///< handlers are being built, and may ask for what they like
  bool was_started_ = false;
  bool is_pull_style_ = false;
  bool close_waits_ = false;  ///< somebody waits in close(): the next one hurries it
  bool is_over_ = false;
  std::thread thread_;
};

}  // namespace webshocket::engine
