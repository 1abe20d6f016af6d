/// What is behind a `Client`: its tries, its connection, what it sends and what it has received.
///
///     disconnected ──► connecting ──► connected ──► closed
///                          ▲              │
///                          └── reconnect ─┘
///
/// The any-thread side hands bytes over; all that concerns the connection happens on the home's
/// thread. Both meet under one short lock, so that a call is either there when the connection's end
/// is told to all, or refused.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <webshocket/client.hpp>
#include <webshocket/detail/request.hpp>

#include "api/counters.hpp"
#include "api/inlet.hpp"
#include "engine/client_backlog.hpp"
#include "engine/client_calls.hpp"
#include "engine/client_config.hpp"
#include "engine/client_home.hpp"
#include "engine/retry.hpp"
#include "protocol/buffer.hpp"
#include "shards/client_connection.hpp"
#include "shards/message.hpp"
#include "shards/resolver.hpp"

namespace webshocket::engine {

/// What a wait is for: ended without a reason when it has come.
using Gate = webshocket::detail::Inlet<std::monostate, TimeoutError>;

class ClientSession final : public std::enable_shared_from_this<ClientSession>,
                            public shards::ClientConnection::Owner,
                            private shards::Guest,
                            private webshocket::detail::TimerNode {
 public:
  using Clock = std::chrono::steady_clock;

  /// A message on its way out.
  struct Encoded {
    protocol::Buffer bytes = {};
    Opcode opcode = Opcode::binary;
    Compress compress = Compress::automatic;
  };
  struct Received {
    OwnedPacket packet;
    std::size_t bytes;
  };
  using Packets = webshocket::detail::Inlet<Received, ReceiveTimeoutError>;

  /// Throws `InvalidUriError` and `UsageError`.
  ClientSession(std::string_view uri, std::shared_ptr<const ClientConfig> config,
                const ClientHome& home);
  ~ClientSession() override;

  // --- any thread -----------------------------------------------------------------------------

  const std::string& uri() const noexcept { return uri_text_; }
  const ClientConfig& config() const noexcept { return *config_; }
  ConnectionState state() const noexcept { return state_.load(std::memory_order_acquire); }
  ClientStats stats() const noexcept;

  /// The gate opens when the connection is ready, or says why not. Null: it is ready.
  std::shared_ptr<Gate> connect(Client& client, const Retry& retry);
  /// Null: it is ready. Throws `ConnectionClosedError` when nobody tries.
  std::shared_ptr<Gate> wait_connected();
  /// The gate opens when the connection has gone. Null: there is none.
  std::shared_ptr<Gate> close(CloseCode code, std::string_view reason);
  /// The `Client` has gone: none of its functions is called any more when this returns, and the
  /// connection closes by itself.
  void leave();

  /// Throws `PacketError` for what cannot be written.
  Encoded encode(const webshocket::detail::Content& content) const;
  Encoded encode(const webshocket::detail::Request& request, std::uint64_t number) const;

  /// Throws `ConnectionClosedError`. False, and nothing is taken, while too much waits already.
  bool try_send(Encoded& message, const std::shared_ptr<PendingCall>& call = nullptr);
  /// Half of the outbox's limit is used up.
  bool is_congested() const;
  /// Opens when so little waits that a message of this size may be taken, or says why it never
  /// will.
  std::shared_ptr<Gate> room(std::size_t size);

  std::shared_ptr<PendingCall> make_call(bool is_stream, std::uint64_t number) const;
  ClientCalls& calls() noexcept { return calls_; }
  Backlog& backlog() noexcept { return backlog_; }
  /// Nothing is read, because packets wait that nobody takes.
  bool waits_for_room() const noexcept { return backlog_.is_full(); }
  /// Nobody wants the answers; a stream is aborted at the server.
  void forget(PendingCall& call) noexcept;

  const std::shared_ptr<Packets>& packets() const noexcept { return packets_; }
  /// A packet has been taken.
  void taken(const Received& received) { backlog_.taken(level_, received.bytes); }

 private:
  enum class Phase : std::uint8_t { idle, pausing, resolving, opening, open, closing };

  struct Outgoing {
    struct Message {
      std::size_t size;
      Opcode opcode;
      Compress compress;
    };
    protocol::Buffer bytes;
    std::vector<Message> messages;
  };
  using Gates = std::vector<std::shared_ptr<Gate>>;
  class Errand;
  class Greeting;

  /// Runs on the home's thread: now, if this is it. If it never can, all who wait are told.
  void run_at_home(std::function<void()> fn);
  bool is_at_home() const noexcept;
  /// Those whose waiters have given up.
  static void drop_abandoned(Gates& gates);
  static void end(Gates gates, const std::exception_ptr& why = nullptr);
  ConnectionClosedError closed_error() const;      ///< with the lock held
  bool has_room(std::size_t size) const noexcept;  ///< with the lock held
  void home_lost();
  void leave_at_home(std::function<void()> left);

  // At home: the tries.
  void begin(Client& client, const Retry& retry);
  void begin_tries(const Retry& retry);
  std::chrono::nanoseconds connect_timeout() const noexcept;
  void pause_for(std::chrono::nanoseconds pause);
  void start_try();
  void resolved(std::vector<shards::SocketAddress> addresses, std::string_view complaint);
  void connect_next();
  void try_failed(std::string complaint, bool is_final, int http_status = 0);
  void come_back(const shards::ClientEnding& ending);
  void fire() noexcept override;
  void evict() noexcept override;

  // At home: the connection.
  void on_open() noexcept override;
  void on_message(Opcode opcode, std::span<const std::byte> message) override;
  bool must_wait() const noexcept override { return backlog_.must_wait(); }
  void on_flushed() noexcept override { update_room(); }
  void on_leaving(const shards::ClientEnding& ending) noexcept override;
  void on_gone(shards::ClientEnding ending) noexcept override;
  void count_received(std::size_t bytes) noexcept override { bytes_received_.add(bytes); }
  void count_sent(std::size_t bytes) noexcept override { bytes_sent_.add(bytes); }
  bool is_greeting() const noexcept;  ///< on_connect is running at this moment
  void greet();
  void greeted(std::exception_ptr error);
  void become_ready();
  void begin_close(CloseCode code, std::string_view reason);
  bool may_come_back(CloseCode code) const noexcept;
  /// The reactor need not wait for it any more, if so it is.
  void leave_home();
  /// Nothing is under way any more.
  void settle(ConnectionState state, const std::exception_ptr& why);

  // At home: messages.
  void drain_outgoing();
  void update_room();
  void take_packet(const Packet& packet, std::size_t bytes);
  void abort_stream(std::string_view call_id);
  /// Calls one of the user's functions; what it throws is logged.
  void call_user(const char* what, const std::function<void()>& function) noexcept;
  void log(LogLevel level, std::string_view text) const noexcept;

  const std::string uri_text_;
  const protocol::Uri uri_;
  const std::string name_;  ///< of the URI, for logs and errors
  const std::shared_ptr<const ClientConfig> config_;
  const shards::EndpointRules rules_;
  const shards::Form form_;
  const std::shared_ptr<const shards::TlsContext> tls_;  ///< none: `ws://`
  const std::shared_ptr<webshocket::detail::Mailbox> mailbox_;
  shards::Reactor& reactor_;

  // Between threads.
  std::atomic<ConnectionState> state_{ConnectionState::disconnected};
  mutable std::mutex mutex_;
  bool is_ready_ = false;  ///< open, and on_connect has ended
  bool is_over_ = false;   ///< the home has gone, or the client
  CloseCode last_code_ = CloseCode::abnormal;
  std::string last_reason_;
  Gates askers_;  ///< of connect(), until `begin`: what ends before that was not theirs
  Gates openers_;
  Gates closers_;
  Gates senders_;
  Outgoing outgoing_;
  std::size_t outbox_bytes_ = 0;  ///< of the connection, as it was last looked at
  bool drain_posted_ = false;

  Backlog backlog_;
  Backlog::Level level_;  ///< of packets_
  ClientCalls calls_;
  const std::shared_ptr<Packets> packets_;

  // At home.
  Phase phase_ = Phase::idle;
  Client* client_ = nullptr;
  shards::ClientConnection* connection_ = nullptr;
  Greeting* greeting_ = nullptr;   ///< runs on_connect; deletes itself
  std::string greeting_error_;     ///< what that threw
  bool greets_again_ = false;      ///< the next connection is there before its end
  std::function<void()> on_left_;  ///< told when the last event has ended, after `leave`
  std::optional<Retry> queued_;    ///< asked for while the last connection was closing
  bool is_guest_ = false;
  bool is_reconnecting_ = false;
  bool is_closing_ = false;  ///< by close(): no further try
  bool was_ready_ = false;   ///< the connection has been of use
  Clock::time_point try_began_{};
  Clock::time_point ready_since_{};
  Tries tries_;
  shards::Resolver resolver_;
  std::vector<shards::SocketAddress> addresses_;
  std::size_t next_address_ = 0;
  std::string address_complaints_;
  Outgoing draining_;

  webshocket::detail::Counter connects_;
  webshocket::detail::Counter messages_received_;
  webshocket::detail::Counter bytes_received_;
  webshocket::detail::Counter messages_sent_;
  webshocket::detail::Counter bytes_sent_;
  webshocket::detail::Counter packets_dropped_;
  webshocket::detail::Counter answers_unwanted_;
};

}  // namespace webshocket::engine
