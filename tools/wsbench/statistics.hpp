/// Medians and paired ratios of runs.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "result.hpp"

namespace wsbench {

struct Spread {
  double median = 0;
  double lowest = 0;
  double highest = 0;
};

/// Nothing if there are no values.
std::optional<Spread> spread_of(std::vector<double> values);

/// Of each run that has it.
std::vector<double> figures_of(const std::vector<Result>& runs, std::string_view name);

/// Of the i-th run of the one to the i-th of the other, where both have it and it is not 0.
std::vector<double> ratios_of(const std::vector<Result>& runs, const std::vector<Result>& others,
                              std::string_view name);

}  // namespace wsbench
