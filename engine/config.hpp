/// The configuration, checked.
#pragma once

#include <webshocket/config.hpp>

namespace webshocket::engine {

/// Throws `UsageError` that names the field and the value, and what would be right. Returns the
/// configuration with `shards` and `listeners` filled in.
Config checked(Config config);

}  // namespace webshocket::engine
