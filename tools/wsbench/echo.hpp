/// Messages that come back as they went.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "exchange.hpp"

namespace wsbench {

struct EchoOptions {
  ExchangeOptions exchange;
  std::size_t size = 64;
  std::string path;  ///< empty: /raw/echo, or where the URI leads
  std::string subprotocol;
  bool text = false;
};

std::unique_ptr<Measurement> make_echo(const EchoOptions& options, ServerProcess& server,
                                       Progress& progress);

}  // namespace wsbench
