#include "drift.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace wssoak {
namespace {

double median_of(std::span<const Point> points) {
  std::vector<double> values;
  for (const Point& point : points) values.push_back(point.y);
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

}  // namespace

std::optional<Line> fit(std::span<const Point> points) noexcept {
  const auto n = static_cast<double>(points.size());
  if (points.size() < 3) return std::nullopt;
  double x_mean = 0;
  double y_mean = 0;
  for (const Point& point : points) {
    x_mean += point.x / n;
    y_mean += point.y / n;
  }
  double xx = 0;
  double xy = 0;
  for (const Point& point : points) {
    xx += (point.x - x_mean) * (point.x - x_mean);
    xy += (point.x - x_mean) * (point.y - y_mean);
  }
  if (xx == 0) return std::nullopt;
  Line line;
  line.slope = xy / xx;
  line.level = y_mean - line.slope * x_mean;
  double residue = 0;
  for (const Point& point : points) {
    const double off = point.y - line.level - line.slope * point.x;
    residue += off * off;
  }
  line.slope_error = std::sqrt(residue / (n - 2) / xx);
  return line;
}

bool Drift::has_grown(double most, double least) const noexcept {
  constexpr double kBeyondChance = 3;  // standard errors
  return growth() > most && late - early > least && line.slope > kBeyondChance * line.slope_error;
}

std::optional<Drift> drift_of(std::span<const Point> points) {
  constexpr std::size_t kFewest = 10;
  if (points.size() < kFewest) return std::nullopt;
  const std::size_t fifth = points.size() / 5;
  const auto warm = points.subspan(fifth);
  const auto line = fit(warm);
  if (!line) return std::nullopt;
  Drift drift;
  drift.line = *line;
  drift.early = median_of(warm.first(fifth));
  drift.late = median_of(warm.last(fifth));
  const auto [lowest, highest] = std::ranges::minmax(warm, {}, &Point::y);
  drift.lowest = lowest.y;
  drift.highest = highest.y;
  return drift;
}

}  // namespace wssoak
