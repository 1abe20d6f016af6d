/// How the soak reads what the server says about itself.
#pragma once

#include <cstdint>

#include "numbers.hpp"

namespace wssoak {

/// `GET /stats` from 127.0.0.1, on a connection of its own. Blocks, for ten seconds at most. Throws
/// `wsbench::Failure`.
Numbers read_numbers(std::uint16_t port);

}  // namespace wssoak
