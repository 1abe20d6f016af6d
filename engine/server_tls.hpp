/// Where a server's listeners get their TLS from.
#pragma once

#include <memory>
#include <string>

#include <webshocket/config.hpp>

#include "shards/tls_table.hpp"
#include "shards/tls_tickets.hpp"

namespace webshocket::engine {

/// Throws `UsageError` that names what does not go together. Looks at no file.
void check_tls(const Config& config);

/// The keys that all listeners share, and that outlive each reading of their files.
std::shared_ptr<shards::TlsTickets> tickets_of(const Config& config);

/// Reads the files of every listener. Throws `UsageError` that names the field and the file which
/// cannot be used.
shards::TlsTable::List read_tls(const Config& config,
                                const std::shared_ptr<shards::TlsTickets>& tickets);

}  // namespace webshocket::engine
