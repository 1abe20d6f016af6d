/// The demo's web pages, inside the program.
#pragma once

#include <span>
#include <string_view>

namespace webshocketd {

struct Page {
  std::string_view name;  ///< "index.html"
  std::string_view body;
};

/// The files of web/: their source is made by embed.cmake.
std::span<const Page> embedded_pages() noexcept;

std::string_view content_type_of(std::string_view name) noexcept;

}  // namespace webshocketd
