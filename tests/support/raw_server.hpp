/// The server's end of connections, byte by byte: what a test answers is what a client gets, right
/// or wrong.
#pragma once

#include <cstdint>
#include <future>
#include <string>
#include <string_view>
#include <utility>

#include "tests/support/raw_peer.hpp"

namespace webshocket::test {

/// A frame as a server sends it: not masked. Any of its other fields can be made wrong.
std::string served(SentFrame frame);
std::string served_text(std::string_view payload);
/// `code` 0: an empty body.
std::string served_close(unsigned code, std::string_view reason = {});

/// A response in JSON, with the result as it stands.
std::string response(std::string_view call_id, std::string_view result);
/// Reads until somebody calls this method in JSON, and returns the call's id.
std::string read_call(RawPeer& peer, std::string_view method);

/// What a client has asked for.
struct ReceivedRequest {
  std::string head;  ///< all of it, with the blank line

  /// The header's value, whatever its name's case; nothing if there is none.
  std::optional<std::string> header(std::string_view name) const;
};

/// The proper 101. `subprotocol` empty: no header. `headers` are whole lines.
std::string upgrade_reply(const ReceivedRequest& request, std::string_view subprotocol,
                          const std::vector<std::string>& headers = {});

/// Listens; whoever connects waits until the test accepts it. Any thread, one at a time.
class RawServer {
 public:
  explicit RawServer(const char* host = "127.0.0.1", int backlog = 64);
  ~RawServer();
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  std::uint16_t port() const noexcept { return port_; }
  /// "ws://127.0.0.1:PORT".
  std::string uri() const;
  /// From here on, who connects is refused.
  void stop();

  RawPeer accept();
  /// Whether nobody waits to be accepted.
  bool is_idle() const;
  /// The same, and reads the request.
  std::pair<RawPeer, ReceivedRequest> accept_request();
  /// Answers with the subprotocol that was asked for first.
  RawPeer accept_client();

 private:
  int fd_ = -1;
  std::uint16_t port_ = 0;
};

/// A server's part of a conversation, on a thread of its own; `get()` throws what it threw.
template <class Script>
std::future<void> play(Script script) {
  return std::async(std::launch::async, std::move(script));
}

}  // namespace webshocket::test
