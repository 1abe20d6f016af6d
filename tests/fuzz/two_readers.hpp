/// Each format has a reader of what is well-formed, and one that says what is wrong with the rest.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include <webshocket/value.hpp>

#include "api/document_builder.hpp"
#include "tests/fuzz/require.hpp"

namespace webshocket::fuzz {

/// They agree on the message, and on its value. `is_excused(why)`: the second may refuse it alone.
template <class Read, class Judge, class Excuse>
void check_two_readers(Read read_well_formed, Judge judge, std::span<const std::byte> message,
                       Excuse is_excused) {
  Document first, second;
  detail::DocumentBuilder one(first, detail::DocumentBuilder::Strings::borrow);
  detail::DocumentBuilder other(second, detail::DocumentBuilder::Strings::borrow);
  std::string_view why;
  const bool is_read = read_well_formed(message, {}, one);
  const bool is_judged_good = judge(message, {}, other, why);
  if (is_read && !is_judged_good && is_excused(why)) return;
  require(is_judged_good == is_read, "one reader takes it, the other does not");
  if (!is_read) return;
  require(one.finish() && other.finish(), "a message that was read makes no value");
  require(to_string(first.root()) == to_string(second.root()), "two readers, two values");
}

}  // namespace webshocket::fuzz
