/// What a client says of the end of its connection.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include <webshocket/error.hpp>

#include "shards/client_connection.hpp"

namespace webshocket::engine {

inline constexpr std::string_view kLeaving = "Client is closing the connection.";

inline std::string describe(const shards::ClientEnding& ending) {
  if (ending.code == CloseCode::abnormal) return "the connection was lost";
  std::string text =
      "the connection was closed with " + std::to_string(static_cast<int>(ending.code));
  if (!ending.reason.empty()) text += ": " + ending.reason;
  return text;
}

inline std::exception_ptr closed(const std::string& text) {
  return std::make_exception_ptr(ConnectionClosedError(text));
}

}  // namespace webshocket::engine
