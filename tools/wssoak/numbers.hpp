/// What a server says about itself: counters and gauges by their names.
#pragma once

#include <webshocket/server.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace wssoak {

using Numbers = std::map<std::string, std::uint64_t>;

/// Every number of `Stats`, over all shards, but the turns.
Numbers numbers_of(const webshocket::Stats& stats);

std::string json_of(const Numbers& numbers);
/// Throws `wsbench::Failure` for what `json_of` has not written.
Numbers parse_numbers(std::string_view json);

/// Throws `wsbench::Failure` if there is none of that name.
std::uint64_t number(const Numbers& numbers, std::string_view name);

}  // namespace wssoak
