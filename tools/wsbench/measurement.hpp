/// What can be measured in parts, with something else in between.
#pragma once

#include <cstddef>

#include "result.hpp"

namespace wsbench {

/// One run against one server: `prepare`, then `run` so many times, then `finish`.
class Measurement {
 public:
  Measurement() = default;
  Measurement(const Measurement&) = delete;
  Measurement& operator=(const Measurement&) = delete;
  virtual ~Measurement() = default;

  /// Connects, and warms up. Throws `Failure`.
  virtual void prepare() = 0;
  /// One of so many parts of the duration; afterwards nothing is in flight. Throws `Failure` if a
  /// connection is lost; what is missing becomes a fault of the result.
  virtual void run(std::size_t parts) = 0;
  virtual Result finish() = 0;
};

}  // namespace wsbench
