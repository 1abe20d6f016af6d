#include "statistics.hpp"

#include <algorithm>
#include <cstddef>

namespace wsbench {

std::optional<Spread> spread_of(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return Spread{.median = median, .lowest = values.front(), .highest = values.back()};
}

std::vector<double> figures_of(const std::vector<Result>& runs, std::string_view name) {
  std::vector<double> values;
  for (const Result& run : runs) {
    if (const double* value = run.find(name)) values.push_back(*value);
  }
  return values;
}

std::vector<double> ratios_of(const std::vector<Result>& runs, const std::vector<Result>& others,
                              std::string_view name) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(runs.size(), others.size()); ++i) {
    const double* value = runs[i].find(name);
    const double* other = others[i].find(name);
    if (value != nullptr && other != nullptr && *value != 0 && *other != 0) {
      ratios.push_back(*value / *other);
    }
  }
  return ratios;
}

}  // namespace wsbench
