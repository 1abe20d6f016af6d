/// Before a connection is a WebSocket: the upgrade request and the answer to it. And plain HTTP.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/session.hpp>
#include <webshocket/tls.hpp>
#include <webshocket/types.hpp>

namespace webshocket {

/// A request's head. Header names compare in any case.
class HttpRequest {
 public:
  std::string method;
  std::string target;  ///< as sent: "/chat?room=1"
  std::string path;    ///< as sent, percent-encoded: "/chat"
  std::string query;   ///< "room=1"
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;            ///< up to `Config::max_http_body`; empty for an upgrade
  std::string remote_address;  ///< see `Connection::remote_address`
  bool is_secure = false;      ///< it came by our own TLS
  /// Of a client that has proved who it is: see `ServerTls::client_ca_file`.
  std::optional<ClientCertificate> client_certificate = {};

  /// The first header of that name, or nullptr.
  const std::string* header(std::string_view name) const noexcept;
  /// The decoded value of a query parameter, if it is there.
  std::optional<std::string> query_value(std::string_view name) const;
};

/// What a client asked for.
class UpgradeRequest : public HttpRequest {
 public:
  std::vector<std::string> subprotocols;  ///< in the client's order
  Uid uid;  ///< the connection's name, unless a pin key gives it another
};

/// The handler's answer: accept (with headers, first session values, a pin key) or reject.
class [[nodiscard]] Upgrade {
 public:
  static Upgrade accept() { return {}; }
  /// Answers with that status and a text body, and closes. `status` is 300…599.
  static Upgrade reject(int status, std::string body = {});

  /// One more header of the reply. Throws `UsageError` if it holds a control character.
  Upgrade header(std::string name, std::string value) &&;
  /// A value of the session, there before `on_connect`.
  Upgrade session(std::string key, Scalar value) &&;
  /// All connections with the same pin key (a user's id, say) live on the same shard.
  Upgrade pin(std::string key) &&;
  /// No packets: messages go to `Handler::on_message` as they are.
  Upgrade raw() &&;

  // What was said.
  int rejected_status = 0;  ///< 0: accepted
  std::string rejected_body;
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<std::pair<std::string, Scalar>> session_values;
  std::optional<std::string> pin_key;
  bool is_raw = false;
};

struct HttpResponse {
  int status = 200;
  std::string body = {};
  std::string content_type = "text/plain; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> headers = {};
};

/// Runs on the shard of the connection that asks, so on several threads at once: what it shares
/// must be thread-safe. It must not block. An exception is answered with 500 and logged.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

}  // namespace webshocket
