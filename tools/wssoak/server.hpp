/// The server under test: every feature that a soak exercises, and `/stats`.
#pragma once

#include "options.hpp"

namespace wssoak {

/// Serves until SIGTERM. `GET /stats` gives `Numbers` as JSON: those of `Stats`, those that its
/// handlers count, and `heap_bytes` and `tls_port`. Throws `webshocket::Error`.
void serve(const ServeOptions& options);

}  // namespace wssoak
