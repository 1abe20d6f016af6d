// permessage-deflate: on at both ends, off for one message, and what it saved.

#include <webshocket/client.hpp>
#include <webshocket/webshocket.hpp>

#include <cstdlib>
#include <iostream>
#include <string>

namespace ws = webshocket;

class News : public ws::Handler {
 public:
  News() {
    rpc("join", [](ws::Connection& conn) { return conn.subscribe("news"); });
    rpc("thumbnail", &News::thumbnail);
  }

 private:
  void thumbnail(ws::Connection& conn) {
    // Dense already: zlib would only spend time on it.
    conn.send(picture_, {.compress = ws::Compress::never});
  }

  std::string picture_ = std::string(3000, '\x7F');
};

ws::Config config_of(std::uint16_t port) {
  ws::Config config;
  config.port = port;
  config.compression.enabled = true;
  config.compression.threshold = 256;  // bytes; smaller messages go as they are
  return config;
}

int main() {
  ws::Server server(config_of(0), ws::per_shard<News>());
  server.start();

  ws::ClientConfig settings;
  settings.compression.enabled = true;
  ws::Client client("ws://127.0.0.1:" + std::to_string(server.port()), settings);
  client.connect();
  client.call<bool>("join");

  std::string article;
  for (int i = 0; i < 200; ++i) article += "Nothing has happened today either. ";
  server.publish("news", article);
  const bool same = client.recv()->data.string() == article;

  const ws::Stats stats = server.stats();
  std::cout << stats.shared_deflated << " message compressed, from "
            << stats.shared_deflate_bytes_in << " bytes to " << stats.shared_deflate_bytes_out
            << '\n';
  return same && stats.shared_deflated == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
