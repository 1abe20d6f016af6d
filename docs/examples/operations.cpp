// A server as one would run it: limits, a log, health, numbers. Runs for a moment and ends.

#include <webshocket/webshocket.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace ws = webshocket;
using namespace std::chrono_literals;

class Rooms : public ws::Handler {
 public:
  Rooms() {
    rpc("ping", [] { return "pong"; });
  }
};

class Game : public ws::Handler {};

void log_line(ws::LogLevel level, std::string_view text) {  // called on several threads at once
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  if (level >= ws::LogLevel::warning) std::cerr << text << '\n';
}

/// Sockets that systemd holds, so that a restart refuses nobody; else our own.
std::vector<ws::Listener> listeners() {
  std::vector<ws::Listener> list;
  for (const ws::PassedSocket& passed : ws::systemd_sockets()) {
    ws::Listener listener;
    listener.fd = passed.fd;
    list.push_back(listener);
  }
  if (list.empty()) list.emplace_back();
  return list;
}

int main() {
  ws::Config config;
  config.listeners = listeners();
  ws::Listener local;
  local.unix_path = "/tmp/webshocket-operations-example.sock";  // for a proxy on this machine
  config.listeners.push_back(local);
  config.shards = 2;
  config.max_connections = 20'000;
  config.max_message = 64 * 1024;
  config.outbox_limit = 256 * 1024;
  config.outbox_low_mark = 32 * 1024;
  config.channel_outboxes = {{"prices.*", {ws::OutboxPolicy::conflate, 64 * 1024}}};
  config.drain_timeout = 5s;
  config.log = log_line;

  ws::Server server(config, ws::per_shard<Rooms>());
  server.route("/game", ws::per_shard<Game>());  // a handler of its own for one path
  server.on_http("GET", "/health", [&](const ws::HttpRequest&) {
    if (server.is_ready()) return ws::HttpResponse{.body = "ok\n"};
    return ws::HttpResponse{.status = 503, .body = "going away\n"};
  });
  server.on_http("GET", "/numbers", [&](const ws::HttpRequest&) {
    const ws::Stats stats = server.stats();
    ws::HttpResponse response;
    response.body = ws::to_json(ws::map("connections", stats.total.connections, "slow_consumers",
                                        stats.total.slow_consumers, "refused", stats.refused));
    response.content_type = "application/json";
    return response;
  });
  server.start();
  for (const std::string& address : server.addresses()) std::cout << address << '\n';

  const ws::Stats stats = server.stats();
  for (const auto& shard : stats.shards) std::cout << shard.connections << " connections\n";

  server.close();  // drains: answers, then CLOSE 1001, all within drain_timeout
  return server.state() == ws::ServerState::closed && stats.shards.size() == 2 ? EXIT_SUCCESS
                                                                               : EXIT_FAILURE;
}
