/// The language of channel patterns: Python's fnmatch (3.11), case-sensitive, by code point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace webshocket {

/// Whether `name` holds any of `* ? [ ]`. Such a name subscribes as a pattern.
bool is_pattern(std::string_view name) noexcept;

/// A compiled pattern. Immutable, so any thread may match with it.
///
///     *        any run of characters, empty too, across dots, slashes and newlines
///     ?        one character
///     [seq]    one character of the set; ranges as in [a-z]; a reversed range is empty
///     [!seq]   one character outside the set
///
/// `]` first in a set stands for itself, and so does `[` without `]`. There is no escape: a
/// backslash is a backslash. A character is a code point of UTF-8; a byte that is not part of valid
/// UTF-8 is a character of its own, different from all others (Python calls this
/// "surrogateescape").
class Glob {
 public:
  explicit Glob(std::string_view pattern);

  /// Whether the whole of `name` matches. Allocates nothing; at worst quadratic in the name,
  /// whatever the pattern.
  bool matches(std::string_view name) const noexcept;

  /// What every matching name starts with. Lives as long as this object stays where it is.
  std::string_view literal_prefix() const noexcept;

  const std::string& pattern() const noexcept { return pattern_; }

 private:
  enum class Kind : std::uint8_t { text, any, set, negated_set, star };
  struct Range {
    char32_t first;
    char32_t last;
  };
  // `text` is a slice of the pattern, valid UTF-8; a set is a slice of the ranges.
  struct Step {
    Kind kind;
    std::uint32_t begin;
    std::uint32_t size;
  };

  void compile();
  void add_literal(std::size_t begin, std::size_t end);
  void add_set(std::size_t begin, std::size_t end);
  void add_ranges(Kind kind, std::vector<Range> ranges);

  std::string_view text(const Step& step) const noexcept {
    return std::string_view(pattern_).substr(step.begin, step.size);
  }
  bool holds(const Step& step, char32_t character) const noexcept;
  bool take(const Step& step, std::string_view name, std::size_t& at) const noexcept;

  std::string pattern_;
  std::vector<Step> steps_;
  std::vector<Range> ranges_;
  std::size_t least_size_ = 0;
};

}  // namespace webshocket
