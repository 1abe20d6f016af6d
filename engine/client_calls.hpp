/// A client's calls that wait for answers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <webshocket/client.hpp>
#include <webshocket/packet.hpp>

#include "api/inlet.hpp"
#include "engine/client_backlog.hpp"

namespace webshocket::engine {

/// The answers to one call: one, or a stream's chunks.
struct PendingCall {
  struct Answer {
    OwnedRpcResponse response;
    std::size_t bytes;
  };
  using Inlet = webshocket::detail::Inlet<Answer, RpcTimeoutError>;

  PendingCall(std::uint64_t id, bool streams, const char* late)
      : number(id), is_stream(streams), answers(std::make_shared<Inlet>(late)) {}

  const std::uint64_t number;
  const bool is_stream;
  Backlog::Level level;  ///< of a stream
  std::shared_ptr<Inlet> answers;
};

/// Any thread.
class ClientCalls {
 public:
  enum class Outcome : std::uint8_t {
    taken,
    unwanted,    ///< nobody waits for it
    unexpected,  ///< a plain call got a stream: it has failed, and the stream is to be aborted
  };

  ClientCalls(std::size_t limit, Backlog& backlog) noexcept : limit_(limit), backlog_(backlog) {}

  /// What stands in a request as its call id.
  static std::string id_of(std::uint64_t number);

  std::uint64_t next_number() noexcept { return next_.fetch_add(1, std::memory_order_relaxed); }
  /// Throws `WebSocketError` at the limit.
  void add(std::shared_ptr<PendingCall> call);
  /// Its answers are unwanted from now on. Whether it was still waiting for some.
  bool remove(PendingCall& call);
  /// Of a response that came in a message of so many bytes.
  Outcome answer(const Packet& packet, std::size_t bytes);
  /// The connection has gone: all that wait are told why.
  void end_all(const std::exception_ptr& why);

  std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

 private:
  std::shared_ptr<PendingCall> find(std::string_view id);
  bool take_out(std::uint64_t number);

  const std::size_t limit_;
  Backlog& backlog_;
  std::atomic<std::uint64_t> next_{1};
  std::atomic<std::size_t> size_{0};
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::shared_ptr<PendingCall>> calls_;
};

}  // namespace webshocket::engine
