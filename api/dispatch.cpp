#include "api/dispatch.hpp"

#include <cstdint>
#include <new>
#include <string>
#include <typeinfo>
#include <utility>

#include <webshocket/config.hpp>
#include <webshocket/error.hpp>

#include "api/access.hpp"
#include "api/calls.hpp"
#include "api/counters.hpp"
#include "api/log_gate.hpp"
#include "api/working.hpp"

namespace webshocket::detail {
namespace {

/// An RPC call on its way to its method.
class RpcDispatch final : private ResultSink {
 public:
  RpcDispatch(Handler& handler, Connection& connection, const RpcRequest& request)
      : handler_(handler),
        connection_(connection),
        hub_(ConnectionAccess::hub(connection)),
        request_(request),
        started_(hub_.now()) {}

  void run() {
    hub_.counters().rpc_calls.add();
    method_ = HandlerAccess::method(handler_, request_.method);
    if (method_ == nullptr) {
      return refuse(RpcErrorCode::method_not_found, "RPC method '" + name() + "' not found.");
    }
    const Working working(hub_, method_->label());
    is_stream_ = method_->invoker().is_stream();
    const RpcDecision decision = handler_.before_rpc(
        {connection_, *method_, request_.call_id, request_.args, request_.kwargs});
    if (!decision.proceeds()) return refuse(decision.code(), decision.text());
    if (!method_->predicate()(connection_)) {
      return refuse(RpcErrorCode::access_denied, "Access denied for RPC method '" + name() + "'.");
    }
    if (method_->rate_limit() && !take_rate()) return;
    invoke();
  }

  void fail(std::exception_ptr error) noexcept {
    if (method_ == nullptr) return event_failed(connection_, "an RPC call", std::move(error));
    error_ =
        respond_exception(connection_, *method_, request_.call_id, std::move(error), is_stream_);
    after();
  }

 private:
  std::string name() const { return std::string(request_.method); }

  bool take_rate() {
    const RateLimit& limit = *method_->rate_limit();
    if (ConnectionAccess::rates(connection_).take(method_.get(), limit, started_)) return true;
    refuse(RpcErrorCode::rate_limit_exceeded,
           "Rate limit exceeded for RPC method '" + name() + "'.");
    if (limit.disconnect) connection_.close(CloseCode::try_again_later, "Rate limit exceeded");
    return false;
  }

  void invoke() {
    Invocation invocation{handler_, connection_, request_, method_->params(), *this, {}};
    auto coroutine = method_->invoker().invoke(invocation);
    if (coroutine != nullptr) {
      ConnectionAccess::hub(connection_)
          .calls()
          .start_rpc(connection_, std::move(method_), request_.call_id, std::move(coroutine),
                     started_);
      return;
    }
    if (!invocation.complaint.empty()) return refuse_arguments(invocation.complaint);
    after();
  }

  void refuse_arguments(const std::string& complaint) {
    if (is_stream_) {
      error_ = RpcErrorCode::internal_server_error;
      respond_error("\nStream aborted: " + complaint, true);
    } else {
      error_ = RpcErrorCode::invalid_params;
      respond_error("Server error (TypeError): " + complaint, false);
    }
    after();
  }

  void refuse(RpcErrorCode code, const std::string& text) {
    error_ = code;
    respond_error(text, true);
    if (method_ != nullptr) {
      after();
    } else {
      hub_.counters().rpc_errors.add();
    }
  }

  void respond_error(const std::string& text, bool is_end) {
    ConnectionAccess::respond(connection_, request_.call_id, text, error_, is_stream_, is_end);
  }

  void value(Payload value) override {
    error_ = respond_value(connection_, *method_, request_.call_id, value, false, false);
  }

  void after() noexcept {
    after_call(connection_, *method_, request_.call_id, &request_,
               {.error = error_, .duration = hub_.now() - started_, .cancelled = false});
  }

  Handler& handler_;
  Connection& connection_;
  Hub& hub_;
  const RpcRequest& request_;
  std::chrono::steady_clock::time_point started_;
  std::shared_ptr<RpcMethod> method_;
  std::optional<RpcErrorCode> error_;
  bool is_stream_ = false;
};

void dispatch_rpc(Handler& handler, Connection& connection, RpcRequest request) {
  Hub& hub = ConnectionAccess::hub(connection);
  if (request.method == "__abort__") {
    if (!request.args.empty() && request.args.front().is_string()) {
      hub.calls().abort(connection, request.args.front().string());
    }
    return;
  }
  std::string minted;
  if (request.call_id.empty()) {
    static thread_local std::uint64_t counter = 0;
    minted = "s" + std::to_string(hub.shard()) + "-" + std::to_string(++counter);
    request.call_id = minted;
  }
  RpcDispatch call(handler, connection, request);
  try {
    call.run();
  } catch (...) {
    call.fail(std::current_exception());
  }
}

/// Runs an awaitable event; the connection's packets wait until it ends.
void start_event(Connection& connection, const Label& event, Task<void> task) {
  ConnectionAccess::event_in_flight(connection) = true;
  auto done = [&connection, &event](std::exception_ptr error) {
    ConnectionAccess::event_in_flight(connection) = false;
    if (!error) return;
    try {
      std::rethrow_exception(error);
    } catch (const Cancelled&) {  // NOLINT(bugprone-empty-catch): its client has left
    } catch (...) {
      event_failed(connection, event.text, std::current_exception());
    }
  };
  ConnectionAccess::hub(connection)
      .calls()
      .start(&connection, std::move(task), std::move(done), event);
}

}  // namespace

void dispatch(Handler& handler, Connection& connection, const Packet& packet) {
  if (packet.source == PacketSource::rpc) {
    if (const RpcRequest* request = packet.request()) {
      return dispatch_rpc(handler, connection, *request);
    }
  }
  if (packet.source == PacketSource::unknown) {
    ConnectionAccess::hub(connection).counters().packets_unknown.add();
  }
  const Working working(ConnectionAccess::hub(connection), kOnReceive);
  try {
    if (HandlerAccess::receive_async(handler)) {
      Task<void> task = handler.on_receive_async(connection, OwnedPacket(packet));
      if (task) return start_event(connection, kOnReceive, std::move(task));
    }
    handler.on_receive(connection, packet);
  } catch (...) {
    event_failed(connection, "on_receive", std::current_exception());
  }
}

bool refuse_call(const Handler& handler, Connection& connection, const Packet& packet,
                 RpcErrorCode code, std::string_view text) {
  const RpcRequest* request = packet.request();
  if (packet.source != PacketSource::rpc || request == nullptr || is_abort(packet)) return false;
  Counters& counters = ConnectionAccess::hub(connection).counters();
  counters.rpc_calls.add();
  counters.rpc_errors.add();
  const auto method = HandlerAccess::method(handler, request->method);
  const bool is_stream = method != nullptr && method->invoker().is_stream();
  ConnectionAccess::respond(connection, request->call_id, text, code, is_stream, true);
  return true;
}

void dispatch_raw(Handler& handler, Connection& connection, std::span<const std::byte> message,
                  Opcode opcode) noexcept {
  const Working working(ConnectionAccess::hub(connection), kOnMessage);
  try {
    handler.on_message(connection, message, opcode);
  } catch (...) {
    event_failed(connection, "on_message", std::current_exception());
  }
}

void dispatch_connect(Handler& handler, Connection& connection) noexcept {
  const Working working(ConnectionAccess::hub(connection), kOnConnect);
  try {
    HandlerAccess::roster(handler).add(connection);
    if (HandlerAccess::connect_async(handler)) {
      Task<void> task = handler.on_connect_async(connection);
      if (task) return start_event(connection, kOnConnect, std::move(task));
    }
    handler.on_connect(connection);
  } catch (...) {
    event_failed(connection, "on_connect", std::current_exception());
  }
}

void dispatch_dropped(Handler& handler, Connection& connection, const Dropped& dropped) noexcept {
  const Working working(ConnectionAccess::hub(connection), kOnDropped);
  try {
    handler.on_dropped(connection, dropped);
  } catch (...) {
    event_failed(connection, "on_dropped", std::current_exception());
  }
}

void dispatch_drained(Handler& handler, Connection& connection) noexcept {
  const Working working(ConnectionAccess::hub(connection), kOnDrained);
  try {
    handler.on_drained(connection);
  } catch (...) {
    event_failed(connection, "on_drained", std::current_exception());
  }
}

void dispatch_disconnect(Handler& handler, Connection& connection) noexcept {
  ConnectionAccess::hub(connection).calls().cancel_all(connection);
  const Working working(ConnectionAccess::hub(connection), kOnDisconnect);
  try {
    handler.on_disconnect(connection);
  } catch (...) {
    event_failed(connection, "on_disconnect", std::current_exception());
  }
  HandlerAccess::roster(handler).remove(connection);
}

bool is_abort(const Packet& packet) noexcept {
  const RpcRequest* request = packet.request();
  return packet.source == PacketSource::rpc && request != nullptr && request->method == "__abort__";
}

std::string describe_exception(std::exception_ptr error) {
  try {
    std::rethrow_exception(std::move(error));
  } catch (const std::exception& exception) {
    return readable_type(typeid(exception).name()) + ": " + exception.what();
  } catch (const Cancelled&) {
    return "webshocket::Cancelled";
  } catch (...) {
    return "an exception of unknown type";
  }
}

namespace {

RpcErrorCode describe_failure(const Hub& hub, const RpcMethod& method,
                              const std::exception_ptr& error, bool is_stream, std::string& text) {
  RpcErrorCode code = RpcErrorCode::internal_server_error;
  try {
    std::rethrow_exception(error);
  } catch (const RpcError& exception) {
    text = exception.what();
    if (!is_stream) code = RpcErrorCode::application_error;
  } catch (const std::exception& exception) {
    hub.log(LogLevel::error,
            "RPC method '" + method.name() + "' failed: " + describe_exception(error));
    if (!hub.config().expose_errors) {
      text = "internal";
    } else if (is_stream) {
      text = exception.what();
    } else {
      text = readable_type(typeid(exception).name()) + "): " + exception.what();
    }
  } catch (...) {
    hub.log(LogLevel::error,
            "RPC method '" + method.name() + "' failed: " + describe_exception(error));
    text = "internal";
  }
  if (is_stream) {
    text = "\nStream aborted: " + text;
  } else if (code == RpcErrorCode::internal_server_error) {
    text = "Server error (" + text + (text == "internal" ? ")" : "");
  }
  return code;
}

/// An answer that cannot be given: the client must not wait for it.
void lack_memory(Connection& connection) noexcept {
  ConnectionAccess::hub(connection).counters().allocation_failures.add();
  connection.close(CloseCode::internal_error, "out of memory");
}

}  // namespace

RpcErrorCode respond_exception(Connection& connection, const RpcMethod& method,
                               std::string_view call_id, std::exception_ptr error,
                               bool is_stream) noexcept {
  try {
    std::string text;
    const RpcErrorCode code =
        describe_failure(ConnectionAccess::hub(connection), method, error, is_stream, text);
    // An empty text arrives as null: that is how the wire has it.
    ConnectionAccess::respond(connection, call_id, text.empty() ? Payload(nullptr) : Payload(text),
                              code, is_stream, is_stream);
    return code;
  } catch (const std::bad_alloc&) {
    lack_memory(connection);
    return RpcErrorCode::internal_server_error;
  }
}

void respond_end(Connection& connection, std::string_view call_id) noexcept {
  try {
    ConnectionAccess::respond(connection, call_id, nullptr, std::nullopt, true, true);
  } catch (const std::bad_alloc&) {
    lack_memory(connection);
  }
}

std::optional<RpcErrorCode> respond_value(Connection& connection, const RpcMethod& method,
                                          std::string_view call_id, Payload value, bool is_stream,
                                          bool is_end) {
  if (ConnectionAccess::respond(connection, call_id, value, std::nullopt, is_stream, is_end)) {
    return std::nullopt;
  }
  return respond_exception(
      connection, method, call_id,
      std::make_exception_ptr(PacketError("the result cannot be written in the client's format, " +
                                          std::string(to_string(connection.format())))),
      is_stream);
}

void after_call(Connection& connection, const RpcMethod& method, std::string_view call_id,
                const RpcRequest* request, const RpcOutcome& outcome) noexcept {
  if (outcome.error) ConnectionAccess::hub(connection).counters().rpc_errors.add();
  try {
    RpcCall call{connection, method, call_id, {}, {}};
    if (request != nullptr) {
      call.args = request->args;
      call.kwargs = request->kwargs;
    }
    ConnectionAccess::handler(connection).after_rpc(call, outcome);
  } catch (...) {
    ConnectionAccess::hub(connection).counters().handler_errors.add();
    log_if_possible(ConnectionAccess::hub(connection), LogLevel::error, [] {
      return "after_rpc failed: " + describe_exception(std::current_exception());
    });
  }
}

void event_failed(Connection& connection, std::string_view event,
                  std::exception_ptr error) noexcept {
  Hub& hub = ConnectionAccess::hub(connection);
  hub.counters().handler_errors.add();
  log_if_possible(hub, LogLevel::error,
                  [&] { return std::string(event) + " failed: " + describe_exception(error); });
  connection.close(CloseCode::internal_error, "internal error");
}

void predicate_failed(const Connection& connection, const Predicate& predicate,
                      std::exception_ptr error) noexcept {
  Hub& hub = ConnectionAccess::hub(connection);
  hub.counters().predicate_errors.add();
  hub.log_gate().say(hub, LogTopic::predicate, LogLevel::error, [&] {
    return "the predicate " + predicate.to_string() + " failed: " + describe_exception(error);
  });
}

}  // namespace webshocket::detail
