/// What a fuzz target finds.
#pragma once

#include <cstdlib>
#include <iostream>
#include <string_view>

namespace webshocket::fuzz {

/// Ends the program, so that the fuzzer keeps the input, if `condition` does not hold.
inline void require(bool condition, std::string_view what) {
  if (condition) return;
  std::cerr << "FINDING: " << what << std::endl;
  std::abort();
}

}  // namespace webshocket::fuzz
