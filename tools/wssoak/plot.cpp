#include "plot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>

namespace wssoak {
namespace {

constexpr double kWidth = 900;
constexpr double kHeight = 360;
constexpr double kLeft = 70;
constexpr double kRight = 20;
constexpr double kTop = 60;
constexpr double kBottom = 50;
constexpr std::array<const char*, 6> kColours = {"#0b6e99", "#d9730d", "#448361",
                                                 "#9065b0", "#c14c8a", "#787774"};

std::string text_of(double value) {
  std::array<char, 32> digits{};
  std::snprintf(digits.data(), digits.size(), "%.4g", value);
  return digits.data();
}

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char one : text) {
    if (one == '<') {
      safe += "&lt;";
    } else if (one == '&') {
      safe += "&amp;";
    } else {
      safe += one;
    }
  }
  return safe;
}

std::string label(double x, double y, const char* anchor, const std::string& text) {
  return "<text x='" + text_of(x) + "' y='" + text_of(y) + "' text-anchor='" + anchor + "'>" +
         escaped(text) + "</text>\n";
}

/// From left to right.
std::string rule(double y) {
  const std::string at = text_of(y);
  return "<line x1='" + text_of(kLeft) + "' x2='" + text_of(kWidth - kRight) + "' y1='" + at +
         "' y2='" + at + "' stroke='#e3e2e0'/>\n";
}

/// One of 1, 2, 5 times a power of ten, such that about five of them make the whole.
double step_of(double whole) {
  const double rough = whole / 5;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (power * factor >= rough) return power * factor;
  }
  return power * 10;
}

double largest(const Plot& plot, double Point::*of) {
  double most = 0;
  for (const Curve& curve : plot.curves) {
    for (const Point& point : curve.points) most = std::max(most, point.*of);
  }
  return most > 0 ? most : 1;
}

}  // namespace

std::string svg_of(const Plot& plot) {
  const double x_most = largest(plot, &Point::x);
  const double y_step = step_of(largest(plot, &Point::y));
  const double y_most = std::ceil(largest(plot, &Point::y) / y_step + 0.2) * y_step;
  const auto x_at = [&](double x) { return kLeft + x / x_most * (kWidth - kLeft - kRight); };
  const auto y_at = [&](double y) {
    return kHeight - kBottom - y / y_most * (kHeight - kTop - kBottom);
  };

  std::string svg = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " + text_of(kWidth) +
                    " " + text_of(kHeight) +
                    "' font-family='sans-serif' font-size='12' fill='#37352f'>\n"
                    "<rect width='100%' height='100%' fill='white'/>\n";
  svg += "<g font-size='15'>" + label(kLeft, 22, "start", plot.title) + "</g>\n";
  for (double y = 0; y <= y_most + y_step / 2; y += y_step) {
    svg += rule(y_at(y));
    svg += label(kLeft - 8, y_at(y) + 4, "end", text_of(y));
  }
  const double x_step = step_of(x_most);
  for (double x = 0; x <= x_most * 1.0001; x += x_step) {
    svg += label(x_at(x), kHeight - kBottom + 18, "middle", text_of(x));
  }
  svg += label((kLeft + kWidth - kRight) / 2, kHeight - 12, "middle", plot.x_name);
  svg += label(kLeft - 8, kTop - 12, "end", plot.y_name);
  double name_at = kLeft + 60;
  for (std::size_t i = 0; i < plot.curves.size(); ++i) {
    const Curve& curve = plot.curves[i];
    const std::string colour = kColours[i % kColours.size()];
    svg += "<polyline fill='none' stroke-width='1.5' stroke='" + colour + "' points='";
    for (const Point& point : curve.points) {
      svg += text_of(x_at(point.x));
      svg += ',';
      svg += text_of(y_at(point.y));
      svg += ' ';
    }
    svg += "'/>\n<g fill='" + colour + "'>" + label(name_at, 42, "start", curve.name) + "</g>\n";
    name_at += 30 + 7.0 * static_cast<double>(curve.name.size());
  }
  return svg + "</svg>\n";
}

}  // namespace wssoak
