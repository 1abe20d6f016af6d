/// The parts of the report's page, as they lie under page/.
#pragma once

#include <span>
#include <string_view>

namespace wsbench {

struct PagePart {
  std::string_view name;
  std::string_view text;
};

/// From the build.
std::span<const PagePart> page_parts() noexcept;

/// REQUIRES: there is a file of that name.
std::string_view page_part(std::string_view name) noexcept;

}  // namespace wsbench
