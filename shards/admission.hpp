/// Whom a server believes, and whom it lets in: its settings, parsed.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <webshocket/config.hpp>

#include "protocol/address.hpp"
#include "protocol/http.hpp"
#include "protocol/network.hpp"
#include "protocol/origin.hpp"

namespace webshocket::shards {

class Admission {
 public:
  /// What cannot be parsed is left out: the engine has refused it before.
  explicit Admission(const Config& config);

  const protocol::Networks& trusted_proxies() const noexcept { return trusted_; }
  /// Whom the request is from, when it comes from `peer`.
  protocol::Address client_of(const protocol::HttpHead& head,
                              const protocol::Address& peer) const noexcept;
  /// 421, or nothing if its Host is a name of ours.
  std::optional<protocol::HttpError> refuse_host(const protocol::HttpHead& head) const;
  /// Of an upgrade: 403, or nothing if its Origin may open a WebSocket here.
  std::optional<protocol::HttpError> refuse_origin(const protocol::HttpHead& head) const;

 private:
  protocol::Networks trusted_;
  std::string forwarded_header_;
  std::size_t max_forwarded_hops_;
  std::vector<protocol::OriginPattern> origins_;
  std::vector<protocol::HostPattern> hosts_;
};

}  // namespace webshocket::shards
