/// What webshocket throws. Expected outcomes (a full outbox, a closed peer) are values, not
/// exceptions.
#pragma once

#include <stdexcept>
#include <string>

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
  using ConnectionError::ConnectionError;
};

/// No connection came about; the text says why each try failed.
class ConnectionFailedError : public ConnectionError {
 public:
  using ConnectionError::ConnectionError;
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

/// Thrown by an RPC method: the caller gets `application_error` with exactly this text.
class RpcError : public WebSocketError {
 public:
  using WebSocketError::WebSocketError;
};

class RpcMethodNotFoundError : public RpcError {
 public:
  using RpcError::RpcError;
};

class RateLimitError : public RpcError {
 public:
  using RpcError::RpcError;
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
