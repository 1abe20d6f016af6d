/// The pull style: accept a connection, then receive from it, wherever you like.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include <webshocket/connection.hpp>
#include <webshocket/handler.hpp>
#include <webshocket/packet.hpp>
#include <webshocket/task.hpp>

namespace webshocket {

namespace detail {
class AcceptQueue;
class PullState;
}  // namespace detail

/// A connection with a receive queue. Move-only; any thread may hold it, one at a time may receive.
/// Destroying it closes the connection with 1000.
///
/// The queue holds `Config::packet_queue_size` packets, and about `Config::packet_queue_bytes` of
/// them; beyond that the connection is not read, and TCP slows the client.
class PullConnection {
 public:
  PullConnection() noexcept = default;
  explicit PullConnection(std::shared_ptr<detail::PullState> state) noexcept;
  PullConnection(PullConnection&&) noexcept = default;
  PullConnection& operator=(PullConnection&& other) noexcept;
  ~PullConnection();

  /// The next packet that is no RPC request. Throws `ReceiveTimeoutError`, and
  /// `ConnectionClosedError` when the connection is gone and the queue is empty; `UsageError` on a
  /// shard's thread, which must not block: use `recv_async` there.
  OwnedPacket recv(std::chrono::milliseconds timeout = std::chrono::seconds(30));
  /// The same for a coroutine on a shard.
  Task<OwnedPacket> recv_async(std::chrono::milliseconds timeout = std::chrono::seconds(30));

  /// See `Peer::send`.
  SendStatus send(Payload data) const { return peer().send(data); }
  SendStatus send(const Packet& packet) const { return peer().send(packet); }

  /// Waits for the connection's shard. False at the limit. Throws `ConnectionClosedError`;
  /// `UsageError` on a shard's thread: use `peer().post(…)` there.
  bool subscribe(const Names& names);
  void unsubscribe(const Names& names);

  void close(CloseCode code = CloseCode::normal, std::string_view reason = {});

  const Peer& peer() const noexcept;
  const Uid& uid() const noexcept { return peer().uid(); }
  Format format() const noexcept { return peer().format(); }
  ConnectionState state() const noexcept;
  std::string remote_address() const;

 private:
  std::shared_ptr<detail::PullState> state_;
};

/// Feeds `Server::accept()` and `PullConnection::recv()`. What `Server(config)` uses; derive from
/// it to have RPC methods beside. When `Config::accept_queue_size` connections wait to be accepted,
/// the next is closed with 1013.
class QueueHandler : public Handler {
 public:
  QueueHandler();
  ~QueueHandler() override;

  void on_connect(Connection& connection) override;
  Task<void> on_receive_async(Connection& connection, OwnedPacket packet) override;
  /// Packets go to the queue.
  void on_receive(Connection&, const Packet&) final {}
  void on_disconnect(Connection& connection) override;

  /// By the server, before `on_start`.
  void attach(std::shared_ptr<detail::AcceptQueue> queue) noexcept;

 private:
  std::shared_ptr<detail::AcceptQueue> queue_;
};

}  // namespace webshocket
