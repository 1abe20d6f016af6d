/// Lines over time, as an SVG image that needs nothing beside itself.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "drift.hpp"

namespace wssoak {

struct Curve {
  std::string name;
  std::vector<Point> points;
};

struct Plot {
  std::string title;
  std::string x_name;
  std::string y_name;
  std::vector<Curve> curves;  ///< up to six, each in a colour of its own
};

/// The y axis begins at 0.
std::string svg_of(const Plot& plot);

}  // namespace wssoak
