/// Whether a server's numbers add up.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "numbers.hpp"

namespace wssoak {

/// What does not hold of a server that all clients have left; for people, empty: all holds.
///
///     deliveries = written + dropped by each policy + discarded, and nothing waits
///     connections opened = closed
///     calls begun = answered + cancelled, and none is in flight
std::vector<std::string> faults_at_rest(const Numbers& numbers);

/// Of two samples of a server that runs: counters which went back.
std::vector<std::string> faults_between(const Numbers& before, const Numbers& after);

/// Counters that must be 0: errors of any kind which nobody has provoked.
std::vector<std::string> unexpected_errors(const Numbers& numbers);

/// What clients have counted of deliveries.
struct Received {
  std::uint64_t whole = 0;   ///< by those who heard their connections' last word
  std::uint64_t cut = 0;     ///< by those who were cut off, or left without waiting
  bool anybody_cut = false;  ///< then more may have been written than was received
};

/// Between what a server says that it has written and what its clients say that they got.
std::vector<std::string> faults_of_receipt(std::uint64_t written, const Received& received);

}  // namespace wssoak
