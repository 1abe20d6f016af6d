#include "server.hpp"

#include <unistd.h>
#include <webshocket/webshocket.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "machine.hpp"
#include "numbers.hpp"
#include "plan.hpp"

namespace wssoak {
namespace {

namespace ws = webshocket;

using Count = std::atomic<std::uint64_t>;

/// What the handlers of all shards count, independently of the engine.
struct Counts {
  Count connects = 0;
  Count disconnects = 0;
  Count calls_begun = 0;
  Count calls_answered = 0;
  Count calls_failed = 0;
  Count calls_cancelled = 0;
  Count publishes = 0;
  Count publishes_refused = 0;
  Count told_dropped = 0;  ///< messages, by `on_dropped`
  Count log_errors = 0;
  Count log_warnings = 0;
};

constexpr std::string_view kChannel = "channel";
constexpr std::string_view kPublishes = "publishes";
constexpr std::string_view kMember = "member";

class Soaked : public ws::Handler {
 public:
  explicit Soaked(Counts& counts) : counts_(counts) {
    rpc("add", [](std::int64_t a, std::int64_t b) { return a + b; });
    rpc("echo", [](ws::Value x) { return x; });
    rpc("join", [](ws::Connection& connection, std::vector<std::string> channels) {
      return connection.subscribe(channels);
    });
    rpc("leave", [](ws::Connection& connection) {
      const auto channels = connection.subscriptions();
      connection.unsubscribe(channels);
      return channels.size();
    });
    rpc("become_member", [](ws::Connection& connection) { connection[kMember] = true; });
    rpc("publish", [this](std::string_view channel, std::string_view text, std::string_view key) {
      return publish_text(channel, text, key);
    });
    rpc("broadcast", [this](std::string_view text) {
      counts_.publishes.fetch_add(1, std::memory_order_relaxed);
      return broadcast(text, ws::Is(std::string(kMember)));
    });
    rpc("count", &Soaked::count);
    rpc("sleep", &Soaked::sleep);
  }

  ws::Upgrade on_upgrade(const ws::UpgradeRequest& request) override {
    for (const std::string_view prefix : {kRawSubscriber, kRawMember, kRawPublisher}) {
      if (!request.path.starts_with(prefix)) continue;
      ws::Upgrade raw = ws::Upgrade::accept().raw().session(std::string(kChannel),
                                                            request.path.substr(prefix.size()));
      if (prefix == kRawMember) raw = std::move(raw).session(std::string(kMember), true);
      if (prefix == kRawPublisher) raw = std::move(raw).session(std::string(kPublishes), true);
      return raw;
    }
    return ws::Upgrade::accept();
  }

  void on_connect(ws::Connection& connection) override {
    counts_.connects.fetch_add(1, std::memory_order_relaxed);
    if (connection.format() == ws::Format::raw && connection.find(kPublishes) == nullptr) {
      connection.subscribe(channel_of(connection));
    }
  }

  void on_disconnect(ws::Connection&) override {
    counts_.disconnects.fetch_add(1, std::memory_order_relaxed);
  }

  void on_message(ws::Connection& connection, std::span<const std::byte> message,
                  ws::Opcode) override {
    const std::string_view text(reinterpret_cast<const char*>(message.data()), message.size());
    if (connection.find(kPublishes) != nullptr) {
      publish_text(channel_of(connection), text, {});
    } else if (text == kLeave) {
      connection.unsubscribe(channel_of(connection));
      connection.send(kLeft);
    }
  }

  void on_dropped(ws::Connection&, const ws::Dropped& dropped) override {
    counts_.told_dropped.fetch_add(dropped.messages(), std::memory_order_relaxed);
  }

  ws::RpcDecision before_rpc(const ws::RpcCall&) override {
    counts_.calls_begun.fetch_add(1, std::memory_order_relaxed);
    return ws::RpcDecision::proceed();
  }

  void after_rpc(const ws::RpcCall&, const ws::RpcOutcome& outcome) override {
    Count& count = outcome.cancelled ? counts_.calls_cancelled
                   : outcome.error   ? counts_.calls_failed
                                     : counts_.calls_answered;
    count.fetch_add(1, std::memory_order_relaxed);
  }

 private:
  static const std::string& channel_of(const ws::Connection& connection) {
    return *connection.find(kChannel)->get<std::string>();
  }

  bool publish_text(std::string_view channel, std::string_view text, std::string_view key) {
    ws::PublishOptions options;
    options.key = key;
    if (text.size() > kLargestCompressed) options.compress = ws::Compress::never;
    const bool published = publish(channel, text, options);
    (published ? counts_.publishes : counts_.publishes_refused)
        .fetch_add(1, std::memory_order_relaxed);
    return published;
  }

  ws::Stream<std::int64_t> count(ws::Connection&, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) co_yield i;
  }

  ws::Task<void> sleep(ws::Connection&, std::int64_t ms) {
    co_await ws::sleep_for(std::chrono::milliseconds(ms));
  }

  Counts& counts_;
};

ws::Config config_of(const ServeOptions& options, Counts& counts) {
  ws::Config config;
  ws::Listener plain;
  plain.port = options.port;
  ws::Listener secure;
  secure.tls.certificates = {{.certificate_file = options.certificate, .key_file = {}}};
  config.listeners = {plain, secure};
  config.shards = options.shards;
  config.compression.enabled = true;
  config.max_subscribed_channels = 16;
  for (const auto& [name, policy] : kSlowChannels) {
    config.channel_outboxes.push_back({name, {policy, kSlowLimit}});
  }
  config.log = [&counts](ws::LogLevel level, std::string_view text) {
    if (level < ws::LogLevel::warning) return;
    (level == ws::LogLevel::error ? counts.log_errors : counts.log_warnings)
        .fetch_add(1, std::memory_order_relaxed);
    if (level == ws::LogLevel::error) std::cerr << "server: " + std::string(text) + "\n";
  };
  return config;
}

/// Of "127.0.0.1:5000".
std::uint64_t port_of(const std::string& address) {
  return std::stoull(address.substr(address.rfind(':') + 1));
}

Numbers all_numbers(const ws::Server& server, const Counts& counts) {
  Numbers numbers = numbers_of(server.stats());
  numbers["connects"] = counts.connects;
  numbers["disconnects"] = counts.disconnects;
  // The ends first, so that never more calls have ended than begun.
  numbers["calls_answered"] = counts.calls_answered;
  numbers["calls_failed"] = counts.calls_failed;
  numbers["calls_cancelled"] = counts.calls_cancelled;
  numbers["calls_begun"] = counts.calls_begun;
  numbers["calls_open"] = numbers["calls_begun"] - numbers["calls_answered"] -
                          numbers["calls_failed"] - numbers["calls_cancelled"];
  numbers["publishes"] = counts.publishes;
  numbers["publishes_refused"] = counts.publishes_refused;
  numbers["told_dropped"] = counts.told_dropped;
  numbers["log_errors"] = counts.log_errors;
  numbers["log_warnings"] = counts.log_warnings;
  --numbers["handshakes_pending"];  // who asks for this is no client
  numbers["heap_bytes"] = own_heap_bytes();
  numbers["tls_port"] = port_of(server.addresses().at(1));
  return numbers;
}

}  // namespace

void serve(const ServeOptions& options) {
  // A terminal's SIGINT is for the soak, which tells us to end when it has its report.
  ::setpgid(0, 0);
  Counts counts;
  ws::Server server(config_of(options, counts), ws::per_shard<Soaked>(std::ref(counts)));
  server.on_http("GET", "/stats", [&](const ws::HttpRequest&) {
    ws::HttpResponse response;
    response.body = json_of(all_numbers(server, counts));
    response.content_type = "application/json";
    return response;
  });
  server.serve_forever();
}

}  // namespace wssoak
