#include "words.hpp"

#include <webshocket/packet.hpp>

#include <algorithm>
#include <utility>

namespace wsc {
namespace {

namespace ws = webshocket;

constexpr std::string_view kSpaces = " \t\r\n";

/// Takes words, and their pieces, from the front of a line.
class Splitter {
 public:
  explicit Splitter(std::string_view line) noexcept : rest_(line) {}

  bool skip_spaces() noexcept {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(kSpaces), rest_.size()));
    return !rest_.empty();
  }

  Word word() {
    Word word;
    bool value_begins = true;
    while (!rest_.empty() && kSpaces.find(rest_.front()) == std::string_view::npos) {
      const char c = rest_.front();
      const bool first_equals = c == '=' && word.equals == std::string::npos;
      if (first_equals) word.equals = word.text.size();
      if (c == '\'') {
        word.text += single_quoted();
      } else if (c == '"') {
        word.text += double_quoted();
        word.is_text = true;
      } else if (c == '\\') {
        word.text += escaped();
      } else if (value_begins && (c == '{' || c == '[')) {
        word.text += brackets();
      } else {
        word.text += take(1);
      }
      value_begins = first_equals;
    }
    return word;
  }

 private:
  std::string_view take(std::size_t size) noexcept {
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view single_quoted() {
    const std::size_t end = rest_.find('\'', 1);
    if (end == std::string_view::npos) {
      throw SyntaxError("a ' is not closed; \\' stands for the character");
    }
    return take(end + 1).substr(1, end - 1);
  }

  std::string double_quoted() {
    const std::string_view json = take(end_of_string(0));
    try {
      return ws::from_json(json)->as<std::string>();
    } catch (const ws::PacketError& error) {
      throw SyntaxError(std::string(json) + " is no JSON string (" + error.what() +
                        "); in '…' everything stays as it is");
    }
  }

  std::string_view escaped() {
    if (rest_.size() < 2) throw SyntaxError("nothing follows the last \\");
    return take(2).substr(1);
  }

  std::string_view brackets() {
    std::size_t depth = 0;
    for (std::size_t i = 0; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (c == '"') {
        i = end_of_string(i) - 1;
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if ((c == '}' || c == ']') && --depth == 0) {
        return take(i + 1);
      }
    }
    throw SyntaxError(std::string("a ") + rest_.front() + " is not closed; \\" + rest_.front() +
                      " stands for the character");
  }

  /// Behind the closing quote of the string that begins at `begin`.
  std::size_t end_of_string(std::size_t begin) const {
    for (std::size_t i = begin + 1; i < rest_.size(); ++i) {
      if (rest_[i] == '"') return i + 1;
      if (rest_[i] == '\\') ++i;
    }
    throw SyntaxError("a \" is not closed; \\\" stands for the character");
  }

  std::string_view rest_;
};

}  // namespace

Word Word::plain(std::string text) {
  Word word;
  word.equals = text.find('=');
  word.text = std::move(text);
  return word;
}

std::vector<Word> split(std::string_view line) {
  std::vector<Word> words;
  Splitter splitter(line);
  while (splitter.skip_spaces()) words.push_back(splitter.word());
  return words;
}

}  // namespace wsc
