/// One page with plots, of what was measured.
#pragma once

#include <string>
#include <vector>

namespace wsbench {

/// HTML that needs nothing beside itself, of files that `--json` has written. Throws `Failure` for
/// a file that can't be read or is none of those.
std::string report_page(const std::string& title, const std::vector<std::string>& files);

}  // namespace wsbench
