/// A line that somebody typed, taken apart into words.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace wsc {

/// What was typed cannot be understood; the text says why.
class SyntaxError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Word {
  std::string text;
  bool is_text = false;                    ///< was in double quotes: text, whatever it looks like
  std::size_t equals = std::string::npos;  ///< of the first '=' outside of quotes

  /// A word as a shell hands it over, its quotes gone.
  static Word plain(std::string text);
};

/// White space separates words, unless it is quoted:
///
///     'what it says'          as it is
///     "a \"JSON\" string"     text, whatever it looks like: "5" is no number
///     \x                      the character x
///     {"a": 1}  [1, 2]        JSON at a word's start or behind its '=': up to the last bracket
std::vector<Word> split(std::string_view line);

}  // namespace wsc
