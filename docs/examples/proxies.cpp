// A server behind proxies, and what web pages may do with it. Runs for a moment and ends.

#include <webshocket/webshocket.hpp>

#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>

namespace ws = webshocket;

class Rooms : public ws::Handler {
 public:
  void on_connect(ws::Connection& connection) override {
    std::cout << connection.remote_address() << " is here\n";  // the client, not the proxy
  }
};

int main() {
  ws::Config config;
  config.trusted_proxies = {"127.0.0.1", "10.0.0.0/8", "unix"};
  config.allowed_origins = {"https://example.com", "https://*.example.com"};
  config.allowed_hosts = {"chat.example.com"};

  ws::Listener http;   // for proxies that set X-Forwarded-For
  ws::Listener plain;  // for proxies that pass bytes on, and say by a PROXY header whose they are
  plain.proxy_protocol = true;
  config.listeners = {http, plain};

  ws::Server server(std::move(config), ws::per_shard<Rooms>());
  server.start();
  for (const std::string& address : server.addresses()) std::cout << address << '\n';
  server.close();
  return EXIT_SUCCESS;
}
