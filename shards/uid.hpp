/// Names for connections.
#pragma once

#include <webshocket/types.hpp>

namespace webshocket::shards {

/// A random UUID (version 4). One system call for many. Any thread.
Uid mint_uid();

}  // namespace webshocket::shards
