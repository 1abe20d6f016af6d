#include "protocol/http_head.hpp"

#include <new>
#include <utility>

namespace webshocket::protocol {

struct HttpHeadParser::Callbacks {
  static HttpHeadParser& self(http_parser* parser) noexcept {
    return *static_cast<HttpHeadParser*>(parser->data);
  }
  // No exception may pass through a parser in C: it stops, and `parse` throws.
  template <class Step>
  static int guard(HttpHeadParser& head, Step&& step) noexcept {
    try {
      step();
      return 0;
    } catch (const std::bad_alloc&) {
      head.lacks_memory_ = true;
      return 1;
    }
  }
  static int url(http_parser* parser, const char* at, std::size_t size) noexcept {
    HttpHeadParser& head = self(parser);
    return guard(head, [&] { head.target_.append(at, size); });
  }
  static int status(http_parser* parser, const char* at, std::size_t size) noexcept {
    HttpHeadParser& head = self(parser);
    return guard(head, [&] { head.reason_.append(at, size); });
  }
  static int name(http_parser* parser, const char* at, std::size_t size) noexcept {
    HttpHeadParser& head = self(parser);
    return guard(head, [&] {
      auto& headers = head.fields_.headers;
      if (headers.empty() || head.in_value_) headers.emplace_back();
      head.in_value_ = false;
      headers.back().name.append(at, size);
    });
  }
  static int value(http_parser* parser, const char* at, std::size_t size) noexcept {
    HttpHeadParser& head = self(parser);
    head.in_value_ = true;
    return guard(head, [&] { head.fields_.headers.back().value.append(at, size); });
  }
  static int complete(http_parser* parser) noexcept {
    self(parser).parsed_ = true;
    return 1;  // the body is not the parser's
  }

  static constexpr http_parser_settings kSettings{
      .on_message_begin = nullptr,
      .on_url = &url,
      .on_status = &status,
      .on_header_field = &name,
      .on_header_value = &value,
      .on_headers_complete = &complete,
      .on_body = nullptr,
      .on_message_complete = nullptr,
      .on_chunk_header = nullptr,
      .on_chunk_complete = nullptr,
  };
};

HttpHeadParser::HttpHeadParser(Kind kind, std::size_t max_bytes, std::size_t max_headers)
    : max_bytes_(max_bytes), max_headers_(max_headers), kind_(kind) {
  reset();
}

void HttpHeadParser::reset() {
  http_parser_init(&parser_, kind_ == Kind::request ? HTTP_REQUEST : HTTP_RESPONSE);
  parser_.data = this;
  fields_.headers.clear();
  target_.clear();
  reason_.clear();
  fault_.clear();
  bytes_ = 0;
  lines_ = 0;
  blanks_ = 0;
  fault_status_ = 0;
  line_ = Line::before;
  previous_ = 0;
  in_value_ = false;
  parsed_ = false;
}

std::string_view HttpHeadParser::method() const noexcept {
  return http_method_str(static_cast<http_method>(parser_.method));
}

HttpHeadParser::Status HttpHeadParser::feed(std::span<const std::byte>& input) {
  std::size_t skipped = 0;
  std::size_t count = 0;
  while (count < input.size() && fault_status_ == 0 && line_ != Line::done) {
    if (!step(static_cast<char>(input[count]))) break;
    ++count;
    // Empty lines before the first one are not for the parser.
    if (!started()) skipped = count;
  }
  const auto taken = input.first(count);
  input = input.subspan(count);
  // What was in order before a fault is parsed all the same: it may hold an earlier one.
  parse(taken.subspan(skipped));
  if (fault_status_ != 0) return Status::error;
  if (line_ != Line::done) return Status::incomplete;
  if (!parsed_) {
    refuse(400, noun() + " is malformed.");
    return Status::error;
  }
  for (HttpHeader& header : fields_.headers) {
    const std::string_view value = trim_blanks(header.value);
    if (value.size() != header.value.size()) header.value = std::string(value);
  }
  return Status::complete;
}

void HttpHeadParser::parse(std::span<const std::byte> bytes) {
  if (bytes.empty() || HTTP_PARSER_ERRNO(&parser_) != HPE_OK) return;
  const std::size_t parsed = http_parser_execute(
      &parser_, &Callbacks::kSettings, reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (lacks_memory_) throw std::bad_alloc();
  if (HTTP_PARSER_ERRNO(&parser_) != HPE_OK) {
    refuse_parsed();
  } else if (parsed != bytes.size() || parsed_ != (line_ == Line::done)) {
    // The two of us disagree on where the head ends.
    refuse(400, noun() + " is malformed.");
  }
}

bool HttpHeadParser::step(char c) {
  if (++bytes_ > max_bytes_) {
    return refuse(431, noun() + " head is larger than " + std::to_string(max_bytes_) + " bytes" +
                           named("max_handshake_size"));
  }
  switch (line_) {
    case Line::before:
      if (c == '\r' && kind_ == Kind::request) {
        line_ = Line::before_feed;
        return true;
      }
      line_ = Line::first;
      return step_first(c);
    case Line::before_feed:
    case Line::first_feed:
    case Line::value_feed:
    case Line::end_feed:
      if (c != '\n') return refuse(400, "A carriage return without a line feed.");
      line_ = line_ == Line::before_feed ? Line::before
              : line_ == Line::end_feed  ? Line::done
                                         : Line::start;
      return true;
    case Line::first:
      return step_first(c);
    case Line::start:
      if (c == '\r') {
        line_ = Line::end_feed;
        return true;
      }
      if (c == ' ' || c == '\t') return refuse(400, "A header is folded over two lines.");
      if (++lines_ > max_headers_) {
        return refuse(431, noun() + " has more than " + std::to_string(max_headers_) + " headers" +
                               named("max_handshake_headers"));
      }
      if (c == ':') return refuse(400, "A header has no name.");
      line_ = Line::name;
      [[fallthrough]];
    case Line::name:
      if (c == ':') {
        line_ = Line::value;
        return true;
      }
      return is_token({&c, 1}) || refuse(400, "A header's name holds an invalid character.");
    case Line::value:
      if (c == '\r') {
        line_ = Line::value_feed;
        return true;
      }
      if (c == '\n') return refuse(400, "A line feed without a carriage return.");
      return is_field_value({&c, 1}) || refuse(400, "A header holds a control character.");
    case Line::done:
      break;
  }
  return false;
}

bool HttpHeadParser::step_first(char c) {
  if (c == '\n') return refuse(400, "A line feed without a carriage return.");
  if (c == '\r') {
    if (kind_ == Kind::request && blanks_ != 2) {
      return refuse(400, "The request line is not METHOD TARGET HTTP/1.1.");
    }
    line_ = Line::first_feed;
    return true;
  }
  if (kind_ == Kind::request) {
    if (is_control(c) || static_cast<unsigned char>(c) >= 0x80) {
      return refuse(400, "The request line holds an invalid character.");
    }
    if (c == ' ' && (++blanks_ > 2 || previous_ == ' ')) {
      return refuse(400, "The request line is not METHOD TARGET HTTP/1.1.");
    }
    previous_ = c;
    return true;
  }
  return is_field_value({&c, 1}) || refuse(400, "The status line holds a control character.");
}

bool HttpHeadParser::refuse(int status, std::string fault) {
  if (fault_status_ == 0) {
    fault_status_ = status;
    fault_ = std::move(fault);
  }
  return false;
}

void HttpHeadParser::refuse_parsed() {
  // The parser is behind our own look at the lines, so its fault comes first.
  fault_status_ = 0;
  switch (HTTP_PARSER_ERRNO(&parser_)) {
    case HPE_INVALID_METHOD:
      refuse(400, "The method is not known.");
      return;
    case HPE_INVALID_VERSION:
      refuse(505, "The HTTP version is not 1.1 or 1.0.");
      return;
    case HPE_HEADER_OVERFLOW:
      refuse(431, noun() + " head is too large.");
      return;
    case HPE_INVALID_CONTENT_LENGTH:
      refuse(400, "Content-Length is not a number.");
      return;
    case HPE_UNEXPECTED_CONTENT_LENGTH:
      refuse(400, "Content-Length is given twice, or beside Transfer-Encoding.");
      return;
    case HPE_INVALID_URL:
    case HPE_INVALID_HOST:
    case HPE_INVALID_PORT:
    case HPE_INVALID_PATH:
      refuse(400, "The request's target is malformed.");
      return;
    default:
      refuse(400, noun() + " is malformed: " +
                      std::string(http_errno_description(HTTP_PARSER_ERRNO(&parser_))) + ".");
      return;
  }
}

}  // namespace webshocket::protocol
