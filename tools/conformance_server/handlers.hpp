/// The handlers that every kind of test drives.
#pragma once

#include <webshocket/webshocket.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace conformance {

/// The methods of the conformance server, on every path but the raw ones. Below `/raw/sub/` and
/// `/raw/pub/` the rest of the path, as it is sent, names the channel that a raw connection
/// subscribes to or publishes to; a name that is empty or a pattern is refused with 400.
class Conformance : public webshocket::Handler {
 public:
  Conformance();

  webshocket::Upgrade on_upgrade(const webshocket::UpgradeRequest& request) override;
  void on_connect(webshocket::Connection& connection) override;
  void on_message(webshocket::Connection& connection, std::span<const std::byte> message,
                  webshocket::Opcode opcode) override;
  void on_receive(webshocket::Connection& connection, const webshocket::Packet& packet) override;

 private:
  webshocket::Task<std::string> sleep(webshocket::Connection& connection, std::int64_t ms);
  void login(webshocket::Connection& connection, std::string name);
  void grant(webshocket::Connection& connection, std::string role);
  std::string whoami(webshocket::Connection& connection);
  bool join(webshocket::Connection& connection, std::string channel);
  void leave(webshocket::Connection& connection, std::string channel);
  std::vector<std::string> list_channels(webshocket::Connection& connection);
  void publish_to(webshocket::Connection& connection, std::string channel, webshocket::Value data,
                  bool exclude_self);
  void publish_role(std::string channel, webshocket::Value data, std::string role);
  void broadcast_all(webshocket::Connection& connection, webshocket::Value data, bool exclude_self);
  webshocket::Stream<std::int64_t> count(webshocket::Connection& connection, std::int64_t n);
  void kick(webshocket::Connection& connection);
};

/// Each message goes back as it came.
class RawEcho : public webshocket::Handler {
 public:
  void on_message(webshocket::Connection& connection, std::span<const std::byte> message,
                  webshocket::Opcode opcode) override;
};

/// Where `/raw/pub` publishes to.
class RawSubscriber : public webshocket::Handler {
 public:
  void on_connect(webshocket::Connection& connection) override;
};

class RawPublisher : public webshocket::Handler {
 public:
  void on_message(webshocket::Connection& connection, std::span<const std::byte> message,
                  webshocket::Opcode opcode) override;
};

}  // namespace conformance
