/// Where clients live: a thread of their own, or a server's shard.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <webshocket/config.hpp>
#include <webshocket/detail/hub.hpp>

#include "shards/bus.hpp"
#include "shards/offload_pool.hpp"
#include "shards/reactor.hpp"

namespace webshocket::engine {

class ClientHome;

/// A client thread's inbox. It outlives the thread, so that a late post is harmless.
class ClientMailbox final : public webshocket::detail::Mailbox {
 public:
  bool post(std::function<void()> fn) override;
  /// From here on nothing comes any more.
  void close();
  shards::Inbox& inbox() noexcept { return inbox_; }

 private:
  std::mutex mutex_;  ///< so that what was accepted is found by who closes
  bool closed_ = false;
  shards::Inbox inbox_;
};

/// A reactor with a thread of its own, and no server's connections.
class ClientThread final : public shards::Reactor {
 public:
  /// `home` is what `ClientLoop::current()` finds.
  static std::shared_ptr<ClientThread> start(std::weak_ptr<ClientHome> home);
  ~ClientThread();

  /// Coroutines are cancelled, closing connections get the time that they have, then the thread
  /// ends. Waits for it, except on that thread itself. Once.
  void finish();

  const std::weak_ptr<ClientHome>& home() const noexcept { return home_; }

  // Hub.
  const Config& config() const noexcept override;
  std::size_t shard() const noexcept override { return 0; }
  std::size_t shard_count() const noexcept override { return 1; }
  void log(LogLevel, std::string_view) const noexcept override {}  // clients have their own
  void offload(webshocket::detail::OffloadJob& job) override { pool_.submit(job, mailbox_); }
  void gather(const Handler& asker, webshocket::detail::GatherJob& job) override;
  std::shared_ptr<webshocket::detail::Mailbox> mailbox() const override { return mailbox_; }
  std::weak_ptr<webshocket::detail::Router> router() const override { return {}; }
  bool publish(const Handler& from, std::span<const std::string_view> channels,
               const webshocket::detail::Content& content, const Predicate& predicate) override;
  bool broadcast(const Handler& from, const webshocket::detail::Content& content,
                 const Predicate& predicate) override;
  std::vector<Connection*> subscribers(const Handler& of, std::string_view channel) override;
  std::vector<std::string> channels() const override { return {}; }
  std::size_t client_count() const noexcept override { return 0; }

 private:
  explicit ClientThread(std::shared_ptr<ClientMailbox> box, std::weak_ptr<ClientHome> home);

  void run() noexcept;
  void drain_inbox() noexcept override { run_controls(); }
  void settle() noexcept override;

  const std::shared_ptr<ClientMailbox> mailbox_;
  const std::weak_ptr<ClientHome> home_;
  shards::OffloadPool pool_;
  bool finishing_ = false;
  std::thread thread_;
};

/// A name for where clients live, that any thread may hold. The last one ends a thread that it
/// began.
class ClientHome {
 public:
  /// Throws `WebSocketError` when the system refuses.
  static std::shared_ptr<ClientHome> begin_thread();
  /// Of the loop whose thread this is. Throws `UsageError` on any other thread.
  static std::shared_ptr<ClientHome> current();

  ClientHome() = default;
  ClientHome(const ClientHome&) = delete;
  ClientHome& operator=(const ClientHome&) = delete;
  ~ClientHome();

  /// False, and `fn` is not called, when the loop has ended.
  bool post(std::function<void()> fn) const { return mailbox_->post(std::move(fn)); }
  bool is_current() const noexcept { return webshocket::detail::Hub::current() == reactor_; }
  /// To be used on its thread only.
  shards::Reactor& reactor() const noexcept { return *reactor_; }
  const std::shared_ptr<webshocket::detail::Mailbox>& mailbox() const noexcept { return mailbox_; }

 private:
  std::shared_ptr<webshocket::detail::Mailbox> mailbox_;
  shards::Reactor* reactor_ = nullptr;
  std::shared_ptr<ClientThread> thread_;  ///< none: a shard
};

}  // namespace webshocket::engine
