// Starts a server on a free port and stops it: enough to need every room at link time.

#include <webshocket/webshocket.hpp>

#include <iostream>
#include <string>

namespace ws = webshocket;

class Greeter : public ws::Handler {
 public:
  Greeter() { rpc("greet", &Greeter::greet).params("name"); }

 private:
  std::string greet(ws::Connection&, std::string name) { return "hello, " + name; }
};

int main() {
  ws::Server server({.host = "127.0.0.1", .port = 0, .shards = 2}, ws::per_shard<Greeter>());
  server.start();
  const int port = server.port();
  server.close();
  std::cout << "served on port " << port << '\n';
  return port != 0 ? 0 : 1;
}
