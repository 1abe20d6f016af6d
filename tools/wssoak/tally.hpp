/// What the clients of one thread have done and seen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tools/wsbench/histogram.hpp"

namespace wssoak {

struct Tally {
  std::uint64_t calls = 0;
  std::uint64_t streams = 0;            ///< read to the end
  std::uint64_t streams_abandoned = 0;  ///< in the middle
  std::uint64_t stream_items = 0;
  std::uint64_t publishes = 0;
  std::uint64_t broadcasts = 0;
  std::uint64_t visits = 0;          ///< clients that came and closed
  std::uint64_t visits_cut = 0;      ///< that were reset
  std::uint64_t visits_refused = 0;  ///< that were reset before they were connected
  std::uint64_t visits_left = 0;     ///< that went without waiting for the end
  std::uint64_t slow_closed = 0;     ///< slow readers that were closed for it
  std::uint64_t held_back = 0;       ///< what was due and not begun, as too much was under way
  std::uint64_t received_whole = 0;  ///< deliveries: see `Received`
  std::uint64_t received_cut = 0;
  std::uint64_t mistakes = 0;
  std::map<std::string, std::uint64_t> mistakes_by_kind = {};
  std::vector<std::string> examples = {};  ///< the first mistakes
  wsbench::Histogram call_ns = {};
  wsbench::Histogram delivery_ns = {};

  void mistake(const std::string& kind, const std::string& text);
  void add(const Tally& other);
  /// What there is to count, by name.
  std::map<std::string, std::uint64_t> counts() const;
};

}  // namespace wssoak
