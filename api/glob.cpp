#include "api/glob.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

namespace webshocket {

namespace {

struct Character {
  char32_t code;
  std::size_t size;
};

constexpr bool is_continuation(unsigned char byte) { return (byte & 0xC0U) == 0x80U; }

Character decode(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};

  const Character stray{0xDC00 + lead, 1};
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() - at < size) return stray;
  char32_t code = lead & (0x7FU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if (!is_continuation(byte(i))) return stray;
    code = code << 6 | (byte(i) & 0x3FU);
  }
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[size] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return stray;
  return {code, size};
}

constexpr bool is_stray(char32_t code) { return code >= 0xDC80 && code <= 0xDCFF; }

// One character of a set's text, after the empty ranges are gone.
struct Member {
  char32_t code;
  bool joins;  // the hyphen of a range, as against a hyphen in the set
};

// Follows fnmatch.translate() step by step, as the odd cases are part of the language: which hyphen
// joins a range is decided from left to right, then empty ranges fall out from right to left, and
// what stands first after that may turn out to be an exclamation mark.
std::vector<Member> parse_set(std::string_view text) {
  std::vector<char32_t> codes;
  for (std::size_t at = 0; at < text.size();) {
    const Character character = decode(text, at);
    codes.push_back(character.code);
    at += character.size;
  }

  std::vector<std::pair<std::size_t, std::size_t>> chunks;
  std::size_t begin = 0;
  std::size_t from = codes.front() == '!' ? 2 : 1;
  for (;; from += 3) {
    while (from < codes.size() && codes[from] != '-') ++from;
    if (from >= codes.size()) break;
    chunks.emplace_back(begin, from);
    begin = from + 1;
  }
  if (begin < codes.size() || chunks.empty()) {
    chunks.emplace_back(begin, codes.size());
  } else {
    ++chunks.back().second;
  }

  std::vector<Member> reversed;
  for (std::size_t k = chunks.size(); k-- > 0;) {
    auto [first, last] = chunks[k];
    if (!reversed.empty()) {
      if (codes[last - 1] > reversed.back().code) {
        reversed.pop_back();
        --last;
      } else {
        reversed.push_back({'-', true});
      }
    }
    while (last > first) reversed.push_back({codes[--last], false});
  }
  std::reverse(reversed.begin(), reversed.end());
  return reversed;
}

}  // namespace

bool is_pattern(std::string_view name) noexcept {
  return std::any_of(name.begin(), name.end(),
                     [](char c) { return c == '*' || c == '?' || c == '[' || c == ']'; });
}

Glob::Glob(std::string_view pattern) : pattern_(pattern) {
  if (pattern_.size() > std::numeric_limits<std::uint32_t>::max()) {
    throw std::length_error("a pattern may have 4 GiB at most");
  }
  compile();
  for (const Step& step : steps_) {
    if (step.kind != Kind::star) least_size_ += step.kind == Kind::text ? step.size : 1;
  }
  steps_.shrink_to_fit();
  ranges_.shrink_to_fit();
}

void Glob::compile() {
  const std::size_t size = pattern_.size();
  std::size_t literal = 0;
  // Once a `[` has found no `]`, none after it will. Looking again would be quadratic.
  bool sets_may_close = true;
  for (std::size_t at = 0; at < size;) {
    const char c = pattern_[at];
    if (c == '*' || c == '?') {
      add_literal(literal, at);
      if (c == '?') {
        steps_.push_back({Kind::any, 0, 0});
      } else if (steps_.empty() || steps_.back().kind != Kind::star) {
        steps_.push_back({Kind::star, 0, 0});
      }
      literal = ++at;
      continue;
    }
    if (c == '[' && sets_may_close) {
      const std::size_t begin = at + 1;
      std::size_t end = begin;
      if (end < size && pattern_[end] == '!') ++end;
      if (end < size && pattern_[end] == ']') ++end;
      end = pattern_.find(']', end);
      if (end != std::string::npos) {
        add_literal(literal, at);
        add_set(begin, end);
        literal = at = end + 1;
        continue;
      }
      sets_may_close = false;
    }
    ++at;
  }
  add_literal(literal, size);
}

void Glob::add_literal(std::size_t begin, std::size_t end) {
  const auto add_text = [this](std::size_t first, std::size_t last) {
    if (first == last) return;
    steps_.push_back(
        {Kind::text, static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last - first)});
  };
  // A stray byte becomes a set: as text it would match the first byte of a longer character.
  const std::string_view slice = std::string_view(pattern_).substr(0, end);
  for (std::size_t at = begin; at < end;) {
    const Character character = decode(slice, at);
    if (is_stray(character.code)) {
      add_text(begin, at);
      add_ranges(Kind::set, {{character.code, character.code}});
      begin = at + 1;
    }
    at += character.size;
  }
  add_text(begin, end);
}

void Glob::add_set(std::size_t begin, std::size_t end) {
  const std::vector<Member> members =
      parse_set(std::string_view(pattern_).substr(begin, end - begin));
  const bool negated = !members.empty() && members.front().code == '!' && !members.front().joins;
  std::vector<Range> ranges;
  for (std::size_t i = negated ? 1 : 0; i < members.size(); ++i) {
    // A range whose left end became the exclamation mark has lost it: its hyphen stands for itself.
    const bool is_range = !members[i].joins && i + 2 < members.size() && members[i + 1].joins;
    ranges.push_back({members[i].code, members[is_range ? i + 2 : i].code});
    if (is_range) i += 2;
  }
  if (negated && ranges.empty()) {
    steps_.push_back({Kind::any, 0, 0});
  } else {
    add_ranges(negated ? Kind::negated_set : Kind::set, std::move(ranges));
  }
}

void Glob::add_ranges(Kind kind, std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.first < b.first; });
  const std::size_t begin = ranges_.size();
  for (const Range& range : ranges) {
    if (ranges_.size() > begin && range.first <= ranges_.back().last + 1) {
      ranges_.back().last = std::max(ranges_.back().last, range.last);
    } else {
      ranges_.push_back(range);
    }
  }
  steps_.push_back({kind, static_cast<std::uint32_t>(begin),
                    static_cast<std::uint32_t>(ranges_.size() - begin)});
}

std::string_view Glob::literal_prefix() const noexcept {
  if (steps_.empty() || steps_.front().kind != Kind::text) return {};
  return text(steps_.front());
}

bool Glob::holds(const Step& step, char32_t character) const noexcept {
  const Range* first = ranges_.data() + step.begin;
  const Range* last = first + step.size;
  const Range* behind = std::upper_bound(
      first, last, character, [](char32_t code, const Range& range) { return code < range.first; });
  return behind != first && character <= behind[-1].last;
}

// Comparing text byte by byte is right, because text is valid UTF-8: it starts and ends where a
// character of the name does.
bool Glob::take(const Step& step, std::string_view name, std::size_t& at) const noexcept {
  if (step.kind == Kind::text) {
    if (name.compare(at, step.size, text(step)) != 0) return false;
    at += step.size;
    return true;
  }
  if (at == name.size()) return false;
  const Character character = decode(name, at);
  if (step.kind != Kind::any && holds(step, character.code) != (step.kind == Kind::set))
    return false;
  at += character.size;
  return true;
}

// If a match exists at all, one exists in which everything before the last star lies as far left as
// it can. So after a mismatch only the last star has to give way, and nothing is tried twice per
// star.
bool Glob::matches(std::string_view name) const noexcept {
  if (name.size() < least_size_) return false;
  const Step* step = steps_.data();
  const Step* const end = step + steps_.size();
  if (step == end) return name.empty();
  if (end[-1].kind == Kind::text && !name.ends_with(text(end[-1]))) return false;

  std::size_t at = 0;
  const Step* behind_star = nullptr;
  std::size_t star_end = 0;
  for (;;) {
    if (step == end) {
      if (at == name.size()) return true;
    } else if (step->kind == Kind::star) {
      if (++step == end) return true;
      if (step + 1 == end && step->kind == Kind::text) return name.size() - at >= step->size;
      behind_star = step;
      star_end = at;
      continue;
    } else if (take(*step, name, at)) {
      ++step;
      continue;
    }
    if (behind_star == nullptr || star_end == name.size()) return false;
    if (behind_star->kind == Kind::text) {
      star_end = name.find(text(*behind_star), star_end + 1);
      if (star_end == std::string_view::npos) return false;
    } else {
      star_end += decode(name, star_end).size;
    }
    step = behind_star;
    at = star_end;
  }
}

}  // namespace webshocket
