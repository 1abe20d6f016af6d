#include "protocol/handshake.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include "protocol/extensions.hpp"

namespace webshocket::protocol {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::string_view kVersion = "13";
constexpr std::size_t kKeySize = 24;  // base64 of 16 bytes

std::string base64(std::span<const unsigned char> bytes) {
  // EVP_EncodeBlock ends what it writes with a NUL.
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

bool is_base64_char(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/';
}

bool is_key(std::string_view key) noexcept {
  return key.size() == kKeySize && key.ends_with("==") &&
         std::all_of(key.begin(), key.end() - 2, is_base64_char);
}

/// What may stand between two blanks of a request line.
bool is_target(std::string_view target) noexcept {
  return !target.empty() && target.front() == '/' &&
         std::all_of(target.begin(), target.end(),
                     [](char c) { return c > ' ' && c < 0x7F && c != '#'; });
}

bool is_host(std::string_view host) noexcept {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return c > ' ' && c < 0x7F && c != '/' && c != '@';
  });
}

void write_header(Buffer& out, std::string_view name, std::string_view value) {
  out.append(name);
  out.append(": ");
  out.append(value);
  out.append("\r\n");
}

void write_extra(Buffer& out, std::span<const HttpHeader> headers) {
  for (const HttpHeader& header : headers) {
    if (is_writable(header) && !belongs_to_handshake(header.name)) {
      write_header(out, header.name, header.value);
    }
  }
}

HttpError bad_request(std::string text) { return {400, std::move(text), {}}; }

/// nullopt: an element is no token.
std::optional<std::vector<std::string>> offered_subprotocols(const HttpHead& head) {
  std::vector<std::string> offers;
  for (const HttpHeader& header : head.headers) {
    if (!same_text(header.name, "Sec-WebSocket-Protocol")) continue;
    const bool valid = for_each_element(header.value, [&offers](std::string_view element) {
      if (!is_token(element)) return false;
      if (std::find(offers.begin(), offers.end(), element) == offers.end()) {
        offers.emplace_back(element);
      }
      return true;
    });
    if (!valid) return std::nullopt;
  }
  return offers;
}

/// One line that is fit for a log.
std::string first_line(std::string_view text) {
  constexpr std::size_t kMax = 200;
  std::string line(text.substr(0, std::min(text.find_first_of("\r\n"), kMax)));
  std::replace_if(
      line.begin(), line.end(), [](char c) { return is_control(c); }, ' ');
  return line;
}

}  // namespace

std::variant<UpgradeOffer, HttpError> check_upgrade(const HttpHead& head) {
  if (head.method != "GET") {
    return HttpError{405, "A WebSocket is opened with GET.", {{"Allow", "GET"}}};
  }
  if (head.version_minor < 1) return bad_request("A WebSocket needs HTTP/1.1.");
  if (head.count("Host") != 1) return bad_request("There must be one Host header.");
  if (head.find("Host")->empty()) return bad_request("The Host header is empty.");
  if (!head.has_token("Upgrade", "websocket")) {
    return bad_request("The Upgrade header does not name websocket.");
  }
  if (!head.has_token("Connection", "upgrade")) {
    return bad_request("The Connection header does not name upgrade.");
  }
  const std::string* version = head.find("Sec-WebSocket-Version");
  if (version == nullptr) return bad_request("There is no Sec-WebSocket-Version header.");
  if (*version != kVersion || head.count("Sec-WebSocket-Version") != 1) {
    return HttpError{426,
                     "The Sec-WebSocket-Version must be 13.",
                     {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", std::string(kVersion)}}};
  }
  const std::string* key = head.find("Sec-WebSocket-Key");
  if (key == nullptr) return bad_request("There is no Sec-WebSocket-Key header.");
  if (head.count("Sec-WebSocket-Key") != 1) {
    return bad_request("There is more than one Sec-WebSocket-Key header.");
  }
  if (!is_key(*key)) return bad_request("The Sec-WebSocket-Key is not 16 bytes in base64.");
  // Frames follow the head; a body in between would be read as frames by one of us.
  const std::string* length = head.find("Content-Length");
  if (head.find("Transfer-Encoding") != nullptr || (length != nullptr && *length != "0")) {
    return bad_request("A WebSocket's request has no body.");
  }
  auto offers = offered_subprotocols(head);
  if (!offers) return bad_request("The Sec-WebSocket-Protocol is not a list of names.");
  return UpgradeOffer{*key, *std::move(offers)};
}

std::optional<std::string_view> choose_subprotocol(std::span<const std::string> offers) noexcept {
  for (const std::string& offer : offers) {
    if (offer == kMsgpackSubprotocol) return kMsgpackSubprotocol;
    if (offer == kJsonSubprotocol) return kJsonSubprotocol;
  }
  return std::nullopt;
}

std::string accept_key(std::string_view key) {
  // Fetching searches the providers each time; so once. Never freed: it lives as long as the
  // library.
  static const EVP_MD* const sha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  std::string text(key);
  text += kGuid;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (sha1 == nullptr ||
      EVP_Digest(text.data(), text.size(), digest.data(), &size, sha1, nullptr) != 1) {
    return {};
  }
  return base64(std::span(digest).first(size));
}

bool belongs_to_handshake(std::string_view name) noexcept {
  constexpr std::string_view kPrefix = "Sec-WebSocket-";
  if (name.size() >= kPrefix.size() && same_text(name.substr(0, kPrefix.size()), kPrefix)) {
    return true;
  }
  return std::ranges::any_of(
      std::array<std::string_view, 5>{"Host", "Upgrade", "Connection", "Content-Length",
                                      "Transfer-Encoding"},
      [name](std::string_view reserved) { return same_text(name, reserved); });
}

std::string basic_credentials(std::string_view userinfo) {
  return "Basic " +
         base64({reinterpret_cast<const unsigned char*>(userinfo.data()), userinfo.size()});
}

std::string encode_key(std::span<const std::byte, 16> random) {
  return base64({reinterpret_cast<const unsigned char*>(random.data()), random.size()});
}

void write_upgrade_reply(Buffer& out, std::string_view key,
                         std::optional<std::string_view> subprotocol, std::string_view extensions,
                         std::span<const HttpHeader> extra) {
  out.append("HTTP/1.1 101 Switching Protocols\r\n");
  if (subprotocol && is_token(*subprotocol)) {
    write_header(out, "Sec-WebSocket-Protocol", *subprotocol);
  }
  write_header(out, "Connection", "upgrade");
  write_header(out, "Upgrade", "websocket");
  write_header(out, "Sec-WebSocket-Accept", accept_key(key));
  if (!extensions.empty()) write_header(out, kExtensionsHeader, extensions);
  write_extra(out, extra);
  out.append("\r\n");
}

bool write_upgrade_request(Buffer& out, const UpgradeRequestOptions& options) {
  if (!is_host(options.host) || !is_target(options.target) || !is_key(options.key) ||
      !std::ranges::all_of(options.subprotocols, is_token)) {
    return false;
  }
  out.append("GET ");
  out.append(options.target);
  out.append(" HTTP/1.1\r\n");
  write_header(out, "Host", options.host);
  write_header(out, "Upgrade", "websocket");
  write_header(out, "Connection", "Upgrade");
  write_header(out, "Sec-WebSocket-Version", kVersion);
  write_header(out, "Sec-WebSocket-Key", options.key);
  if (!options.subprotocols.empty()) {
    std::string list;
    for (const std::string& name : options.subprotocols) {
      if (!list.empty()) list += ", ";
      list += name;
    }
    write_header(out, "Sec-WebSocket-Protocol", list);
  }
  if (!options.extensions.empty()) write_header(out, kExtensionsHeader, options.extensions);
  write_extra(out, options.headers);
  out.append("\r\n");
  return true;
}

std::optional<std::string> check_upgrade_reply(const HttpReply& reply, std::string_view key,
                                               std::span<const std::string> offered) {
  if (reply.status != 101) {
    std::string text = "The server answered " + std::to_string(reply.status);
    const std::string phrase = first_line(reply.reason);
    const std::string body = first_line(reply.body);
    if (!phrase.empty()) text += ' ' + phrase;
    if (!body.empty()) text += ": " + body;
    return text;
  }
  if (reply.version_minor < 1) return "The server speaks HTTP/1.0.";
  if (!reply.has_token("Upgrade", "websocket")) return "The server upgraded to no websocket.";
  if (!reply.has_token("Connection", "upgrade")) return "The server's Connection names no upgrade.";
  const std::string* accept = reply.find("Sec-WebSocket-Accept");
  if (accept == nullptr || reply.count("Sec-WebSocket-Accept") != 1 || *accept != accept_key(key)) {
    return "The server's Sec-WebSocket-Accept does not belong to our key.";
  }
  if (const std::string* subprotocol = reply.find("Sec-WebSocket-Protocol");
      subprotocol != nullptr &&
      (reply.count("Sec-WebSocket-Protocol") != 1 ||
       std::find(offered.begin(), offered.end(), *subprotocol) == offered.end())) {
    return "The server chose a subprotocol that was not offered: " + first_line(*subprotocol);
  }
  return std::nullopt;
}

}  // namespace webshocket::protocol
