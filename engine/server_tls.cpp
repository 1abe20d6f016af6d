#include "engine/server_tls.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "engine/checks.hpp"
#include "shards/tls_context.hpp"

namespace webshocket::engine {
namespace {

constexpr Checks kCheck("Config");

std::string field_of(std::size_t listener) {
  return "listeners[" + std::to_string(listener) + "].tls";
}

void check(const ServerTls& tls, const std::string& field) {
  constexpr std::chrono::hours kLongest{7 * 24};  // RFC 8446, 4.6.1
  if (tls.ticket_lifetime.count() < 0 || tls.ticket_lifetime > kLongest) {
    kCheck.refuse(field + ".ticket_lifetime", std::to_string(tls.ticket_lifetime.count()) + " s",
                  "between 0 and seven days");
  }
  // Who thinks that clients are asked who they are must not be wrong.
  if (!tls.client_ca_file.empty() && tls.certificates.empty()) {
    kCheck.refuse(field + ".client_ca_file", quoted(tls.client_ca_file),
                  "without certificates there is no TLS");
  }
  if (tls.client_certificate_optional && tls.client_ca_file.empty()) {
    kCheck.refuse(field + ".client_certificate_optional", "true",
                  "without client_ca_file no client is asked for one");
  }
}

}  // namespace

void check_tls(const Config& config) {
  check(config.tls, "tls");
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    check(config.listeners[i].tls, field_of(i));
  }
  if (!config.tls.certificates.empty() && !config.listeners.empty()) {
    kCheck.refuse("tls.certificates", quoted(config.tls.certificates.front().certificate_file),
                  "is for host and port; with listeners, each has a tls of its own");
  }
}

std::shared_ptr<shards::TlsTickets> tickets_of(const Config& config) {
  std::chrono::seconds period{0};
  for (const Listener& listener : config.listeners) {
    period = std::max(period, listener.tls.ticket_lifetime);
  }
  return std::make_shared<shards::TlsTickets>(period);
}

shards::TlsTable::List read_tls(const Config& config,
                                const std::shared_ptr<shards::TlsTickets>& tickets) {
  shards::TlsTable::List list;
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    const ServerTls& tls = config.listeners[i].tls;
    const bool is_of_all = !config.tls.certificates.empty();
    const std::string field = "Config::" + (is_of_all ? "tls" : field_of(i));
    list.push_back(tls.certificates.empty()
                       ? nullptr
                       : std::make_shared<const shards::TlsContext>(tls, field, tickets));
  }
  return list;
}

}  // namespace webshocket::engine
