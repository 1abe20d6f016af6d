/// A client's end of a WebSocket: one try to connect to one address, and the connection that comes
/// of it.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <webshocket/types.hpp>

#include "protocol/handshake.hpp"
#include "protocol/mask_keys.hpp"
#include "shards/endpoint.hpp"
#include "shards/resolver.hpp"

namespace webshocket::shards {

class TlsContext;

/// How a client's connection ended, or why it never came about.
struct ClientEnding {
  bool was_open = false;

  // If it was: who closed first said so.
  CloseCode code = CloseCode::abnormal;
  std::string reason = {};

  // If it was not:
  std::string complaint = {};  ///< for people
  int http_status = 0;         ///< of an answer that is no 101
  bool is_final = false;       ///< another try would end the same
};

class ClientConnection final : public Endpoint {
 public:
  /// Who wants it. Called on the reactor's thread; may call back.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_open() noexcept = 0;
    virtual void on_message(Opcode opcode, std::span<const std::byte> message) = 0;
    /// Whether nothing more is to be read for now; `go_on_reading()` ends that.
    virtual bool must_wait() const noexcept = 0;
    /// The outbox has got smaller.
    virtual void on_flushed() = 0;
    /// It was open, and is no more: one of the two has said CLOSE.
    virtual void on_leaving(const ClientEnding& ending) noexcept = 0;
    /// The last call. The connection frees itself.
    virtual void on_gone(ClientEnding ending) noexcept = 0;
    virtual void count_received(std::size_t bytes) noexcept = 0;
    virtual void count_sent(std::size_t bytes) noexcept = 0;
  };

  struct Opening {
    SocketAddress remote;
    std::optional<SocketAddress> local = {};
    bool tcp_nodelay = true;
    std::shared_ptr<const TlsContext> tls = {};  ///< none: `ws://`
    std::string tls_name = {};                   ///< whom the server's certificate must be for
    std::chrono::nanoseconds timeout{};
    protocol::UpgradeRequestOptions request;
    bool needs_subprotocol = false;  ///< a server that chooses none speaks something else
  };

  /// `rules` and `owner` outlive it. Nothing is called from in here.
  ClientConnection(Reactor& reactor, std::shared_ptr<Owner> owner, const EndpointRules& rules);

  /// Ends in `on_open` or `on_gone`, later.
  void start(Opening opening) noexcept;
  /// Gives the try up, or cuts the connection off; `on_gone` follows.
  void give_up(std::string_view complaint) noexcept;

  /// Dropped unless it is open.
  void send(Opcode opcode, std::span<const std::byte> message, std::size_t fragment_size,
            Compress choice) noexcept;
  /// The owner need not wait any more.
  void go_on_reading() noexcept;

  void go_on() override;
  void bury() noexcept override;

 private:
  struct Handshake;

  ~ClientConnection() override;

  const EndpointRules& rules() const noexcept override { return rules_; }
  protocol::MaskSource mask() noexcept override { return keys_; }
  void on_connecting() override;
  void take_http(std::span<const std::byte> input) override;
  void take_message(Opcode opcode, std::span<const std::byte> message) override;
  void take_close(CloseCode code, std::string_view reason) override;
  bool must_stop_reading() const noexcept override { return owner_->must_wait(); }
  void on_end_of_input() override;
  void on_reset() override;
  void on_send_failed(int error) override;
  void on_flushed() override;
  void finish() override;
  void on_closing(CloseCode code, std::string_view reason) noexcept override;
  void on_doomed(int error) noexcept override;
  void on_late() override;
  void count_received(std::size_t bytes) noexcept override { owner_->count_received(bytes); }
  void count_sent(std::size_t bytes) noexcept override { owner_->count_sent(bytes); }

  /// 0, or errno.
  int connect_socket() noexcept;
  void say_request();
  void take_reply(std::span<const std::byte> rest);
  void fail_opening(std::string complaint, bool is_final, int http_status = 0) noexcept;

  const EndpointRules& rules_;
  std::shared_ptr<Owner> owner_;
  std::unique_ptr<Handshake> handshake_;
  ClientEnding ending_;
  protocol::MaskKeys keys_;
};

}  // namespace webshocket::shards
