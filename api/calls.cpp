#include "api/calls.hpp"

#include <utility>

#include <webshocket/error.hpp>

#include "api/access.hpp"
#include "api/counters.hpp"
#include "api/dispatch.hpp"

namespace webshocket::detail {

Call::Call(Calls& calls, Hub& hub, const Label& label, Connection* connection,
           std::unique_ptr<Coroutine> coroutine)
    : CallScope(hub, label),
      calls_(calls),
      coroutine_(std::move(coroutine)),
      connection_(connection) {
  coroutine_->promise().scope = this;
}

void Call::value(Payload value) {
  error_ = respond_value(*connection_, *method_, call_id_, value, coroutine_->is_stream(), false);
}

bool Call::yielded() noexcept {
  if (cancelled() || aborted_) return true;
  try {
    coroutine_->result(*this);
  } catch (...) {
    error_ = respond_exception(*connection_, *method_, call_id_, std::current_exception(), true);
  }
  if (error_) {
    // The failure was the stream's last word.
    aborted_ = true;
    cancel();
    return true;
  }
  waits_for_outbox_ = !ConnectionAccess::writable(*connection_);
  return !waits_for_outbox_;
}

void Call::ended() noexcept {
  if (method_ != nullptr) {
    end_rpc();
  }
  Connection* connection = connection_;
  TaskDone done = std::move(done_);
  std::exception_ptr error = method_ == nullptr ? coroutine_->promise().error : nullptr;
  coroutine_.reset();  // destructors of what the coroutine holds, before anybody hears of its end
  calls_.remove(*this);
  delete this;
  if (done) done(error);
  if (connection != nullptr) {
    ConnectionAccess::unblocked(*connection);
    ConnectionAccess::release(*connection);
  }
}

void Call::end_rpc() noexcept {
  const bool silent = cancelled() || aborted_;
  if (!silent) {
    const bool is_stream = coroutine_->is_stream();
    if (coroutine_->promise().error) {
      error_ = respond_exception(*connection_, *method_, call_id_, coroutine_->promise().error,
                                 is_stream);
    } else if (is_stream) {
      respond_end(*connection_, call_id_);
    } else {
      try {
        coroutine_->result(*this);
      } catch (...) {
        error_ =
            respond_exception(*connection_, *method_, call_id_, std::current_exception(), false);
      }
    }
  }
  after_call(*connection_, *method_, call_id_, nullptr,
             {.error = error_, .duration = hub().now() - started_, .cancelled = silent && !error_});
}

Calls::~Calls() { cancel_all(); }

void Calls::link(Call*& first, Call& call) noexcept {
  call.next_ = first;
  call.link_ = &first;
  if (first != nullptr) first->link_ = &call.next_;
  first = &call;
}

void Calls::unlink(Call& call) noexcept {
  *call.link_ = call.next_;
  if (call.next_ != nullptr) call.next_->link_ = call.link_;
}

void Calls::link_to_connection(Call*& first, Call& call) noexcept {
  call.next_of_connection_ = first;
  call.link_of_connection_ = &first;
  if (first != nullptr) first->link_of_connection_ = &call.next_of_connection_;
  first = &call;
}

void Calls::unlink_from_connection(Call& call) noexcept {
  *call.link_of_connection_ = call.next_of_connection_;
  if (call.next_of_connection_ != nullptr) {
    call.next_of_connection_->link_of_connection_ = call.link_of_connection_;
  }
}

void Calls::add(Call& call) noexcept {
  link(first_, call);
  ++size_;
  if (call.method_ != nullptr) {
    ++rpc_size_;
    hub_.counters().calls_in_flight.add();
  }
  if (call.connection_ != nullptr) {
    link_to_connection(ConnectionAccess::calls(*call.connection_), call);
    if (call.method_ != nullptr) ++ConnectionAccess::call_count(*call.connection_);
    ConnectionAccess::hold(*call.connection_);
  }
}

void Calls::remove(Call& call) noexcept {
  unlink(call);
  --size_;
  if (call.method_ != nullptr) {
    --rpc_size_;
    hub_.counters().calls_in_flight.subtract();
  }
  if (call.connection_ != nullptr) {
    unlink_from_connection(call);
    if (call.method_ != nullptr) --ConnectionAccess::call_count(*call.connection_);
  }
}

void Calls::start_rpc(Connection& connection, std::shared_ptr<const RpcMethod> method,
                      std::string_view call_id, std::unique_ptr<Coroutine> coroutine,
                      std::chrono::steady_clock::time_point started) {
  auto* call = new Call(*this, hub_, method->label(), &connection, std::move(coroutine));
  call->method_ = std::move(method);
  call->started_ = started;
  try {
    call->call_id_ = call_id;
  } catch (...) {
    delete call;
    throw;
  }
  add(*call);
  call->run_on();
}

void Calls::start(Connection* connection, Task<void> task, TaskDone done, const Label& label) {
  auto coroutine = std::make_unique<TaskCoroutine<void>>(std::move(task));
  auto* call = new Call(*this, hub_, label, connection, std::move(coroutine));
  call->done_ = std::move(done);
  add(*call);
  call->run_on();
}

void Calls::abort(Connection& connection, std::string_view call_id) noexcept {
  for (Call* call = ConnectionAccess::calls(connection); call != nullptr;
       call = call->next_of_connection_) {
    if (call->method_ != nullptr && !call->aborted_ && call->call_id_ == call_id) {
      call->aborted_ = true;
      call->cancel();
      return;
    }
  }
}

// Ending one may end or start others: each is taken from the front, and what has been cancelled
// waits elsewhere for its end, so that nobody looks at it again.

void Calls::cancel_all(Connection& connection) noexcept {
  Call*& first = ConnectionAccess::calls(connection);
  Call* cancelled = nullptr;
  while (first != nullptr) {
    Call& call = *first;
    unlink_from_connection(call);
    link_to_connection(cancelled, call);
    call.cancel();
  }
  first = cancelled;
  if (first != nullptr) first->link_of_connection_ = &first;
}

void Calls::cancel_all() noexcept {
  while (first_ != nullptr) {
    Call& call = *first_;
    unlink(call);
    link(cancelled_, call);
    call.cancel();
  }
}

void Calls::outbox_drained(Connection& connection) noexcept {
  for (bool found = true; found && ConnectionAccess::writable(connection);) {
    found = false;
    for (Call* call = ConnectionAccess::calls(connection); call != nullptr;
         call = call->next_of_connection_) {
      if (call->waits_for_outbox_) {
        call->waits_for_outbox_ = false;
        call->run_on();
        found = true;
        break;
      }
    }
  }
}

}  // namespace webshocket::detail
