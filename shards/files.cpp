#include "shards/files.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

namespace webshocket::shards {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kLargest = 64 * 1024 * 1024;

constexpr std::array<std::pair<std::string_view, std::string_view>, 16> kTypes{{
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},
    {".gif", "image/gif"},
    {".webp", "image/webp"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".wasm", "application/wasm"},
    {".txt", "text/plain; charset=utf-8"},
}};

HttpResponse not_found() { return {.status = 404, .body = "Not found."}; }

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    result += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return result;
}

/// No step up, nothing hidden, nothing that the file system would read in its own way.
bool is_plain(const fs::path& path) {
  return std::ranges::none_of(path, [](const fs::path& part) {
    const std::string& name = part.native();
    return name.starts_with('.') || name.find('\0') != std::string::npos ||
           name.find('\\') != std::string::npos;
  });
}

bool is_inside(const fs::path& path, const fs::path& folder) {
  const auto [end, ignored] = std::ranges::mismatch(folder, path);
  return end == folder.end();
}

}  // namespace

HttpResponse read_file(const std::string& folder, std::string_view path) {
  const auto decoded = percent_decoded(path);
  if (!decoded) return not_found();
  const fs::path relative = fs::path(*decoded).relative_path();
  if (!is_plain(relative)) return not_found();
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  if (error) return not_found();
  fs::path file = fs::canonical(root / relative, error);
  if (!error && fs::is_directory(file, error)) file = fs::canonical(file / "index.html", error);
  if (error || !is_inside(file, root)) return not_found();  // a symbolic link may lead out
  if (!fs::is_regular_file(file, error) || fs::file_size(file, error) > kLargest || error) {
    return not_found();
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return not_found();
  HttpResponse response;
  response.body.assign(std::istreambuf_iterator<char>(stream), {});
  const std::string extension = file.extension().string();
  const auto* type = std::ranges::find(kTypes, extension, &decltype(kTypes)::value_type::first);
  response.content_type = type == kTypes.end() ? "application/octet-stream" : type->second;
  response.headers = {{"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-cache"}};
  return response;
}

}  // namespace webshocket::shards
