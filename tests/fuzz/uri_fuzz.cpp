// A text is a URI, or there is a complaint that is one line of UTF-8. What a URI says can stand in
// a request, and put together again it says the same.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/handshake.hpp"
#include "protocol/text.hpp"
#include "protocol/uri.hpp"

using namespace webshocket::protocol;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

bool is_line(std::string_view text) {
  return is_text(text) && std::ranges::none_of(text, is_control);
}

/// Every byte percent-encoded but the colon that parts name and password.
std::string encode_userinfo(std::string_view userinfo) {
  static constexpr char kDigits[] = "0123456789abcdef";
  const std::size_t colon = userinfo.find(':');
  std::string out;
  for (std::size_t i = 0; i < userinfo.size(); ++i) {
    const auto byte = static_cast<unsigned char>(userinfo[i]);
    if (i == colon) {
      out += ':';
    } else {
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return out;
}

void check_same(const Uri& uri) {
  std::string host = uri.host;
  if (const std::size_t zone = host.find('%'); zone != std::string::npos) {
    host.insert(zone + 1, "25");
  }
  if (host.find(':') != std::string::npos) host = '[' + host + ']';
  std::string text = uri.secure ? "wss://" : "ws://";
  if (!uri.userinfo.empty()) text += encode_userinfo(uri.userinfo) + '@';
  text += host + ':' + std::to_string(uri.port) + uri.target;
  if (text.size() > kMaxUri) return;
  const auto result = parse_uri(text);
  check(std::holds_alternative<Uri>(result));
  const Uri& again = std::get<Uri>(result);
  check(again.secure == uri.secure && again.port == uri.port && again.target == uri.target);
  check(again.userinfo == uri.userinfo && again.host == uri.host);
  check(again.host_header() == uri.host_header());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto result = parse_uri(text);
  if (const auto* complaint = std::get_if<std::string>(&result)) {
    check(is_line(*complaint) && complaint->size() < 1000);
    return 0;
  }
  const Uri& uri = std::get<Uri>(result);
  check(!uri.host.empty() && uri.port != 0);
  check(uri.userinfo.empty() || uri.userinfo.find(':') != std::string::npos);
  check(std::ranges::none_of(uri.userinfo, is_control));
  const std::array<std::byte, 16> random{};
  Buffer request;
  check(write_upgrade_request(request, {uri.host_header(), uri.target, encode_key(random)}));
  check_same(uri);
  return 0;
}
