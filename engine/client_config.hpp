/// A client's settings, checked, and what the rooms below make of them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <webshocket/client_config.hpp>

#include "protocol/handshake.hpp"
#include "protocol/uri.hpp"
#include "shards/endpoint.hpp"
#include "shards/message.hpp"
#include "shards/resolver.hpp"

namespace webshocket::engine {

/// Throws `UsageError` that names the field and its value.
void check(const ClientConfig& config);
void check(const Retry& retry, std::string_view name);

/// Throws `InvalidUriError`.
protocol::Uri checked_uri(std::string_view text);
/// A URI that has been checked, without its user's name and password, for logs and errors.
std::string without_userinfo(std::string_view uri);

shards::EndpointRules rules_of(const ClientConfig& config) noexcept;
shards::Form form_of(const ClientConfig& config) noexcept;
protocol::UpgradeRequestOptions request_of(const ClientConfig& config, const protocol::Uri& uri);
/// REQUIRES: checked.
std::optional<shards::SocketAddress> local_of(const ClientConfig& config);

}  // namespace webshocket::engine
