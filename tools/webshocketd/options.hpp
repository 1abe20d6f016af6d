/// What webshocketd is told: by its command line, and for what that leaves open by a TOML file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace webshocketd {

struct Options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 9300;       ///< 0: any free one
  std::size_t shards = 0;          ///< 0: one per core
  std::string web;                 ///< folder of the pages; empty: those inside the program
  std::string cert;                ///< PEM file; empty: http:// and ws://
  std::string key;                 ///< PEM file; empty: in cert
  std::string client_ca;           ///< PEM file; set: only who has a certificate of these gets in
  std::string log_level = "info";  ///< debug, info, warning, error, off

  // As in webshocket::Config.
  std::vector<unsigned> cpus;
  std::vector<std::string> allowed_origins;
  std::vector<std::string> allowed_hosts;
  std::vector<std::string> trusted_proxies;
  std::string forwarded_header = "X-Forwarded-For";
  bool proxy_protocol = false;
};

/// The options; or the exit status, once help or a complaint has been printed.
std::variant<Options, int> parse_options(int argc, const char* const* argv);

}  // namespace webshocketd
