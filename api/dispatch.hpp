/// From a packet to the handler, and from what the handler says to an RPC response.
#pragma once

#include <chrono>
#include <exception>
#include <optional>
#include <string_view>

#include <webshocket/connection.hpp>
#include <webshocket/handler.hpp>
#include <webshocket/packet.hpp>
#include <webshocket/rpc.hpp>

namespace webshocket::detail {

/// A packet from a client. Everything the handler throws ends in here.
void dispatch(Handler& handler, Connection& connection, const Packet& packet);

/// Answers a call with an error instead of running it. False if the packet is no call: an abort is
/// none.
bool refuse_call(const Handler& handler, Connection& connection, const Packet& packet,
                 RpcErrorCode code, std::string_view text);

/// A message of a raw connection.
void dispatch_raw(Handler& handler, Connection& connection, std::span<const std::byte> message,
                  Opcode opcode) noexcept;

/// `on_connect` or its twin. The connection counts as connected from here on.
void dispatch_connect(Handler& handler, Connection& connection) noexcept;

void dispatch_dropped(Handler& handler, Connection& connection, const Dropped& dropped) noexcept;
void dispatch_drained(Handler& handler, Connection& connection) noexcept;

/// Cancels the connection's calls, then `on_disconnect`.
void dispatch_disconnect(Handler& handler, Connection& connection) noexcept;

/// Whether the packet cancels a stream: it is served also while calls have to wait.
bool is_abort(const Packet& packet) noexcept;

/// The last word of a stream that has ended well.
void respond_end(Connection& connection, std::string_view call_id) noexcept;

/// Answers an RPC call that threw, and logs what is no `RpcError`. Returns the error's code.
/// Without memory for the answer the connection is closed with 1011; the same of `respond_end`.
RpcErrorCode respond_exception(Connection& connection, const RpcMethod& method,
                               std::string_view call_id, std::exception_ptr error,
                               bool is_stream) noexcept;

/// Answers with a result; with an internal error if the connection's format cannot hold it.
std::optional<RpcErrorCode> respond_value(Connection& connection, const RpcMethod& method,
                                          std::string_view call_id, Payload value, bool is_stream,
                                          bool is_end);

void after_call(Connection& connection, const RpcMethod& method, std::string_view call_id,
                const RpcRequest* request, const RpcOutcome& outcome) noexcept;

/// An exception out of an event: logged, counted, and the connection closes with 1011.
void event_failed(Connection& connection, std::string_view event,
                  std::exception_ptr error) noexcept;

/// An exception out of a predicate: counted, and logged now and then.
void predicate_failed(const Connection& connection, const Predicate& predicate,
                      std::exception_ptr error) noexcept;

/// "std::runtime_error: boom", for the log.
std::string describe_exception(std::exception_ptr error);

}  // namespace webshocket::detail
