// A client at home, from a connection's first moment to its end.

#include <algorithm>
#include <array>
#include <utility>

#include <webshocket/error.hpp>

#include "api/dispatch.hpp"
#include "engine/client_session.hpp"
#include "engine/client_words.hpp"

namespace webshocket::engine {

/// `on_connect` at work.
class ClientSession::Greeting final : public webshocket::detail::CallScope {
 public:
  Greeting(shards::Reactor& reactor, std::shared_ptr<ClientSession> session, Task<void> task)
      : CallScope(reactor), session_(std::move(session)), task_(std::move(task)) {
    task_.handle().promise().scope = this;
  }
  void run() noexcept { CallScope::run(task_.handle()); }

 private:
  ~Greeting() = default;

  void ended() noexcept override {
    const std::exception_ptr error = task_.handle().promise().error;
    const std::shared_ptr<ClientSession> session = std::move(session_);
    delete this;
    session->greeting_ = nullptr;
    session->greeted(error);
  }
  bool yielded() noexcept override { return true; }
  std::coroutine_handle<> root() noexcept override { return task_.handle(); }

  std::shared_ptr<ClientSession> session_;
  Task<void> task_;
};

bool ClientSession::is_greeting() const noexcept {
  return greeting_ != nullptr && greeting_->running();
}

void ClientSession::on_open() noexcept {
  phase_ = Phase::open;
  was_ready_ = false;
  greeting_error_.clear();
  addresses_ = {};
  connects_.add();
  {
    const std::lock_guard lock(mutex_);
    state_ = ConnectionState::connected;
    outbox_bytes_ = 0;
  }
  log(LogLevel::debug,
      "connected to " + name_ + (connection_->is_deflating() ? ", compressed" : ""));
  greet();
}

void ClientSession::greet() {
  if (!config_->on_connect || client_ == nullptr) return become_ready();
  // The last connection's still waits for something that cannot be given up.
  if (greeting_ != nullptr) {
    greets_again_ = true;
    return;
  }
  try {
    Task<void> task = config_->on_connect(*client_);
    if (phase_ != Phase::open) return;  // it has closed the connection
    if (!task) return become_ready();
    greeting_ = new Greeting(reactor_, shared_from_this(), std::move(task));
    greeting_->run();
  } catch (...) {
    greeted(std::current_exception());
  }
}

void ClientSession::greeted(std::exception_ptr error) {
  leave_home();
  if (on_left_) return std::exchange(on_left_, nullptr)();
  const bool was_of_last_connection = std::exchange(greets_again_, false);
  if (phase_ == Phase::open) {
    if (was_of_last_connection) return greet();
    if (!error) return become_ready();
    greeting_error_ = "on_connect failed: " + webshocket::detail::describe_exception(error);
    connection_->shut_down(CloseCode::normal, kLeaving);
  }
}

void ClientSession::become_ready() {
  if (!std::exchange(was_ready_, true)) ready_since_ = Clock::now();
  Gates openers;
  {
    const std::lock_guard lock(mutex_);
    is_ready_ = true;
    openers.swap(openers_);
  }
  end(std::move(openers));
}

void ClientSession::begin_close(CloseCode code, std::string_view reason) {
  queued_.reset();
  is_closing_ = true;
  const std::exception_ptr why = closed("close() was called");
  switch (phase_) {
    case Phase::idle:
      return settle(ConnectionState::closed, why);
    case Phase::pausing:
    case Phase::resolving:
      reactor_.stop_timer(*this);
      resolver_.cancel();
      return settle(ConnectionState::closed, why);
    case Phase::opening:
      return connection_->give_up("close() was called");
    case Phase::open:
      drain_outgoing();
      return connection_->shut_down(code, reason);
    case Phase::closing:
      return;
  }
}

bool ClientSession::may_come_back(CloseCode code) const noexcept {
  constexpr std::array kFinal{CloseCode::normal,
                              CloseCode::protocol_error,
                              CloseCode::unsupported_data,
                              CloseCode::invalid_data,
                              CloseCode::policy_violation,
                              CloseCode::message_too_big,
                              CloseCode::mandatory_extension};
  return config_->reconnect && std::ranges::find(kFinal, code) == kFinal.end();
}

void ClientSession::on_leaving(const shards::ClientEnding& ending) noexcept {
  phase_ = Phase::closing;
  const bool comes_back = was_ready_ && !is_closing_ && may_come_back(ending.code);
  const bool tries_on = !was_ready_ && !is_closing_;
  const std::exception_ptr why =
      std::make_exception_ptr(ConnectionClosedError(describe(ending), ending.code, ending.reason));
  Gates senders;
  {
    const std::lock_guard lock(mutex_);
    is_ready_ = false;
    state_ = comes_back || tries_on ? ConnectionState::connecting : ConnectionState::closed;
    last_code_ = ending.code;
    last_reason_ = ending.reason;
    outgoing_ = {};
    outbox_bytes_ = 0;
    senders.swap(senders_);
    if (!comes_back && !tries_on) packets_->end(why);
  }
  calls_.end_all(why);
  end(std::move(senders), why);
  if (greeting_ != nullptr) greeting_->cancel();
}

void ClientSession::on_gone(shards::ClientEnding ending) noexcept {
  if (ending.was_open && phase_ == Phase::open) on_leaving(ending);
  connection_ = nullptr;
  if (ending.was_open) {
    log(LogLevel::debug, describe(ending));
    // Still closing, so that what is asked for in there comes after what is done here.
    if (config_->on_disconnect && client_ != nullptr) {
      call_user("on_disconnect",
                [&] { config_->on_disconnect(*client_, ending.code, ending.reason); });
    }
  }
  phase_ = Phase::idle;
  const bool is_over = [this] {
    const std::lock_guard lock(mutex_);
    return is_over_;
  }();
  if (is_closing_ || is_over) {
    const std::exception_ptr why = ending.was_open
                                       ? std::make_exception_ptr(ConnectionClosedError(
                                             describe(ending), ending.code, ending.reason))
                                       : closed("close() was called");
    return settle(ConnectionState::closed, why);
  }
  if (queued_) {
    Gates closers;
    {
      const std::lock_guard lock(mutex_);
      closers.swap(closers_);
    }
    end(std::move(closers));
    return begin_tries(*std::exchange(queued_, std::nullopt));
  }
  if (!ending.was_open) {
    std::string complaint = std::move(ending.complaint);
    if (addresses_.size() > 1) {
      complaint = addresses_[next_address_ - 1].to_string() + ": " + complaint;
    }
    address_complaints_ += complaint;
    // Somebody answered there: his other addresses would say the same.
    const bool was_answered = ending.is_final || ending.http_status != 0;
    if (next_address_ < addresses_.size() && !was_answered) {
      address_complaints_ += ", ";
      return connect_next();
    }
    return try_failed(std::exchange(address_complaints_, {}), ending.is_final, ending.http_status);
  }
  if (!was_ready_) {
    return try_failed(greeting_error_.empty() ? describe(ending) : greeting_error_, false);
  }
  if (may_come_back(ending.code)) return come_back(ending);
  settle(ConnectionState::closed, std::make_exception_ptr(ConnectionClosedError(
                                      describe(ending), ending.code, ending.reason)));
}

void ClientSession::leave_at_home(std::function<void()> left) {
  client_ = nullptr;
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  begin_close(CloseCode::normal, kLeaving);
  if (greeting_ == nullptr) {
    if (left) left();
    return;
  }
  on_left_ = left ? std::move(left) : [] {};
  greeting_->cancel();
}

void ClientSession::evict() noexcept {
  const std::shared_ptr<ClientSession> self = weak_from_this().lock();
  reactor_.stop_timer(*this);
  resolver_.cancel();
  is_closing_ = true;
  home_lost();
  if (greeting_ != nullptr) greeting_->cancel();
  if (connection_ != nullptr) {
    connection_->shut_down(CloseCode::going_away, {});
    connection_->give_up("the client's loop has ended");
  } else {
    settle(ConnectionState::closed, closed("the client's loop has ended"));
  }
}

}  // namespace webshocket::engine
