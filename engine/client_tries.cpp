// A client at home, without a connection: it tries, and waits between the tries.

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>
#include <utility>

#include <webshocket/error.hpp>

#include "api/deadline.hpp"
#include "engine/client_session.hpp"
#include "engine/client_words.hpp"
#include "protocol/mask_keys.hpp"

namespace webshocket::engine {
namespace {

std::uint64_t draw() noexcept {
  std::array<std::byte, sizeof(std::uint64_t)> bytes;
  protocol::draw_random(bytes);
  return std::bit_cast<std::uint64_t>(bytes);
}

/// To who waits for packets, no connection is a closed one.
std::exception_ptr as_closed(const std::exception_ptr& why) {
  try {
    std::rethrow_exception(why);
  } catch (const ConnectionFailedError& error) {
    return closed(error.what());
  } catch (...) {
    return why;
  }
}

}  // namespace

void ClientSession::begin(Client& client, const Retry& retry) {
  Gates askers;
  bool is_over = false;
  {
    const std::lock_guard lock(mutex_);
    askers.swap(askers_);
    is_over = is_over_;
    if (!is_over) {
      std::ranges::move(askers, std::back_inserter(openers_));
      if (state() != ConnectionState::connected) state_ = ConnectionState::connecting;
    }
  }
  if (is_over) return end(std::move(askers), closed("the client has gone"));
  client_ = &client;
  packets_->reopen();
  if (phase_ == Phase::idle) return begin_tries(retry);
  if (phase_ != Phase::closing && !is_closing_) {
    if (phase_ == Phase::open && was_ready_) become_ready();  // it came about meanwhile
    return;
  }
  queued_ = retry;
  is_closing_ = false;
}

void ClientSession::begin_tries(const Retry& retry) {
  is_closing_ = false;
  is_reconnecting_ = false;
  tries_ = Tries(retry, Clock::now());
  if (!std::exchange(is_guest_, true)) reactor_.add_guest(*this);
  start_try();
}

std::chrono::nanoseconds ClientSession::connect_timeout() const noexcept {
  return webshocket::detail::bounded_timeout(config_->connect_timeout);
}

void ClientSession::pause_for(std::chrono::nanoseconds pause) {
  phase_ = Phase::pausing;
  reactor_.start_timer(*this, pause);
}

void ClientSession::start_try() {
  try_began_ = Clock::now();
  addresses_.clear();
  next_address_ = 0;
  address_complaints_.clear();
  if (!config_->unix_path.empty()) {
    addresses_.push_back(*shards::SocketAddress::unix_path(config_->unix_path));
    return connect_next();
  }
  if (auto address = shards::SocketAddress::parse(uri_.host, uri_.port)) {
    addresses_.push_back(*address);
    return connect_next();
  }
  const auto left = tries_.allowance(connect_timeout(), try_began_);
  if (!left) return try_failed("no time was left to try", true);
  phase_ = Phase::resolving;
  if (left->count() != 0) reactor_.start_timer(*this, *left);
  try {
    resolver_.ask(reactor_.loop(), uri_.host, uri_.port,
                  [this](std::vector<shards::SocketAddress> found, std::string_view complaint) {
                    resolved(std::move(found), complaint);
                  });
  } catch (const Error& error) {
    reactor_.stop_timer(*this);
    try_failed(error.what(), false);
  }
}

void ClientSession::resolved(std::vector<shards::SocketAddress> addresses,
                             std::string_view complaint) {
  reactor_.stop_timer(*this);
  if (addresses.empty()) {
    return try_failed("cannot look up " + uri_.host + ": " + std::string(complaint), false);
  }
  addresses_ = std::move(addresses);
  connect_next();
}

void ClientSession::connect_next() {
  const auto now = Clock::now();
  std::chrono::nanoseconds timeout = connect_timeout();
  const bool is_bounded = timeout.count() != 0;
  if (is_bounded) timeout -= now - try_began_;
  const auto left = tries_.allowance(timeout, now);
  if (!left || (is_bounded && left->count() <= 0)) {
    return try_failed(address_complaints_ + "no time was left for its other addresses", false);
  }
  // One that does not answer must not use up the time of those behind it. A share of 0 has no end.
  const auto addresses = static_cast<std::int64_t>(addresses_.size() - next_address_);
  const std::chrono::nanoseconds share =
      (*left + std::chrono::nanoseconds(addresses - 1)) / addresses;
  phase_ = Phase::opening;
  connection_ = new shards::ClientConnection(reactor_, shared_from_this(), rules_);
  connection_->start(
      {.remote = addresses_[next_address_++],
       .local = local_of(*config_),
       .tcp_nodelay = config_->tcp_nodelay,
       .tls = tls_,
       .tls_name = config_->tls.server_name.empty() ? uri_.host : config_->tls.server_name,
       .timeout = share,
       .request = request_of(*config_, uri_),
       .needs_subprotocol = form_ == shards::Form::msgpack || form_ == shards::Form::json_text});
}

void ClientSession::try_failed(std::string complaint, bool is_final, int http_status) {
  phase_ = Phase::idle;
  const auto now = Clock::now();
  tries_.failed(std::move(complaint), http_status);
  const auto pause = is_final ? std::nullopt : tries_.pause(draw(), now);
  const ConnectionFailedError error = tries_.error(name_, now);
  if (pause) {
    log(LogLevel::info,
        error.tries().back() + "; another try in " +
            std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(*pause).count()) +
            " ms");
    return pause_for(*pause);
  }
  log(LogLevel::warning, error.what());
  settle(is_reconnecting_ ? ConnectionState::closed : ConnectionState::disconnected,
         std::make_exception_ptr(error));
}

void ClientSession::come_back(const shards::ClientEnding& ending) {
  const Retry& retry = *config_->reconnect;
  const auto now = Clock::now();
  // One that does not last is as good as a failed try: the pauses go on growing.
  const bool has_lasted = now - ready_since_ >= webshocket::detail::bounded_timeout(retry.interval);
  std::optional<std::chrono::nanoseconds> pause;
  if (!is_reconnecting_ || has_lasted) {
    tries_ = Tries(retry, now);
    pause = tries_.first_pause(draw(), ending.code == CloseCode::going_away
                                           ? std::string_view(ending.reason)
                                           : std::string_view());
  } else {
    tries_.failed(describe(ending), 0);
    pause = tries_.pause(draw(), now);
  }
  is_reconnecting_ = true;
  if (!pause) {
    return settle(ConnectionState::closed, std::make_exception_ptr(tries_.error(name_, now)));
  }
  pause_for(*pause);
}

void ClientSession::fire() noexcept {
  if (phase_ == Phase::pausing) return start_try();
  if (phase_ == Phase::resolving) {
    resolver_.cancel();
    try_failed("no address for " + uri_.host + " in time", false);
  }
}

void ClientSession::settle(ConnectionState state, const std::exception_ptr& why) {
  phase_ = Phase::idle;
  is_closing_ = false;
  Gates openers;
  Gates closers;
  {
    const std::lock_guard lock(mutex_);
    state_ = askers_.empty() ? state : ConnectionState::connecting;
    openers.swap(openers_);
    closers.swap(closers_);
  }
  packets_->end(as_closed(why));
  end(std::move(openers), why);
  end(std::move(closers));
  leave_home();
}

void ClientSession::leave_home() {
  if (phase_ != Phase::idle || greeting_ != nullptr) return;
  if (std::exchange(is_guest_, false)) reactor_.remove_guest(*this);
}

}  // namespace webshocket::engine
