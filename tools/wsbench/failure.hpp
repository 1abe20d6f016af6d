/// What keeps wsbench from measuring.
#pragma once

#include <stdexcept>

namespace wsbench {

/// The text is for people. Ends the program with status 1.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Options that contradict each other or name nothing. Ends the program with status 2.
class UsageFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace wsbench
