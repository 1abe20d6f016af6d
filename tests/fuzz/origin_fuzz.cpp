// Three lines: a setting, an Origin, a Host. What is let in stays in however it is spelled, and
// nobody gets in by a name that only looks like one.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/origin.hpp"
#include "tests/fuzz/lines.hpp"

using namespace webshocket::protocol;

namespace {

constexpr std::string_view kEvil = ".not-to-be-guessed";

void require(bool condition) {
  if (!condition) std::abort();
}

std::string upper(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return result;
}

bool is_evil(std::string_view setting) {
  return upper(setting).find(upper(kEvil)) != std::string::npos;
}

void check_origin(std::string_view setting, std::string_view origin, std::string_view host) {
  const auto parsed = OriginPattern::parse(setting);
  const auto* pattern = std::get_if<OriginPattern>(&parsed);
  if (pattern == nullptr) return require(!std::get<std::string_view>(parsed).empty());
  const std::vector<OriginPattern> list{*pattern};
  require(allows_origin(list, origin, host) == allows_origin(list, origin, "elsewhere"));
  if (setting == "*" || setting == "null") return;
  require(pattern->matches(upper(origin)) == pattern->matches(origin));
  if (is_evil(setting)) return;
  require(!pattern->matches(std::string(origin) + std::string(kEvil)));
}

void check_host(std::string_view setting, std::string_view host) {
  const auto parsed = HostPattern::parse(setting);
  const auto* pattern = std::get_if<HostPattern>(&parsed);
  if (pattern == nullptr) return require(!std::get<std::string_view>(parsed).empty());
  const std::vector<HostPattern> list{*pattern};
  const bool allowed = allows_host(list, host);
  require(allows_host({}, host));
  require(allows_host(list, upper(host)) == allowed);
  if (const auto parts = HostPort::parse(host)) {
    require(allowed == allows_host(list, parts->host));
    require(allowed == allows_host(list, std::string(parts->host) + ":9300"));
  } else {
    require(!allowed);
  }
  if (is_evil(setting)) return;
  require(!allows_host(list, std::string(host) + std::string(kEvil)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view setting = take_line(text);
  const std::string_view origin = take_line(text);
  const std::string_view host = take_line(text);
  check_origin(setting, origin, host);
  check_host(setting, host);

  const bool same = is_same_origin(origin, host);
  require(allows_origin({}, origin, host) == same);
  require(is_same_origin(upper(origin), host) == same &&
          is_same_origin(origin, upper(host)) == same);
  if (!same) return 0;
  require(!is_same_origin(std::string(origin) + std::string(kEvil), host));
  require(!is_same_origin(origin, std::string(host) + std::string(kEvil)));
  return 0;
}
