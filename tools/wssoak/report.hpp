/// What a soak leaves behind.
#pragma once

#include <string>
#include <vector>

#include "findings.hpp"
#include "options.hpp"

namespace wssoak {

/// A summary for people.
std::string markdown_of(const Findings& findings, const SoakOptions& options);

/// report.md, report.json, samples.csv, memory.svg and load.svg in the options' folder. Throws
/// `wsbench::Failure` if one cannot be written.
void write_report(const Findings& findings, const SoakOptions& options,
                  const std::vector<std::string>& command_line);

}  // namespace wssoak
