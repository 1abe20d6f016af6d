#include "engine/client_config.hpp"

#include <utility>
#include <variant>

#include <webshocket/error.hpp>

#include "api/deadline.hpp"
#include "engine/checks.hpp"
#include "protocol/http_fields.hpp"

namespace webshocket::engine {
namespace {

constexpr Checks kCheck("ClientConfig");

}  // namespace

void check(const Retry& retry, std::string_view name) {
  const auto field = [name](std::string_view member) {
    return std::string(name) + '.' + std::string(member);
  };
  kCheck.duration(field("interval"), retry.interval, true);
  kCheck.duration(field("max_interval"), retry.max_interval, true);
  kCheck.duration(field("jitter"), retry.jitter, true);
  kCheck.duration(field("deadline"), retry.deadline, true);
}

void check(const ClientConfig& config) {
  if (!config.subprotocols.empty() && config.format != Format::raw) {
    kCheck.refuse("subprotocols", quoted(config.subprotocols.front()),
                  "only a raw client chooses them; the others speak webshocket's");
  }
  if (config.json_in_binary && config.format != Format::json) {
    kCheck.refuse("json_in_binary", "true", "needs Format::json");
  }
  for (const auto& [name, value] : config.headers) {
    if (!protocol::is_writable({name, value})) {
      kCheck.refuse("headers", quoted(name), "is no header: a token and a value on one line");
    }
    if (protocol::belongs_to_handshake(name))
      kCheck.refuse("headers", quoted(name), "belongs to the upgrade itself");
  }
  for (const std::string& name : config.subprotocols) {
    if (!protocol::is_token(name)) kCheck.refuse("subprotocols", quoted(name), "is no token");
  }
  if (!config.unix_path.empty() && !shards::SocketAddress::unix_path(config.unix_path)) {
    kCheck.refuse("unix_path", quoted(config.unix_path), "is too long for a socket's name");
  }
  if (!config.local_address.empty() && !shards::SocketAddress::parse(config.local_address, 0)) {
    kCheck.refuse("local_address", quoted(config.local_address), "is no numeric address");
  }
  if (config.reconnect) check(*config.reconnect, "reconnect");
  kCheck.at_most("max_message", config.max_message, kMaxMessage);
  kCheck.duration("connect_timeout", config.connect_timeout, true);
  kCheck.duration("call_timeout", config.call_timeout, false);
  kCheck.duration("ping_interval", config.ping_interval, true);
  kCheck.duration("ping_timeout", config.ping_timeout, true);
  kCheck.duration("close_timeout", config.close_timeout, false);
  kCheck.compression(config.compression);
}

protocol::Uri checked_uri(std::string_view text) {
  auto parsed = protocol::parse_uri(text);
  if (auto* complaint = std::get_if<std::string>(&parsed)) throw InvalidUriError(*complaint);
  return std::move(std::get<protocol::Uri>(parsed));
}

std::string without_userinfo(std::string_view uri) {
  std::string text(uri);
  const std::size_t begin = uri.find("://") + 3;
  const std::size_t at = uri.substr(0, uri.find_first_of("/?", begin)).rfind('@');
  if (at != std::string::npos) text.erase(begin, at + 1 - begin);
  return text;
}

shards::EndpointRules rules_of(const ClientConfig& config) noexcept {
  return {.role = protocol::Role::client,
          .max_message = config.max_message == 0 ? kMaxMessage : config.max_message,
          .ping_interval = webshocket::detail::bounded_timeout(config.ping_interval),
          .ping_timeout = webshocket::detail::bounded_timeout(config.ping_timeout),
          .close_timeout = webshocket::detail::bounded_timeout(config.close_timeout),
          .compression = config.compression};
}

shards::Form form_of(const ClientConfig& config) noexcept {
  switch (config.format) {
    case Format::msgpack:
      return shards::Form::msgpack;
    case Format::json:
      return config.json_in_binary ? shards::Form::json_binary : shards::Form::json_text;
    case Format::raw:
      break;
  }
  return shards::Form::raw;
}

protocol::UpgradeRequestOptions request_of(const ClientConfig& config, const protocol::Uri& uri) {
  protocol::UpgradeRequestOptions request;
  request.host = uri.host_header();
  request.target = uri.target;
  switch (form_of(config)) {
    case shards::Form::msgpack:
      request.subprotocols.emplace_back(protocol::kMsgpackSubprotocol);
      break;
    case shards::Form::json_text:
      request.subprotocols.emplace_back(protocol::kJsonSubprotocol);
      break;
    case shards::Form::json_binary:
      break;
    default:  // raw
      request.subprotocols = config.subprotocols;
      break;
  }
  if (!uri.userinfo.empty()) {
    request.headers.push_back({"Authorization", protocol::basic_credentials(uri.userinfo)});
  }
  for (const auto& [name, value] : config.headers) request.headers.push_back({name, value});
  return request;
}

std::optional<shards::SocketAddress> local_of(const ClientConfig& config) {
  if (config.local_address.empty()) return std::nullopt;
  return shards::SocketAddress::parse(config.local_address, 0);
}

}  // namespace webshocket::engine
