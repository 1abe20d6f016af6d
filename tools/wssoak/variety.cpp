#include "variety.hpp"

#include <array>
#include <chrono>
#include <utility>

namespace wssoak {

namespace ws = webshocket;

Variety Variety::of(std::size_t index) noexcept {
  if (index % 4 != 3) return of_packets(index / 4 * 3 + index % 4);
  return {
      .format = ws::Format::raw, .secure = index / 4 % 2 == 1, .compressed = index / 8 % 2 == 1};
}

Variety Variety::of_packets(std::size_t index) noexcept {
  const std::size_t kind = index % 3;
  return {.format = kind == 0 ? ws::Format::msgpack : ws::Format::json,
          .json_in_binary = kind == 2,
          .secure = index / 3 % 2 == 1,
          .compressed = index / 6 % 2 == 1};
}

std::string text_of(const Variety& variety) {
  std::string text(to_string(variety.format));
  if (variety.json_in_binary) text += " in binary";
  if (variety.secure) text += ", with TLS";
  if (variety.compressed) text += ", compressed";
  return text;
}

ClientMaker::ClientMaker(Place place, ClientEvents events, ws::ClientLoop loop, std::size_t number)
    : place_(std::move(place)),
      events_(std::move(events)),
      loop_(std::move(loop)),
      number_(number) {}

std::shared_ptr<ws::Client> ClientMaker::make(const Variety& variety, std::string_view path,
                                              Way way) {
  return std::make_shared<ws::Client>(uri_of(variety, path, way), config_of(variety, false), loop_);
}

std::shared_ptr<ws::Client> ClientMaker::make_slow(const Variety& variety, std::string_view path,
                                                   Way way) {
  return std::make_shared<ws::Client>(uri_of(variety, path, way), config_of(variety, true), loop_);
}

ClientMaker::Config ClientMaker::config_of(const Variety& variety, bool slow) {
  Config& known = configs_[{variety, slow}];
  if (known) return known;
  ws::ClientConfig config;
  config.format = variety.format;
  config.json_in_binary = variety.json_in_binary;
  config.compression.enabled = variety.compressed;
  config.tls.ca_file = variety.secure ? place_.ca_file : std::string();
  // Each loop from addresses of its own: the ports of one are few for all that come and go.
  config.local_address =
      "127.0.0." + std::to_string(2 + (2 * number_ + (variety.secure ? 1 : 0)) % 250);
  config.on_disconnect = events_.on_disconnect;
  config.log = events_.log;
  if (slow) {
    config.packet_queue_size = 4;
  } else {
    config.on_receive = events_.on_receive;
  }
  known = std::make_shared<const ws::ClientConfig>(std::move(config));
  return known;
}

std::string ClientMaker::uri_of(const Variety& variety, std::string_view path, Way way) const {
  const std::uint16_t direct = variety.secure ? place_.secure_port : place_.plain_port;
  const std::uint16_t cutter = variety.secure ? place_.secure_cutter : place_.plain_cutter;
  const std::uint16_t port = way == Way::cut ? cutter : direct;
  return (variety.secure ? "wss://127.0.0.1:" : "ws://127.0.0.1:") + std::to_string(port) +
         (path.empty() ? std::string("/") : std::string(path));
}

}  // namespace wssoak
