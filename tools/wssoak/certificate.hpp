/// A certificate for one soak.
#pragma once

#include <string>

namespace wssoak {

/// Writes a new one for 127.0.0.1, signed by itself, and its key into a file that only its owner
/// may read. Throws `wsbench::Failure`.
void write_certificate(const std::string& file);

}  // namespace wssoak
