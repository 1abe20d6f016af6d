/// The lines of an HTTP head, and changes to them.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace webshocket::test {

using Lines = std::vector<std::string>;

inline std::string name_of(const std::string& line) { return line.substr(0, line.find(':')); }

/// A head that is right; each change makes another one.
class HeaderLines {
 public:
  explicit HeaderLines(Lines lines) : lines_(std::move(lines)) {}

  const Lines& all() const noexcept { return lines_; }
  Lines without(const std::string& name) const {
    Lines lines = lines_;
    std::erase_if(lines, [&](const std::string& line) { return name_of(line) == name; });
    return lines;
  }
  /// This one in its place.
  Lines with(const std::string& line) const {
    Lines lines = without(name_of(line));
    lines.push_back(line);
    return lines;
  }
  /// This one besides.
  Lines and_also(const std::string& line) const {
    Lines lines = lines_;
    lines.push_back(line);
    return lines;
  }

 private:
  Lines lines_;
};

inline std::string head_of(const std::string& start, const Lines& lines,
                           const std::string& line_end) {
  std::string text = start + line_end;
  for (const std::string& line : lines) text += line + line_end;
  return text + line_end;
}

}  // namespace webshocket::test
