/// A client that speaks packets, and a way to hold hundreds of them on one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>
#include <webshocket/packet.hpp>

#include "tests/support/raw_peer.hpp"

namespace webshocket::test {

enum class Dialect : std::uint8_t {
  msgpack,  ///< webshocket.v1
  json,     ///< webshocket.v1.json: TEXT
  generic,  ///< no subprotocol: JSON in BINARY
};

UpgradeOptions options_of(Dialect dialect, std::string path = "/");

/// One connection. What it waits for may come among other things: those are kept, in order, until
/// they are asked for. PINGs are answered.
///
/// Values go in and come out as JSON text, whatever the dialect, so a test reads like the wire
/// description; bytes come out as base64.
class WsClient {
 public:
  /// `headers` are whole lines.
  explicit WsClient(std::uint16_t port, Dialect dialect = Dialect::msgpack, std::string path = "/",
                    std::vector<std::string> headers = {});

  Dialect dialect() const noexcept { return dialect_; }
  RawPeer& peer() noexcept { return peer_; }

  // --- calls ----------------------------------------------------------------------------------

  /// Sends a request and returns its id. `args` is a JSON array, `kwargs` a JSON object.
  std::string start(std::string_view method, std::string_view args = "[]",
                    std::string_view kwargs = "{}");
  /// What `start` sends, without sending it: the payload, the id.
  std::pair<std::string, std::string> request(std::string_view method, std::string_view args = "[]",
                                              std::string_view kwargs = "{}");
  /// The next response to that call.
  OwnedPacket response(std::string_view call_id);
  /// The same in short: the result as JSON, or `CODE text`.
  std::string answer(std::string_view call_id);
  std::string call(std::string_view method, std::string_view args = "[]",
                   std::string_view kwargs = "{}") {
    return answer(start(method, args, kwargs));
  }

  // --- packets --------------------------------------------------------------------------------

  /// One message in the dialect's usual frame.
  void send_payload(std::string_view payload);
  /// A `custom` packet with this data.
  void send(std::string_view json);
  /// The next packet that is no response.
  OwnedPacket packet();
  /// The same in short: `SOURCE DATA` or `SOURCE CHANNEL DATA`: `2 room {"m":1}`, `1 "yo"`.
  std::string event();
  /// All events that are here before the answer to a call that is sent now.
  std::vector<std::string> events_before_now();

  // --- for many clients -----------------------------------------------------------------------

  /// Takes what is there without waiting; false once the connection has ended.
  bool absorb();
  /// What has come already and is no response, in short form; empties it.
  std::vector<std::string> take_events();
  std::size_t event_count() const noexcept { return events_.size(); }
  /// Whether the response to that call is here.
  bool has_response(std::string_view call_id) const;
  std::optional<Close> closed() const noexcept { return close_; }

  /// A CLOSE 1000, its answer, the end.
  void close();

 private:
  OwnedPacket decode(std::string_view payload) const;
  void sort(const Frame& frame);
  void need_more();

  Dialect dialect_;
  RawPeer peer_;
  std::uint64_t last_id_ = 0;
  std::string message_;  ///< its frames so far
  std::deque<OwnedPacket> events_;
  std::unordered_map<std::string, std::deque<OwnedPacket>> responses_;  ///< by call id
  std::optional<Close> close_;
};

std::string in_short(const Packet& packet);

using Clients = std::vector<std::unique_ptr<WsClient>>;

/// `count` connections; the dialects take turns.
Clients connect_many(std::uint16_t port, std::size_t count,
                     std::span<const Dialect> dialects = std::initializer_list<Dialect>{
                         Dialect::msgpack, Dialect::json, Dialect::generic});

/// Feeds all of them until `done`; throws `PeerError` when that takes longer than the guard.
void pump_until(std::span<RawPeer* const> peers, const std::function<void(std::size_t)>& absorb,
                const std::function<bool()>& done);
void pump_until(const Clients& clients, const std::function<bool()>& done);

}  // namespace webshocket::test
