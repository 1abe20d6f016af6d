#include "shards/admission.hpp"

#include <string_view>
#include <utility>
#include <variant>

#include "protocol/forwarded.hpp"
#include "protocol/text.hpp"

namespace webshocket::shards {
namespace {

template <class Parsed, class Take>
void parse_each(const std::vector<std::string>& texts, Take&& take) {
  for (const std::string& text : texts) {
    auto parsed = Parsed::parse(text);
    if (auto* good = std::get_if<Parsed>(&parsed)) take(std::move(*good));
  }
}

/// A header's value as it can stand in a sentence.
std::string shown(std::string_view value) {
  constexpr std::size_t kMax = 200;
  return protocol::repair_utf8(value.substr(0, kMax)) + (value.size() > kMax ? "..." : "");
}

}  // namespace

Admission::Admission(const Config& config)
    : forwarded_header_(config.forwarded_header), max_forwarded_hops_(config.max_forwarded_hops) {
  parse_each<protocol::Network>(config.trusted_proxies,
                                [this](const auto& network) { trusted_.add(network); });
  parse_each<protocol::OriginPattern>(
      config.allowed_origins, [this](auto origin) { origins_.push_back(std::move(origin)); });
  parse_each<protocol::HostPattern>(config.allowed_hosts,
                                    [this](auto host) { hosts_.push_back(std::move(host)); });
}

protocol::Address Admission::client_of(const protocol::HttpHead& head,
                                       const protocol::Address& peer) const noexcept {
  return protocol::forwarded_for(head, peer, trusted_, {forwarded_header_, max_forwarded_hops_});
}

std::optional<protocol::HttpError> Admission::refuse_host(const protocol::HttpHead& head) const {
  const std::string* host = head.find("Host");
  if (protocol::allows_host(hosts_, host == nullptr ? std::string_view() : *host)) {
    return std::nullopt;
  }
  if (host == nullptr) return protocol::HttpError{421, "There is no Host header."};
  return protocol::HttpError{
      421, "The Host " + shown(*host) + " is no name of this server (allowed_hosts)."};
}

std::optional<protocol::HttpError> Admission::refuse_origin(const protocol::HttpHead& head) const {
  const std::string* origin = head.find("Origin");
  if (origin == nullptr) return std::nullopt;
  if (head.count("Origin") > 1) {
    return protocol::HttpError{400, "There is more than one Origin header."};
  }
  const std::string* host = head.find("Host");
  if (protocol::allows_origin(origins_, *origin, host == nullptr ? std::string_view() : *host)) {
    return std::nullopt;
  }
  std::string text = "The Origin " + shown(*origin) + " may not open a WebSocket here: ";
  if (origins_.empty() && host != nullptr)
    text += "it is not that of the Host " + shown(*host) + ", and ";
  return protocol::HttpError{403, text + "it is not in allowed_origins."};
}

}  // namespace webshocket::shards
