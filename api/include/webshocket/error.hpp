/// What webshocket throws. Expected outcomes (a full outbox, a closed peer) are values, not
/// exceptions.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <webshocket/types.hpp>

namespace webshocket {

/// The root of everything that webshocket throws.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A call that cannot be right, whatever the state of the network: an invalid configuration value
/// (the text names field and value), `accept()` without a `QueueHandler`, `start()` twice.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// A `Connection` or `Handler` was used on a thread that is not its shard's. Keep `conn.peer()`,
/// which any thread may use.
class WrongThreadError : public UsageError {
 public:
  using UsageError::UsageError;
};

/// Anything that goes wrong between two ends of a WebSocket.
class WebSocketError : public Error {
 public:
  using Error::Error;
};

class ConnectionError : public WebSocketError {
 public:
  using WebSocketError::WebSocketError;
};

/// The connection is gone, or went while the call waited.
class ConnectionClosedError : public ConnectionError {
 public:
  explicit ConnectionClosedError(const std::string& text, CloseCode code = CloseCode::abnormal,
                                 std::string reason = {})
      : ConnectionError(text), code_(code), reason_(std::move(reason)) {}

  /// Who closed first said so; `abnormal` when nobody did.
  CloseCode code() const noexcept { return code_; }
  const std::string& reason() const noexcept { return reason_; }

 private:
  CloseCode code_;
  std::string reason_;
};

/// No connection came about; the text says why each try failed.
class ConnectionFailedError : public ConnectionError {
 public:
  explicit ConnectionFailedError(const std::string& text, std::vector<std::string> tries = {},
                                 int http_status = 0)
      : ConnectionError(text), tries_(std::move(tries)), http_status_(http_status) {}

  /// Why each try failed, in order.
  const std::vector<std::string>& tries() const noexcept { return tries_; }
  /// What the server answered to the last upgrade request instead of 101; 0: nothing.
  int http_status() const noexcept { return http_status_; }

 private:
  std::vector<std::string> tries_;
  int http_status_;
};

/// Neither `ws://` nor `wss://`, or not an URI at all.
class InvalidUriError : public ConnectionError {
 public:
  using ConnectionError::ConnectionError;
};

class MessageError : public WebSocketError {
 public:
  using WebSocketError::WebSocketError;
};

/// A packet that does not fit the call: its source, or a value that the format cannot hold.
class PacketError : public MessageError {
 public:
  using MessageError::MessageError;
};

/// Bytes that are no packet, or a value that is not of the wanted type.
class PacketValidationError : public PacketError {
 public:
  using PacketError::PacketError;
};

/// Thrown by an RPC method: the caller gets `application_error` with exactly this text. Thrown by a
/// client's call: what the server answered.
class RpcError : public WebSocketError {
 public:
  explicit RpcError(const std::string& text, RpcErrorCode code = RpcErrorCode::application_error)
      : WebSocketError(text), code_(code) {}

  RpcErrorCode code() const noexcept { return code_; }

 private:
  RpcErrorCode code_;
};

class RpcMethodNotFoundError : public RpcError {
 public:
  explicit RpcMethodNotFoundError(const std::string& text)
      : RpcError(text, RpcErrorCode::method_not_found) {}
};

class RateLimitError : public RpcError {
 public:
  explicit RateLimitError(const std::string& text)
      : RpcError(text, RpcErrorCode::rate_limit_exceeded) {}
};

class TimeoutError : public WebSocketError {
 public:
  using WebSocketError::WebSocketError;
};

class RpcTimeoutError : public TimeoutError {
 public:
  using TimeoutError::TimeoutError;
};

class ReceiveTimeoutError : public TimeoutError {
 public:
  using TimeoutError::TimeoutError;
};

/// Thrown out of a `co_await` whose call was cancelled: its client left, or the shard stops.
/// Let it pass: destructors run, nobody is told. Not an `Error`, so that `catch (const Error&)`
/// does not swallow it.
class Cancelled {};

}  // namespace webshocket
