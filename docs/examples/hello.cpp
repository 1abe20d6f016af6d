// The smallest server that does something. Listens on port 5000, or on the port that is given.

#include <webshocket/webshocket.hpp>

#include <iostream>
#include <string>

namespace ws = webshocket;

class Hello : public ws::Handler {
 public:
  Hello() { rpc("greet", &Hello::greet).params("name"); }

  void on_receive(ws::Connection& conn, const ws::Packet& packet) override {
    conn.send(packet.data);  // whatever is no call comes here; this one echoes it
  }

 private:
  std::string greet(ws::Connection&, std::string name) { return "hello, " + name; }
};

int main(int argc, char** argv) {
  ws::Config config;
  config.port = static_cast<std::uint16_t>(argc > 1 ? std::stoi(argv[1]) : 5000);
  config.log = [](ws::LogLevel, std::string_view text) { std::cerr << text << '\n'; };

  ws::Server server(config, ws::per_shard<Hello>());
  server.start();  // listening from here on, or it throws and says why
  std::cout << "listening on port " << server.port() << std::endl;
  server.serve_forever();  // until SIGINT or SIGTERM
}
