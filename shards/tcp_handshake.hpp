/// What a connection has only before it is a WebSocket.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <webshocket/upgrade.hpp>

#include "protocol/http.hpp"
#include "shards/shard.hpp"
#include "shards/tcp_connection.hpp"

namespace webshocket::shards {

struct TcpConnection::Handshake {
  explicit Handshake(Shard& home)
      : shard(home),
        reader({.head = home.config().max_handshake_size,
                .headers = home.config().max_handshake_headers,
                .body = home.config().max_http_body}) {}
  ~Handshake() { shard.count_parked(counted, 0); }
  Handshake(const Handshake&) = delete;
  Handshake& operator=(const Handshake&) = delete;

  /// Counts what it keeps of the client's bytes. False if that is too much for the shard.
  bool settle() noexcept {
    const std::size_t before = std::exchange(counted, unread.size() + reader.body().size());
    shard.count_parked(before, counted);
    return counted <= before || shard.inbound_fits();
  }

  Shard& shard;
  protocol::HttpRequestReader reader;
  std::vector<std::byte> unread;  ///< behind the request
  std::size_t counted = 0;        ///< of `unread` and the body
  bool is_pending = true;         ///< it counts as a pending handshake: no request has come yet
  bool answering = false;         ///< a reply is being made: the next request waits
  bool keep_alive = false;        ///< of that reply
  bool at_end = false;            ///< the client has sent its last byte
  std::size_t waiting = 0;        ///< of answers: what waited at the last deadline, or came since
  HttpResponse response;          ///< a file that is being read

  // Of an upgrade that the handler decides on.
  std::size_t route = 0;
  std::string key;
  std::optional<std::string> subprotocol;
  std::optional<protocol::DeflateAnswer> deflate;
  Slot slot;
  Upgrade answer = Upgrade::accept();
  bool is_raw_path = false;
};

}  // namespace webshocket::shards
