#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "protocol/http.hpp"

namespace webshocket::protocol {
namespace {

constexpr auto kReasons = std::to_array<std::pair<int, std::string_view>>({
    {100, "Continue"},
    {101, "Switching Protocols"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
});

bool has_body(int status) noexcept { return status >= 200 && status != 204 && status != 304; }

void write_number(Buffer& out, std::uint64_t number) {
  std::array<char, 20> digits;
  const char* end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append({digits.data(), static_cast<std::size_t>(end - digits.data())});
}

bool belongs_to_framing(std::string_view name) noexcept {
  return same_text(name, "Content-Length") || same_text(name, "Transfer-Encoding") ||
         same_text(name, "Connection");
}

}  // namespace

std::string_view http_reason(int status) noexcept {
  const auto* found = std::lower_bound(kReasons.begin(), kReasons.end(), status,
                                       [](const std::pair<int, std::string_view>& known,
                                          int wanted) { return known.first < wanted; });
  return found != kReasons.end() && found->first == status ? found->second : "Unknown";
}

void write_http_response(Buffer& out, int status, std::span<const HttpHeader> headers,
                         std::string_view body, bool keep_alive, bool head_only) {
  // Three digits, or the line could not be read back.
  if (status < 100 || status > 999) status = 500;
  out.append("HTTP/1.1 ");
  write_number(out, static_cast<std::uint64_t>(status));
  out.append(" ");
  out.append(http_reason(status));
  out.append("\r\n");
  bool upgrade = false;
  for (const HttpHeader& header : headers) {
    if (!is_writable(header) || belongs_to_framing(header.name)) continue;
    upgrade = upgrade || same_text(header.name, "Upgrade");
    out.append(header.name);
    out.append(": ");
    out.append(header.value);
    out.append("\r\n");
  }
  if (has_body(status)) {
    out.append("Content-Length: ");
    write_number(out, body.size());
    out.append("\r\n");
  }
  out.append(keep_alive ? "Connection: keep-alive" : "Connection: close");
  out.append(upgrade ? ", upgrade\r\n\r\n" : "\r\n\r\n");
  if (has_body(status) && !head_only) out.append(body);
}

void write_http_error(Buffer& out, const HttpError& error, bool head_only) {
  std::vector<HttpHeader> headers = error.headers;
  headers.insert(headers.begin(), {"Content-Type", "text/plain"});
  write_http_response(out, error.status, headers, error.text, false, head_only);
}

void write_http_continue(Buffer& out) { out.append("HTTP/1.1 100 Continue\r\n\r\n"); }

}  // namespace webshocket::protocol
