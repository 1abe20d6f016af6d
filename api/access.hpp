/// The doors through which the inside reaches what users of a connection or handler must not.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <webshocket/connection.hpp>
#include <webshocket/handler.hpp>

#include "api/rate_limit.hpp"
#include "api/token_bucket.hpp"

namespace webshocket::detail {

/// What a connection sends, if there is a limit: `Config::message_rate`, `Config::receive_rate`.
struct Traffic {
  TokenBucket messages;
  TokenBucket received;  ///< bytes
};

}  // namespace webshocket::detail

namespace webshocket {

namespace detail {

/// What a connection's outbox may hold, and what it has dropped.
struct OutboxAccount {
  void add(std::uint64_t Dropped::*policy, std::uint64_t messages, std::size_t bytes) noexcept {
    for (Dropped* account : {&dropped, &untold}) {
      account->*policy += messages;
      account->bytes += bytes;
    }
  }
  Dropped take_untold() noexcept { return std::exchange(untold, {}); }

  OutboxRule rule;
  Dropped dropped;
  Dropped untold;  ///< `on_dropped` has not been told
};

}  // namespace detail

/// What a connection gets when it is first needed.
struct Connection::State {
  Session session;
  detail::RateWindows rates;
  detail::OutboxAccount outbox;
  detail::Traffic traffic;
};

}  // namespace webshocket

namespace webshocket::detail {

class ConnectionAccess {
 public:
  static bool respond(Connection& to, std::string_view call_id, Payload response,
                      std::optional<RpcErrorCode> error, bool is_stream, bool is_end) {
    return to.do_respond(call_id, response, error, is_stream, is_end);
  }
  static bool writable(const Connection& connection) noexcept { return connection.do_writable(); }
  static void unblocked(Connection& connection) noexcept { connection.do_unblocked(); }
  static void hold(Connection& connection) noexcept { connection.do_hold(); }
  static void release(Connection& connection) noexcept { connection.do_release(); }

  static Hub& hub(const Connection& connection) noexcept { return *connection.hub_; }
  static Handler& handler(const Connection& connection) noexcept { return *connection.handler_; }
  static Form form(const Connection& connection) noexcept { return connection.form_; }
  static RateWindows& rates(Connection& connection) { return connection.extras().rates; }
  static OutboxAccount& outbox(Connection& connection) { return connection.extras().outbox; }
  /// Null: it has none yet.
  static const OutboxAccount* find_outbox(const Connection& connection) noexcept {
    return connection.extras_ == nullptr ? nullptr : &connection.extras_->outbox;
  }
  static Traffic& traffic(Connection& connection) { return connection.extras().traffic; }
  static Session& session(Connection& connection) { return connection.extras().session; }

  static Call*& calls(Connection& connection) noexcept { return connection.calls_; }
  static std::uint32_t& call_count(Connection& connection) noexcept {
    return connection.call_count_;
  }
  static bool& event_in_flight(Connection& connection) noexcept {
    return connection.event_in_flight_;
  }
  static std::uint32_t& roster_index(Connection& connection) noexcept {
    return connection.roster_index_;
  }
};

class HandlerAccess {
 public:
  static void attach(Handler& handler, Hub& hub, std::size_t route) noexcept {
    handler.hub_ = &hub;
    handler.route_ = route;
  }
  static std::size_t route(const Handler& handler) noexcept { return handler.route_; }
  static Hub& hub(const Handler& handler) noexcept { return *handler.hub_; }
  static Roster& roster(Handler& handler) noexcept { return handler.roster_; }
  static const Roster& roster(const Handler& handler) noexcept { return handler.roster_; }
  static std::shared_ptr<RpcMethod> method(const Handler& handler, std::string_view name) {
    const auto found = handler.methods_.find(name);
    return found == handler.methods_.end() ? nullptr : found->second;
  }
  static bool connect_async(const Handler& handler) noexcept { return handler.connect_async_; }
  static bool receive_async(const Handler& handler) noexcept { return handler.receive_async_; }
  static bool upgrade_async(const Handler& handler) noexcept { return handler.upgrade_async_; }
};

}  // namespace webshocket::detail
