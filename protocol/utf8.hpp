/// UTF-8, whole or in pieces.
#pragma once

#include <cstddef>
#include <string_view>

namespace webshocket::protocol {

bool is_utf8(std::string_view text) noexcept;

/// How many bytes at the end of `text` are the beginning of one sequence that is not complete: 0 to
/// 3. What such a beginning can never become UTF-8 with counts as complete, so that `is_utf8` finds
/// it. Looks at those bytes only.
std::size_t incomplete_utf8_tail(std::string_view text) noexcept;

/// The longest beginning of at most `limit` bytes that does not cut through a code point.
std::string_view cut_utf8(std::string_view text, std::size_t limit) noexcept;

}  // namespace webshocket::protocol
