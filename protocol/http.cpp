#include "protocol/http.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "protocol/http_head.hpp"

namespace webshocket::protocol {
namespace {

// RFC 3986: what a registered name, an address or a port is made of.
bool is_host(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-._~%!$&'()*+,;=:[]").find(c) != std::string_view::npos;
  });
}

std::optional<std::uint64_t> parse_length(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || at != end) return std::nullopt;
  return value;
}

/// The target's path and query: origin form, absolute form, or `*`.
void split_target(HttpHead& head) {
  std::string_view rest = head.target;
  if (const std::size_t scheme = rest.find("://");
      scheme != std::string_view::npos && rest.front() != '/' && head.method != "CONNECT") {
    rest.remove_prefix(scheme + 3);
    rest.remove_prefix(std::min(rest.find_first_of("/?"), rest.size()));
  }
  const std::size_t question = rest.find('?');
  head.path = rest.substr(0, question);
  head.query = question == std::string_view::npos ? std::string_view{} : rest.substr(question + 1);
  if (head.path.empty()) head.path = "/";
}

bool keeps_alive(const HttpFields& fields, int version_minor) {
  if (fields.has_token("Connection", "close")) return false;
  return version_minor >= 1 || fields.has_token("Connection", "keep-alive");
}

}  // namespace

HttpRequestReader::HttpRequestReader(Limits limits)
    : limits_(limits),
      parser_(std::make_unique<HttpHeadParser>(HttpHeadParser::Kind::request, limits.head,
                                               limits.headers)) {}
HttpRequestReader::~HttpRequestReader() = default;
HttpRequestReader::HttpRequestReader(HttpRequestReader&&) noexcept = default;
HttpRequestReader& HttpRequestReader::operator=(HttpRequestReader&&) noexcept = default;

bool HttpRequestReader::started() const noexcept { return parser_->started(); }

void HttpRequestReader::reset() {
  parser_->reset();
  head_ = {};
  body_.start_empty();
  error_ = {};
  state_ = State::head;
  upgrade_ = false;
  wants_continue_ = false;
}

HttpRequestReader::Status HttpRequestReader::feed(std::span<const std::byte>& input) {
  if (state_ == State::head) {
    switch (parser_->feed(input)) {
      case HttpHeadParser::Status::incomplete:
        return Status::incomplete;
      case HttpHeadParser::Status::error:
        return fail(parser_->fault_status(), parser_->fault());
      case HttpHeadParser::Status::complete:
        break;
    }
    if (!take_head()) return Status::error;
    state_ = State::body;
  }
  if (state_ == State::body) {
    switch (body_.feed(input)) {
      case HttpBodyReader::Status::incomplete:
        return Status::incomplete;
      case HttpBodyReader::Status::complete:
        state_ = State::complete;
        wants_continue_ = false;
        break;
      case HttpBodyReader::Status::malformed:
        return fail(400, std::string(body_.fault()));
      case HttpBodyReader::Status::too_large:
        return fail(413, "Request body is larger than " + std::to_string(limits_.body) +
                             " bytes (max_http_body).");
    }
  }
  return state_ == State::complete ? Status::complete : Status::error;
}

bool HttpRequestReader::take_head() {
  head_.method = parser_->method();
  head_.target = std::move(parser_->target());
  head_.headers = std::move(parser_->fields().headers);
  head_.version_minor = parser_->version_minor();
  const auto refuse = [this](int status, std::string text) {
    fail(status, std::move(text));
    return false;
  };
  if (parser_->version_major() != 1) return refuse(505, "The HTTP version is not 1.1 or 1.0.");
  if (head_.target.find('#') != std::string::npos) {
    return refuse(400, "The request's target has a fragment.");
  }
  split_target(head_);

  const std::size_t hosts = head_.count("Host");
  if (hosts > 1) return refuse(400, "There is more than one Host header.");
  if (hosts == 0 && head_.version_minor >= 1) return refuse(400, "There is no Host header.");
  if (hosts == 1 && !is_host(*head_.find("Host"))) return refuse(400, "The Host is malformed.");

  head_.keep_alive = keeps_alive(head_, head_.version_minor);
  upgrade_ = head_.find("Upgrade") != nullptr && head_.has_token("Connection", "upgrade");
  if (!start_body()) return false;

  if (const std::string* expect = head_.find("Expect"); expect != nullptr) {
    if (!same_text(*expect, "100-continue")) {
      return refuse(417, "Only 100-continue can be expected.");
    }
    wants_continue_ = head_.version_minor >= 1;
  }
  return true;
}

bool HttpRequestReader::start_body() {
  const auto refuse = [this](int status, std::string text) {
    fail(status, std::move(text));
    return false;
  };
  const std::string* coding = head_.find("Transfer-Encoding");
  const std::string* length = head_.find("Content-Length");
  if (coding != nullptr) {
    if (length != nullptr) return refuse(400, "Content-Length beside Transfer-Encoding.");
    if (head_.version_minor == 0) return refuse(400, "Transfer-Encoding in a request of HTTP/1.0.");
    if (head_.count("Transfer-Encoding") > 1) return refuse(400, "Two Transfer-Encoding headers.");
    if (!same_text(*coding, "chunked")) {
      return refuse(501, "No other Transfer-Encoding than chunked is supported.");
    }
    body_.start_chunked(limits_.body, limits_.head, HttpBodyReader::Excess::refuse);
  } else if (length != nullptr) {
    if (head_.count("Content-Length") > 1) return refuse(400, "Two Content-Length headers.");
    const std::optional<std::uint64_t> size = parse_length(*length);
    if (!size) return refuse(400, "Content-Length is not a number.");
    body_.start_length(*size, limits_.body, HttpBodyReader::Excess::refuse);
  } else {
    body_.start_empty();
  }
  return true;
}

HttpRequestReader::Status HttpRequestReader::fail(int status, std::string text) {
  error_ = {status, std::move(text), {}};
  state_ = State::error;
  wants_continue_ = false;
  return Status::error;
}

HttpReplyReader::HttpReplyReader(Limits limits)
    : limits_(limits),
      parser_(std::make_unique<HttpHeadParser>(HttpHeadParser::Kind::reply, limits.head,
                                               limits.headers)) {}
HttpReplyReader::~HttpReplyReader() = default;
HttpReplyReader::HttpReplyReader(HttpReplyReader&&) noexcept = default;
HttpReplyReader& HttpReplyReader::operator=(HttpReplyReader&&) noexcept = default;

void HttpReplyReader::reset() {
  parser_->reset();
  reply_ = {};
  body_.start_empty();
  error_.clear();
  state_ = State::head;
  interim_ = 0;
}

HttpReplyReader::Status HttpReplyReader::feed(std::span<const std::byte>& input) {
  while (state_ == State::head) {
    switch (parser_->feed(input)) {
      case HttpHeadParser::Status::incomplete:
        return Status::incomplete;
      case HttpHeadParser::Status::error:
        return fail(parser_->fault());
      case HttpHeadParser::Status::complete:
        break;
    }
    const int status = parser_->status();
    if (parser_->version_major() != 1 || status < 100 || status > 599) {
      return fail("Reply is not one of HTTP/1.1.");
    }
    if (status < 200 && status != 101) {
      if (++interim_ > kMaxInterim) return fail("Too many interim replies.");
      parser_->reset();
      continue;
    }
    if (!take_head()) return Status::error;
    state_ = State::body;
  }
  return state_ == State::body ? body_status(body_.feed(input)) : result();
}

HttpReplyReader::Status HttpReplyReader::end_of_input() {
  if (state_ == State::head) return fail("The connection ended before the reply was complete.");
  return state_ == State::body ? body_status(body_.end_of_input()) : result();
}

bool HttpReplyReader::take_head() {
  reply_.status = parser_->status();
  reply_.reason = std::move(parser_->reason());
  reply_.headers = std::move(parser_->fields().headers);
  reply_.version_minor = parser_->version_minor();

  constexpr auto kExcess = HttpBodyReader::Excess::discard;
  const std::string* coding = reply_.find("Transfer-Encoding");
  const std::string* length = reply_.find("Content-Length");
  if (reply_.status == 101 || reply_.status == 204 || reply_.status == 304) {
    body_.start_empty();
  } else if (coding != nullptr && same_text(*coding, "chunked")) {
    body_.start_chunked(limits_.body, limits_.head, kExcess);
  } else if (coding != nullptr || length == nullptr) {
    body_.start_until_close(limits_.body, kExcess);
  } else if (const auto size = parse_length(*length); size) {
    body_.start_length(*size, limits_.body, kExcess);
  } else {
    fail("Content-Length is not a number.");
    return false;
  }
  return true;
}

HttpReplyReader::Status HttpReplyReader::body_status(HttpBodyReader::Status status) {
  switch (status) {
    case HttpBodyReader::Status::incomplete:
      return Status::incomplete;
    case HttpBodyReader::Status::complete:
      reply_.body = body_.take();
      state_ = State::complete;
      return Status::complete;
    case HttpBodyReader::Status::too_large:  // never: what is too much is discarded
    case HttpBodyReader::Status::malformed:
      break;
  }
  return fail(std::string(body_.fault()));
}

HttpReplyReader::Status HttpReplyReader::result() const noexcept {
  return state_ == State::complete ? Status::complete : Status::error;
}

HttpReplyReader::Status HttpReplyReader::fail(std::string text) {
  error_ = std::move(text);
  state_ = State::error;
  return Status::error;
}

}  // namespace webshocket::protocol
