/// One HTTP/1.1 request or reply after the other, as its bytes come in; and the writing of replies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/buffer.hpp"
#include "protocol/http_body.hpp"
#include "protocol/http_fields.hpp"

namespace webshocket::protocol {

class HttpHeadParser;

/// What a request is refused with: `write_http_error` makes a reply of it.
struct HttpError {
  int status = 0;
  std::string text;
  std::vector<HttpHeader> headers = {};
};

struct HttpLimits {
  std::size_t head = 16 * 1024;    ///< bytes up to and with the empty line
  std::size_t headers = 128;       ///< header lines
  std::size_t body = 1024 * 1024;  ///< bytes
};

struct HttpHead : HttpFields {
  std::string method;
  std::string target;  ///< as it was sent
  std::string path;    ///< the target's path, percent-encoded as it was sent; `*` for `OPTIONS *`
  std::string query;   ///< what follows the first `?`, without it
  int version_minor = 1;
  bool keep_alive = true;
};

/// The server's side. Strict: obsolete line folding, bare line feeds, blanks before a colon,
/// doubled or contradicting lengths and whatever else two readers could take differently is
/// answered 400.
class HttpRequestReader {
 public:
  using Limits = HttpLimits;
  enum class Status : std::uint8_t { incomplete, complete, error };

  explicit HttpRequestReader(Limits limits = {});
  ~HttpRequestReader();
  HttpRequestReader(HttpRequestReader&&) noexcept;
  HttpRequestReader& operator=(HttpRequestReader&&) noexcept;

  /// Takes what belongs to this request off the front of `input`. A pipelined request, or the first
  /// frames behind an upgrade, stay there. Once complete or failed, takes nothing until `reset()`.
  Status feed(std::span<const std::byte>& input);

  const HttpHead& head() const noexcept { return head_; }
  std::string_view body() const noexcept { return body_.body(); }
  /// There is an Upgrade header, and Connection names it.
  bool upgrade() const noexcept { return upgrade_; }
  /// After `error`. The connection cannot go on: answer and close.
  const HttpError& error() const noexcept { return error_; }
  /// Whether a byte of the request has come in (empty lines before it do not count).
  bool started() const noexcept;
  /// True once, when the client waits for `100 Continue` before it sends the body
  /// (`write_http_continue`).
  bool take_continue() noexcept { return std::exchange(wants_continue_, false); }

  /// For the next request of the connection.
  void reset();

 private:
  enum class State : std::uint8_t { head, body, complete, error };

  bool take_head();
  bool start_body();
  Status fail(int status, std::string text);

  Limits limits_;
  std::unique_ptr<HttpHeadParser> parser_;
  HttpHead head_;
  HttpBodyReader body_;
  HttpError error_;
  State state_ = State::head;
  bool upgrade_ = false;
  bool wants_continue_ = false;
};

struct HttpReply : HttpFields {
  int status = 0;
  std::string reason;
  int version_minor = 1;
  std::string body;  ///< cut off at `HttpLimits::body`
};

/// The client's side. Interim replies (100, 103) are skipped, a 101 has no body.
class HttpReplyReader {
 public:
  using Limits = HttpLimits;
  enum class Status : std::uint8_t { incomplete, complete, error };

  explicit HttpReplyReader(Limits limits = {});
  ~HttpReplyReader();
  HttpReplyReader(HttpReplyReader&&) noexcept;
  HttpReplyReader& operator=(HttpReplyReader&&) noexcept;

  /// Takes what belongs to this reply off the front of `input`, see `HttpRequestReader::feed`.
  Status feed(std::span<const std::byte>& input);
  /// The server has sent its last byte: completes a body that only this ends.
  Status end_of_input();

  const HttpReply& reply() const noexcept { return reply_; }
  /// After `error`: what is wrong with the reply.
  const std::string& error() const noexcept { return error_; }

  void reset();

 private:
  enum class State : std::uint8_t { head, body, complete, error };

  static constexpr int kMaxInterim = 16;

  bool take_head();
  Status body_status(HttpBodyReader::Status status);
  Status result() const noexcept;
  Status fail(std::string text);

  Limits limits_;
  std::unique_ptr<HttpHeadParser> parser_;
  HttpReply reply_;
  HttpBodyReader body_;
  std::string error_;
  State state_ = State::head;
  int interim_ = 0;
};

/// "Not Found" for 404; "Unknown" for what has no phrase.
std::string_view http_reason(int status) noexcept;

/// Writes status line, `headers`, Content-Length, Connection, and the body unless `head_only`.
/// Headers that could end their line, and those that the framing is made of, are left out. Statuses
/// that have no body (1xx, 204, 304) get none.
void write_http_response(Buffer& out, int status, std::span<const HttpHeader> headers,
                         std::string_view body, bool keep_alive, bool head_only = false);

/// The error as a reply in plain text; the connection is to be closed after it.
void write_http_error(Buffer& out, const HttpError& error, bool head_only = false);

void write_http_continue(Buffer& out);

}  // namespace webshocket::protocol
