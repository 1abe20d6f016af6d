/// Raw connections: each message goes back as it came.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include <webshocket/handler.hpp>
#include <webshocket/upgrade.hpp>

namespace webshocket::test {

inline void echo(Connection& connection, std::span<const std::byte> message, Opcode opcode) {
  if (opcode == Opcode::text) {
    connection.send(
        std::string_view(reinterpret_cast<const char*>(message.data()), message.size()));
  } else {
    connection.send(message);
  }
}

/// On every path.
class RawEcho : public Handler {
 public:
  Upgrade on_upgrade(const UpgradeRequest&) override { return Upgrade::accept().raw(); }
  void on_message(Connection& connection, std::span<const std::byte> message,
                  Opcode opcode) override {
    echo(connection, message, opcode);
  }
};

}  // namespace webshocket::test
