/// What a connection has only before it is a WebSocket.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <webshocket/config.hpp>
#include <webshocket/upgrade.hpp>

#include "protocol/http.hpp"
#include "shards/tcp_connection.hpp"

namespace webshocket::shards {

struct TcpConnection::Handshake {
  explicit Handshake(const Config& config)
      : reader({.head = config.max_handshake_size,
                .headers = config.max_handshake_headers,
                .body = config.max_http_body}) {}

  protocol::HttpRequestReader reader;
  std::vector<std::byte> unread;  ///< behind the request
  bool answering = false;         ///< a reply is being made: the next request waits
  bool keep_alive = false;        ///< of that reply
  bool at_end = false;            ///< the client has sent its last byte
  std::size_t waiting = 0;        ///< what waited for the socket when the time was last looked at
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
