// The server that tests of every kind drive: its command line and its methods are fixed.

#include <CLI/CLI.hpp>
#include <webshocket/webshocket.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "handlers.hpp"

namespace ws = webshocket;

namespace {

struct Options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  int listen_fd = -1;
  std::size_t shards = 0;
  std::vector<unsigned> cpus;
  std::size_t max_connection = 0;
  std::size_t max_subscribed_channels = 5;
  std::size_t packet_limit = 16 * 1024 * 1024;
  std::int64_t tick = 0;
  std::size_t outbox_limit = ws::Config().outbox_limit;
  ws::OutboxPolicy outbox_policy = ws::OutboxPolicy::disconnect;
  std::int64_t drain_timeout = 10'000;
  std::int64_t reconnect_hint = 0;
  bool raw_echo = false;
  bool deflate = false;
  bool deflate_context = false;
  ws::TlsCertificate certificate;
  std::string client_ca;
};

constexpr const char* kRawEchoPath = "/raw/echo";
constexpr const char* kRawSubscriberPath = "/raw/sub";
constexpr const char* kRawPublisherPath = "/raw/pub";

ws::Config config_of(const Options& options) {
  ws::Config config;
  config.host = options.host;
  config.port = options.port;
  config.shards = options.shards;
  config.cpus = options.cpus;
  config.max_connections = options.max_connection;
  config.max_subscribed_channels = options.max_subscribed_channels;
  config.max_message = options.packet_limit;
  config.max_elements = 0;
  config.max_channel_name = 16 * 1024;
  config.outbox_limit = 256 * 1024 * 1024;
  config.outbox_total_limit = 2048UL * 1024 * 1024;
  config.inbox_limit = 1024UL * 1024 * 1024;
  config.inbound_total_limit = 1024UL * 1024 * 1024;
  config.max_pending_handshakes = 0;
  config.expose_errors = true;
  config.drain_timeout = std::chrono::milliseconds(options.drain_timeout);
  config.reconnect_hint = std::chrono::milliseconds(options.reconnect_hint);
  config.tick = std::chrono::milliseconds(options.tick);
  config.compression = {.enabled = options.deflate || options.deflate_context,
                        .threshold = 0,
                        .context = options.deflate_context,
                        .peer_context = options.deflate_context};
  if (!options.certificate.certificate_file.empty()) {
    config.tls.certificates = {options.certificate};
    config.tls.client_ca_file = options.client_ca;
    config.reload_tls_on_hangup = true;
  }
  config.outbox_limit = options.outbox_limit;
  config.outbox_policy = options.outbox_policy;
  config.outbox_low_mark = std::min(config.outbox_low_mark, options.outbox_limit);
  if (options.listen_fd >= 0) config.listeners = {{.tls = config.tls, .fd = options.listen_fd}};
  config.allowed_origins = {"*"};
  config.raw_paths = {kRawEchoPath, kRawSubscriberPath, kRawPublisherPath};
  config.log = [](ws::LogLevel level, std::string_view text) {
    if (level == ws::LogLevel::error) std::cerr << std::string(text) + "\n";
  };
  return config;
}

void serve(ws::Server& server, const Options& options) {
  server.start();
  server.serve_forever(
      [&] { std::cout << "listening on " << options.host << ":" << server.port() << std::endl; });
}

/// Every connection is raw, whatever its path.
class AnyPathEcho : public conformance::RawEcho {
 public:
  ws::Upgrade on_upgrade(const ws::UpgradeRequest&) override { return ws::Upgrade::accept().raw(); }
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"The server that webshocket's conformance tests drive."};
  app.add_option("--port", options.port, "0 takes any free port")->required();
  app.add_option("--listen-fd", options.listen_fd, "an open socket that listens, instead");
  app.add_option("--host", options.host)->capture_default_str();
  app.add_option("--shards", options.shards, "event loops; 0: one per core");
  app.add_option("--cpus", options.cpus, "where shards run, in turn")->delimiter(',');
  app.add_option("--max-connection", options.max_connection, "0: unlimited");
  app.add_option("--max-subscribed-channels", options.max_subscribed_channels, "0: unlimited")
      ->capture_default_str();
  app.add_option("--packet-limit", options.packet_limit, "bytes of one message")
      ->capture_default_str();
  app.add_option("--tick", options.tick, "ms that publishes wait to leave together");
  app.add_option("--outbox-limit", options.outbox_limit, "bytes that may wait for a slow reader")
      ->capture_default_str();
  app.add_option("--outbox-policy", options.outbox_policy, "and what happens beyond")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, ws::OutboxPolicy>{{"disconnect", ws::OutboxPolicy::disconnect},
                                                  {"drop-new", ws::OutboxPolicy::drop_new},
                                                  {"drop-old", ws::OutboxPolicy::drop_old},
                                                  {"conflate", ws::OutboxPolicy::conflate}}));
  app.add_option("--drain-timeout", options.drain_timeout, "ms for the end")->capture_default_str();
  app.add_option("--reconnect-hint", options.reconnect_hint, "ms over which clients come back");
  auto* certificate =
      app.add_option("--cert", options.certificate.certificate_file, "PEM: serve wss://");
  app.add_option("--key", options.certificate.key_file, "PEM; without it, in --cert")
      ->needs(certificate);
  app.add_option("--client-ca", options.client_ca, "PEM: clients must have a certificate of these")
      ->needs(certificate);
  app.add_flag("--raw-echo", options.raw_echo, "no packets: messages go back as they came");
  app.add_flag("--deflate", options.deflate, "permessage-deflate, without contexts");
  app.add_flag("--deflate-context", options.deflate_context, "and with them");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    if (options.raw_echo) {
      ws::Server server(config_of(options), ws::per_shard<AnyPathEcho>());
      serve(server, options);
    } else {
      ws::Server server(config_of(options), ws::per_shard<conformance::Conformance>());
      server.route(kRawEchoPath, ws::per_shard<conformance::RawEcho>());
      server.route(kRawSubscriberPath, ws::per_shard<conformance::RawSubscriber>());
      server.route(kRawPublisherPath, ws::per_shard<conformance::RawPublisher>());
      serve(server, options);
    }
  } catch (const ws::UsageError& error) {
    std::cerr << "conformance_server: " << error.what() << "\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "conformance_server: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
