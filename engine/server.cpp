// The public face: everything is the engine's.

#include <webshocket/server.hpp>

#include <utility>

#include <webshocket/error.hpp>

#include "api/describe.hpp"
#include "api/pull.hpp"
#include "engine/checks.hpp"
#include "engine/engine.hpp"

namespace webshocket {
namespace {

std::string checked_path(std::string path, const char* what) {
  if (const auto wrong = engine::wrong_with_path(path); !wrong.empty()) {
    throw UsageError(std::string(what) + "(\"" + path + "\"): " + std::string(wrong));
  }
  return path;
}

void check_source(const Packet& packet, PacketSource wanted, const char* what) {
  if (packet.source != wanted) {
    throw PacketError(std::string(what) + "() takes packets of the source " +
                      (wanted == PacketSource::channel ? "channel" : "broadcast"));
  }
}

Task<void> register_on_pool(engine::Engine& engine, std::string name,
                            std::function<RpcMethod()> make, std::size_t route) {
  auto work = [&] {
    engine.run_on_shards([&](shards::Shard& shard) { shard.handler(route).rpc(name, make()); });
  };
  co_await offload(work);
}

}  // namespace

Server::Server(Config config) : Server(std::move(config), per_shard<QueueHandler>()) {}

Server::Server(Config config, HandlerFactory factory)
    : engine_(std::make_shared<engine::Engine>(std::move(config), std::move(factory))) {}

Server::~Server() = default;

// --- before start -------------------------------------------------------------------------------

void Server::route(std::string path, HandlerFactory factory) {
  auto& site = engine_->site_before_start("route()");
  path = checked_path(std::move(path), "route");
  if (!factory) throw UsageError("route(\"" + path + "\"): no handler factory");
  if (site.route_of(path) != 0)
    throw UsageError("route(\"" + path + "\"): it has a handler already");
  site.routes.push_back({std::move(path), std::move(factory)});
}

void Server::on_http(std::string method, std::string path, HttpHandler handler) {
  auto& site = engine_->site_before_start("on_http()");
  path = checked_path(std::move(path), "on_http");
  if (method.empty()) throw UsageError("on_http(): no method");
  if (!handler) throw UsageError("on_http(\"" + path + "\"): no handler");
  site.http.push_back({std::move(method), std::move(path), std::move(handler)});
}

void Server::serve_files(std::string prefix, std::string folder) {
  auto& site = engine_->site_before_start("serve_files()");
  site.folders.push_back({checked_path(std::move(prefix), "serve_files"), std::move(folder)});
}

// --- lifecycle ----------------------------------------------------------------------------------

void Server::start() { engine_->start(); }
void Server::serve_forever(const std::function<void()>& ready) { engine_->serve_forever(ready); }
void Server::close() { engine_->close(); }
void Server::reload_tls() { engine_->reload_tls(); }
bool Server::is_ready() const noexcept { return engine_->is_ready(); }
ServerState Server::state() const noexcept { return engine_->state(); }
const Config& Server::config() const noexcept { return engine_->config(); }
std::uint16_t Server::port() const noexcept { return engine_->port(); }
std::vector<std::string> Server::addresses() const { return engine_->addresses(); }

// --- sending ------------------------------------------------------------------------------------

bool Server::publish(const Names& channels, Payload data, const Predicate& predicate) {
  return engine_->publish(channels.list(), {data}, predicate);
}

bool Server::publish(const Names& channels, Payload data, const PublishOptions& options) {
  return engine_->publish(channels.list(), {data, nullptr, options.compress, options.key},
                          options.combined());
}

bool Server::publish(const Names& channels, const Packet& packet, const Predicate& predicate) {
  check_source(packet, PacketSource::channel, "publish");
  return engine_->publish(channels.list(), {nullptr, &packet}, predicate);
}

bool Server::broadcast(Payload data, const Predicate& predicate) {
  return engine_->broadcast({data}, predicate);
}

bool Server::broadcast(Payload data, const PublishOptions& options) {
  return engine_->broadcast({data, nullptr, options.compress, options.key}, options.combined());
}

bool Server::broadcast(const Packet& packet, const Predicate& predicate) {
  check_source(packet, PacketSource::broadcast, "broadcast");
  return engine_->broadcast({nullptr, &packet}, predicate);
}

// --- asking -------------------------------------------------------------------------------------

std::size_t Server::client_count() const noexcept { return engine_->site().connections.used(); }
Stats Server::stats() const { return engine_->stats(); }

std::string Server::describe() {
  detail::Description description;
  engine_->run_on_any_shard([&](shards::Shard& shard) {
    const auto& routes = engine_->site().routes;
    for (std::size_t i = 0; i < routes.size(); ++i) {
      description.routes.push_back(
          {routes[i].path, Document::of(detail::MethodList(shard.handler(i)))});
    }
  });
  return to_json(description);
}

PullConnection Server::accept(std::chrono::milliseconds timeout) {
  engine_->check_can_accept();
  if (detail::Hub::current() != nullptr) {
    throw UsageError("accept() would block a shard's thread: co_await accept_async() there");
  }
  return engine_->site().accept_queue->accept(timeout);
}

Task<PullConnection> Server::accept_async(std::chrono::milliseconds timeout) {
  engine_->check_can_accept();
  return detail::AcceptQueue::accept_async(engine_->site().accept_queue, timeout);
}

void Server::register_rpc(std::string name, std::function<RpcMethod()> make,
                          std::string_view route) {
  const std::size_t index = engine_->route_of(route);
  if (engine_->register_before_start(index, name, make)) return;
  engine_->run_on_shards([&](shards::Shard& shard) { shard.handler(index).rpc(name, make()); });
}

Task<void> Server::register_rpc_async(std::string name, std::function<RpcMethod()> make,
                                      std::string_view route) {
  return register_on_pool(*engine_, std::move(name), std::move(make), engine_->route_of(route));
}

}  // namespace webshocket
