/// What people type: measured in code points, not in bytes. Takes valid UTF-8, as both formats
/// guarantee.
#pragma once

#include <cstddef>
#include <string_view>

namespace webshocketd {

std::size_t code_points(std::string_view text) noexcept;

/// Without the white space at both ends, Unicode's and the invisible kinds included: a name of
/// those alone would look like no name.
std::string_view trimmed(std::string_view text) noexcept;

/// The first so many code points.
std::string_view shortened(std::string_view text, std::size_t limit) noexcept;

/// No line breaks, no control characters, and none of the marks that turn the direction of the text
/// around it: such a name could rewrite the line that it stands in.
bool fits_on_a_line(std::string_view text) noexcept;

}  // namespace webshocketd
