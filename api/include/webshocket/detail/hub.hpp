/// What the contract needs of the engine below it. Implemented by the shards, and by `FakeShard`.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <webshocket/compression.hpp>
#include <webshocket/detail/executor.hpp>
#include <webshocket/packet.hpp>
#include <webshocket/types.hpp>

namespace webshocket {
class Connection;
class Handler;
class Predicate;
struct Config;
}  // namespace webshocket

namespace webshocket::detail {

class Calls;
class LogGate;
struct Counters;
struct Label;

/// The shape in which a connection gets its messages: the unit of "encode once".
enum class Form : std::uint8_t {
  msgpack,
  json_text,
  json_binary,
  raw,
  // The same for those who have agreed to compression. What is not worth it comes plain.
  msgpack_deflate,
  json_text_deflate,
  json_binary_deflate,
  raw_deflate,
};
inline constexpr std::size_t kForms = 8;
inline constexpr std::size_t kPlainForms = 4;

constexpr bool is_deflate(Form form) noexcept {
  return static_cast<std::size_t>(form) >= kPlainForms;
}
constexpr Form plain(Form form) noexcept {
  return static_cast<Form>(static_cast<std::size_t>(form) % kPlainForms);
}
constexpr Form with_deflate(Form form) noexcept {
  return static_cast<Form>(static_cast<std::size_t>(plain(form)) + kPlainForms);
}

constexpr Format format_of(Form form) noexcept {
  switch (plain(form)) {
    case Form::msgpack:
      return Format::msgpack;
    case Form::json_text:
    case Form::json_binary:
      return Format::json;
    default:
      return Format::raw;
  }
}

/// What is to be sent: data that a packet is made around, or a packet as it is. Borrowed.
struct Content {
  Payload data;
  const Packet* packet = nullptr;
  Compress compress = Compress::automatic;
  std::string_view key = {};  ///< of what it is the newest state
};

/// Runs things on one shard. Any thread; harmless after the shard's end.
class Mailbox {
 public:
  virtual ~Mailbox() = default;
  /// False, and `fn` is not called, when the shard has ended. Never refused otherwise: for control
  /// messages, which are few.
  virtual bool post(std::function<void()> fn) = 0;
};

/// Reaches connections by name, on every shard. Any thread; harmless after the server's end.
class Router {
 public:
  virtual ~Router() = default;
  virtual SendStatus send(const Uid& uid, Form form, const Content& content,
                          std::size_t fragment_size) = 0;
  /// Runs `fn` on the connection's shard. False when the server has ended; `fn` is destroyed
  /// without a call when the connection is gone.
  virtual bool post(const Uid& uid, std::function<void(Connection&)> fn) = 0;
};

/// A shard, as handlers, connections and coroutines see it. Its own thread only, unless said.
class Hub {
 public:
  using Clock = std::chrono::steady_clock;

  /// The shard whose thread this is, or nullptr. Any thread.
  static Hub* current() noexcept { return current_; }

  /// Throws `WrongThreadError` on any other thread than the shard's. Any thread.
  void check_thread() const {
    if (current_ != this) throw_wrong_thread();
  }

  virtual const Config& config() const noexcept = 0;
  virtual std::size_t shard() const noexcept = 0;
  virtual std::size_t shard_count() const noexcept = 0;
  virtual Clock::time_point now() const noexcept = 0;
  virtual void log(LogLevel level, std::string_view text) const noexcept = 0;

  virtual void start_timer(TimerNode& timer, std::chrono::nanoseconds delay) = 0;
  virtual void stop_timer(TimerNode& timer) noexcept = 0;
  /// Runs `fn` before this loop turn's output is flushed.
  virtual void defer(std::function<void()> fn) = 0;
  /// Throws `WebSocketError` if the pool's queue is full.
  virtual void offload(OffloadJob& job) = 0;
  virtual void gather(const Handler& asker, GatherJob& job) = 0;
  virtual std::shared_ptr<Mailbox> mailbox() const = 0;
  virtual std::weak_ptr<Router> router() const = 0;
  virtual Calls& calls() noexcept = 0;
  virtual Counters& counters() noexcept = 0;
  virtual LogGate& log_gate() noexcept = 0;
  /// Which of the user's functions runs at this moment, or null. Any thread may look: labels live
  /// as long as the process. See `Working`.
  std::atomic<const Label*>& working_slot() noexcept { return working_; }
  const Label* working() const noexcept { return working_.load(std::memory_order_acquire); }

  /// False if an inbox was full: then nobody got it.
  virtual bool publish(const Handler& from, std::span<const std::string_view> channels,
                       const Content& content, const Predicate& predicate) = 0;
  virtual bool broadcast(const Handler& from, const Content& content,
                         const Predicate& predicate) = 0;
  virtual std::vector<Connection*> subscribers(const Handler& of, std::string_view channel) = 0;
  virtual std::vector<std::string> channels() const = 0;
  virtual std::size_t client_count() const noexcept = 0;

 protected:
  ~Hub() = default;

  /// Says which shard this thread runs, for as long as it lives. Nests.
  class Current {
   public:
    explicit Current(Hub& hub) noexcept : before_(current_) { current_ = &hub; }
    ~Current() { current_ = before_; }
    Current(const Current&) = delete;
    Current& operator=(const Current&) = delete;

   private:
    Hub* before_;
  };

 private:
  [[noreturn]] static void throw_wrong_thread();
  std::atomic<const Label*> working_{nullptr};
  static thread_local constinit Hub* current_;
};

}  // namespace webshocket::detail
