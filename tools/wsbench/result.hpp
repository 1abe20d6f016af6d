/// What a run found out.
#pragma once

#include <webshocket/payload.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "histogram.hpp"

namespace wsbench {

/// A name with its unit in it (`server_cpu_ns_per_delivery`), and the number.
struct Figure {
  std::string name;
  double value = 0;
};

struct Result {
  std::vector<Figure> figures;
  Histogram latency_ns;  ///< empty: not measured
  /// What went wrong, for people; empty: every count is exact.
  std::vector<std::string> faults;

  void add(std::string name, double value) { figures.push_back({std::move(name), value}); }
  /// Percentiles become figures too: `latency_p50_ns`, …
  void add_latency(const Histogram& latency);
  /// Nothing if it was not measured.
  const double* find(std::string_view name) const noexcept;
};

/// Counts by value: [[upper end, count], …].
void webshocket_write(webshocket::Sink& sink, const Histogram& histogram);
/// Figures and faults.
void webshocket_write(webshocket::Sink& sink, const Result& result);

/// A whole number as one, so that counts look like counts.
void write_number(webshocket::Sink& sink, double value);

/// What and where was measured, as the head of each report: version, date, machine.
class Circumstances {
 public:
  explicit Circumstances(std::vector<std::string> command_line);
  /// The members of a map that is begun already.
  static constexpr std::size_t kMembers = 4;
  void write_members(webshocket::Sink& sink) const;

 private:
  std::string date_;
  std::vector<std::string> command_line_;
};

/// "1,234", "0.195", with four significant digits.
std::string text_of(double value);

}  // namespace wsbench
