/// The kinds of clients: each format, with TLS and compression and without.
#pragma once

#include <webshocket/client.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace wssoak {

/// Where the server is.
struct Place {
  std::uint16_t plain_port = 0;
  std::uint16_t secure_port = 0;
  std::uint16_t plain_cutter = 0;  ///< the same, but cut off; 0: there is none
  std::uint16_t secure_cutter = 0;
  std::string ca_file;
};

struct Variety {
  webshocket::Format format = webshocket::Format::msgpack;
  bool json_in_binary = false;
  bool secure = false;
  bool compressed = false;

  bool is_raw() const noexcept { return format == webshocket::Format::raw; }
  /// All of them take turns.
  static Variety of(std::size_t index) noexcept;
  /// Among those that speak packets.
  static Variety of_packets(std::size_t index) noexcept;

  friend auto operator<=>(const Variety&, const Variety&) = default;
};

/// For people.
std::string text_of(const Variety& variety);

/// What clients tell; called on their loop.
struct ClientEvents {
  std::function<void(webshocket::Client&, const webshocket::Packet&)> on_receive;
  std::function<void(webshocket::Client&, webshocket::CloseCode, std::string_view)> on_disconnect;
  std::function<void(webshocket::LogLevel, std::string_view)> log;
};

/// Makes clients of one loop. On that loop's thread only.
class ClientMaker {
 public:
  ClientMaker(Place place, ClientEvents events, webshocket::ClientLoop loop, std::size_t number);

  enum class Way { direct, cut };
  /// Not connected yet; `path` is of raw clients.
  std::shared_ptr<webshocket::Client> make(const Variety& variety, std::string_view path,
                                           Way way = Way::direct);
  /// Has no `on_receive`, and reads ahead by a few messages only.
  std::shared_ptr<webshocket::Client> make_slow(const Variety& variety, std::string_view path,
                                                Way way = Way::direct);

 private:
  using Config = std::shared_ptr<const webshocket::ClientConfig>;
  Config config_of(const Variety& variety, bool slow);
  std::string uri_of(const Variety& variety, std::string_view path, Way way) const;

  Place place_;
  ClientEvents events_;
  webshocket::ClientLoop loop_;
  std::size_t number_;
  std::map<std::pair<Variety, bool>, Config> configs_;
};

}  // namespace wssoak
