#include "handlers.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace ws = webshocket;
using namespace std::chrono_literals;

namespace conformance {
namespace {

constexpr std::string_view kRawChannel = "raw";

// What a raw connection of a named channel is for: keys of its session, the values are the name.
constexpr std::string_view kSubscribes = "raw subscribes";
constexpr std::string_view kPublishes = "raw publishes";

struct Named {
  std::string_view prefix;
  std::string_view session_key;
};
constexpr Named kNamed[] = {{"/raw/sub/", kSubscribes}, {"/raw/pub/", kPublishes}};

const std::string* raw_channel(const ws::Connection& connection, std::string_view session_key) {
  const ws::Scalar* name = connection.find(session_key);
  return name != nullptr ? name->get<std::string>() : nullptr;
}

/// Whom the broadcasts of this handler are for.
constexpr auto kSpeaksPackets = [](const ws::Connection& connection) {
  return connection.format() != ws::Format::raw;
};

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<std::byte> blob(std::int64_t n) {
  constexpr std::int64_t kLargest = 64 * 1024 * 1024;
  if (n < 0 || n > kLargest) throw ws::RpcError("n must be between 0 and 64 MiB");
  std::vector<std::byte> bytes(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i % 251);
  return bytes;
}

std::int64_t add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) throw ws::RpcError("the sum does not fit in 64 bits");
  return sum;
}

/// As it came: text or bytes.
void publish_raw(ws::Handler& from, std::string_view channel, std::span<const std::byte> message,
                 ws::Opcode opcode) {
  if (opcode == ws::Opcode::text) {
    from.publish(channel, as_text(message));
  } else {
    from.publish(channel, message);
  }
}

}  // namespace

Conformance::Conformance() {
  rpc("echo", [](ws::Value x) { return x; }).params("x");
  rpc("add", &add).params("a", "b");
  rpc("sleep", &Conformance::sleep).params("ms");
  rpc("fail", [](std::string msg) { throw ws::RpcError(msg); }).params("msg");
  rpc("crash", [] { throw std::runtime_error("crashed, as asked"); });
  rpc("login", &Conformance::login).params("name");
  rpc("grant", &Conformance::grant).params("role");
  rpc("secret", [] { return std::string("classified"); }).require(ws::Is("is_admin"));
  rpc("whoami", &Conformance::whoami).require(ws::Has("username"));
  rpc("limited", [] { return std::string("ok"); }).rate_limit(3, "1m");
  rpc("limited_hard", [] { return std::string("ok"); }).rate_limit(3, "1m", {.disconnect = true});
  rpc("join", &Conformance::join).params("channel");
  rpc("leave", &Conformance::leave).params("channel");
  rpc("channels", &Conformance::list_channels);
  rpc("publish", &Conformance::publish_to).params("channel", "data", {"exclude_self", false});
  rpc("publish_role", &Conformance::publish_role).params("channel", "data", "role");
  rpc("broadcast", &Conformance::broadcast_all).params("data", {"exclude_self", false});
  rpc("count", &Conformance::count).params("n");
  rpc("kick", &Conformance::kick);
  rpc("blob", &blob).params("n");
}

ws::Upgrade Conformance::on_upgrade(const ws::UpgradeRequest& request) {
  for (const auto& [prefix, session_key] : kNamed) {
    if (!request.path.starts_with(prefix)) continue;
    std::string name = request.path.substr(prefix.size());
    if (name.empty() || name.find_first_of("*?[]") != std::string::npos) {
      return ws::Upgrade::reject(400, "The path must end in a channel's name, not a pattern.");
    }
    return ws::Upgrade::accept().raw().session(std::string(session_key), std::move(name));
  }
  return ws::Upgrade::accept();
}

void Conformance::on_connect(ws::Connection& connection) {
  if (const std::string* name = raw_channel(connection, kSubscribes)) connection.subscribe(*name);
}

void Conformance::on_message(ws::Connection& connection, std::span<const std::byte> message,
                             ws::Opcode opcode) {
  if (const std::string* name = raw_channel(connection, kPublishes)) {
    publish_raw(*this, *name, message, opcode);
  }
}

void Conformance::on_receive(ws::Connection& connection, const ws::Packet& packet) {
  connection.send(packet.data);
}

ws::Task<std::string> Conformance::sleep(ws::Connection&, std::int64_t ms) {
  co_await ws::sleep_for(std::chrono::milliseconds(std::clamp<std::int64_t>(ms, 0, 3'600'000)));
  co_return "slept";
}

void Conformance::login(ws::Connection& connection, std::string name) {
  connection["username"] = std::move(name);
}

void Conformance::grant(ws::Connection& connection, std::string role) {
  connection["is_admin"] = role == "admin";
  connection["role"] = std::move(role);
}

std::string Conformance::whoami(ws::Connection& connection) {
  return *connection.find("username")->get<std::string>();
}

bool Conformance::join(ws::Connection& connection, std::string channel) {
  return connection.subscribe(channel);
}

void Conformance::leave(ws::Connection& connection, std::string channel) {
  connection.unsubscribe(channel);
}

std::vector<std::string> Conformance::list_channels(ws::Connection& connection) {
  auto names = connection.subscriptions();
  std::ranges::sort(names);
  return names;
}

void Conformance::publish_to(ws::Connection& connection, std::string channel, ws::Value data,
                             bool exclude_self) {
  publish(channel, data, exclude_self ? ws::Except(connection) : ws::Predicate());
}

void Conformance::publish_role(std::string channel, ws::Value data, std::string role) {
  publish(channel, data, ws::IsEqual("role", std::move(role)));
}

void Conformance::broadcast_all(ws::Connection& connection, ws::Value data, bool exclude_self) {
  const ws::Predicate packets = ws::where(kSpeaksPackets);
  broadcast(data, exclude_self ? ws::All(packets, ws::Except(connection)) : packets);
}

ws::Stream<std::int64_t> Conformance::count(ws::Connection&, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) co_yield i;
}

void Conformance::kick(ws::Connection& connection) { connection.close(ws::CloseCode::normal); }

void RawEcho::on_message(ws::Connection& connection, std::span<const std::byte> message,
                         ws::Opcode opcode) {
  if (opcode == ws::Opcode::text) {
    connection.send(as_text(message));
  } else {
    connection.send(message);
  }
}

void RawSubscriber::on_connect(ws::Connection& connection) { connection.subscribe(kRawChannel); }

void RawPublisher::on_message(ws::Connection&, std::span<const std::byte> message,
                              ws::Opcode opcode) {
  publish_raw(*this, kRawChannel, message, opcode);
}

}  // namespace conformance
