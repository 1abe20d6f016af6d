#include "page.hpp"

#include <algorithm>

namespace wsbench {

std::string_view page_part(std::string_view name) noexcept {
  return std::ranges::find(page_parts(), name, &PagePart::name)->text;
}

}  // namespace wsbench
