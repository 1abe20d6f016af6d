#include <webshocket/connection.hpp>

#include <utility>

#include <webshocket/config.hpp>

#include "api/access.hpp"

namespace webshocket {

Connection::Connection(detail::Hub& hub, Handler& handler, const Uid& uid,
                       detail::Form form) noexcept
    : hub_(&hub), handler_(&handler), uid_(uid), form_(form) {}

Connection::Connection(detail::Hub& hub, const Uid& uid) noexcept : hub_(&hub), uid_(uid) {}

Connection::~Connection() = default;

Connection::State& Connection::extras() {
  if (extras_ == nullptr) extras_ = std::make_unique<State>();
  return *extras_;
}

const Session& Connection::session_const() const noexcept {
  static const Session kEmpty;
  return extras_ == nullptr ? kEmpty : extras_->session;
}

std::string Connection::remote_address() const {
  hub_->check_thread();
  return do_remote_address();
}

std::optional<ClientCertificate> Connection::client_certificate() const {
  hub_->check_thread();
  return do_client_certificate();
}

SendStatus Connection::send(Payload data, SendOptions options) {
  hub_->check_thread();
  if (state_ != ConnectionState::connected) return SendStatus::dropped;
  return do_send({data, nullptr, options.compress}, options.fragment_size);
}

SendStatus Connection::send(const Packet& packet, SendOptions options) {
  hub_->check_thread();
  if (state_ != ConnectionState::connected) return SendStatus::dropped;
  return do_send({nullptr, &packet, options.compress}, options.fragment_size);
}

OutboxState Connection::outbox_state() const {
  hub_->check_thread();
  return do_outbox();
}

void Connection::set_outbox(const OutboxRule& rule) {
  hub_->check_thread();
  do_set_outbox(rule);
}

bool Connection::subscribe(const Names& names) {
  hub_->check_thread();
  if (state_ != ConnectionState::connected) return false;
  return do_subscribe(names.list());
}

void Connection::unsubscribe(const Names& names) {
  hub_->check_thread();
  do_unsubscribe(names.list());
}

std::vector<std::string> Connection::subscriptions() const {
  hub_->check_thread();
  return do_subscriptions();
}

std::size_t Connection::max_subscribed_channels() const noexcept {
  return hub_->config().max_subscribed_channels;
}

void Connection::close(CloseCode code, std::string_view reason) {
  hub_->check_thread();
  if (state_ == ConnectionState::connected) do_close(code, reason);
}

Session& Connection::session() {
  hub_->check_thread();
  return extras().session;
}

const Session& Connection::session() const noexcept { return session_const(); }

Peer Connection::peer() const { return {uid_, form_, hub_->router()}; }

SendStatus Peer::send(Payload data, SendOptions options) const {
  const auto router = router_.lock();
  if (router == nullptr) return SendStatus::dropped;
  return router->send(uid_, form_, {data, nullptr, options.compress}, options.fragment_size);
}

SendStatus Peer::send(const Packet& packet, SendOptions options) const {
  const auto router = router_.lock();
  if (router == nullptr) return SendStatus::dropped;
  return router->send(uid_, form_, {nullptr, &packet, options.compress}, options.fragment_size);
}

bool Peer::post(std::function<void(Connection&)> fn) const {
  const auto router = router_.lock();
  return router != nullptr && router->post(uid_, std::move(fn));
}

bool Peer::close(CloseCode code, std::string_view reason) const {
  return post(
      [code, text = std::string(reason)](Connection& connection) { connection.close(code, text); });
}

}  // namespace webshocket
