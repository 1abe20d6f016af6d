/// What went wrong, and which exit status says so.
#pragma once

#include <string>

#include "options.hpp"
#include "printer.hpp"

namespace wsc {

struct Failure {
  Status status;
  std::string text;  ///< whole lines, as `printer` makes them
};

/// Of the exception that is being handled. One that is none of those that a user can cause is
/// thrown on.
Failure failure_of_exception(const Printer& printer);

}  // namespace wsc
