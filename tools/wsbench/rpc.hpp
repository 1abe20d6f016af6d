/// Calls of the method `add` by the wire protocol of webshocket.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "exchange.hpp"

namespace wsbench {

struct RpcOptions {
  ExchangeOptions exchange;
  std::string format = "msgpack";  ///< or "json"
  std::string path;                ///< empty: where the URI leads
  std::string method = "add";      ///< of two integers
};

std::unique_ptr<Measurement> make_rpc(const RpcOptions& options, ServerProcess& server,
                                      Progress& progress);

}  // namespace wsbench
