/// Whether a quantity stays where it is.
#pragma once

#include <optional>
#include <span>

namespace wssoak {

struct Point {
  double x = 0;
  double y = 0;
};

/// Least squares.
struct Line {
  double slope = 0;
  double slope_error = 0;  ///< its standard error
  double level = 0;        ///< at x = 0
};

/// Nothing of fewer than three points, or if all have one x.
std::optional<Line> fit(std::span<const Point> points) noexcept;

/// Of a series, without its first fifth, which is the warm-up.
struct Drift {
  Line line;          ///< from the second fifth on
  double early = 0;   ///< median of the second fifth
  double late = 0;    ///< median of the last fifth
  double lowest = 0;  ///< from the second fifth on
  double highest = 0;

  double growth() const noexcept { return early == 0 ? 0 : late / early - 1; }
  /// It is larger at the end by more than `most`, a share, and by more than `least`, and the line
  /// rises by more than chance explains. The one alone is a spike, or a creep too small to matter.
  bool has_grown(double most, double least = 0) const noexcept;
};

/// REQUIRES: in the order of x. Nothing of fewer than ten points.
std::optional<Drift> drift_of(std::span<const Point> points);

}  // namespace wssoak
