/// A folder's files as HTTP responses.
#pragma once

#include <string>
#include <string_view>

#include <webshocket/upgrade.hpp>

namespace webshocket::shards {

/// The file at `path` below `folder`, `index.html` for a folder's name; 404 for what is not there,
/// is hidden, or lies outside. Blocks: not on a loop. Any thread.
HttpResponse read_file(const std::string& folder, std::string_view path);

}  // namespace webshocket::shards
