/// Where clients get their TLS from.
#pragma once

#include <memory>

#include <webshocket/client_config.hpp>

#include "shards/tls_context.hpp"

namespace webshocket::engine {

/// Reads the files, unless a client lives for whom the same files have been read already: however
/// many clients there are, and whether they share a configuration or have a copy each, the
/// authorities are in memory once. Any thread. Throws `UsageError` as `TlsContext` does.
std::shared_ptr<const shards::TlsContext> tls_of(const ClientTls& settings);

}  // namespace webshocket::engine
