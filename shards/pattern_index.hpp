/// The patterns of one shard, found by what they can match.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "api/glob.hpp"
#include "shards/channel.hpp"
#include "shards/name_table.hpp"

namespace webshocket::shards {

class PatternGroup;

class Pattern : public Channel {
 public:
  bool matches(std::string_view name) const noexcept { return glob_.matches(name); }
  std::string_view prefix() const noexcept { return glob_.literal_prefix(); }
  /// Grows from each pattern to the next: the order of a publish.
  std::uint64_t serial() const noexcept { return serial_; }

 private:
  friend class PatternIndex;
  friend std::default_delete<Pattern>;
  Pattern(std::string_view text, std::uint64_t serial)
      : Channel(true), glob_(text), serial_(serial) {
    set_name(glob_.pattern());
  }
  ~Pattern() = default;

  Glob glob_;
  std::uint64_t serial_;
  PatternGroup* group_ = nullptr;
  std::uint32_t place_ = 0;  // in the group
};

/// Patterns of the same literal prefix.
class PatternGroup {
 public:
  std::string_view name() const noexcept { return patterns.front()->prefix(); }
  std::vector<Pattern*> patterns;  // never empty
};

/// Patterns are grouped by literal prefix, and for a name one group per length of prefix in use is
/// looked up: the cost depends on how many such lengths there are, not on how many patterns.
class PatternIndex {
 public:
  explicit PatternIndex(std::uint64_t seed) noexcept : seed_(seed) {}
  PatternIndex(const PatternIndex&) = delete;
  PatternIndex& operator=(const PatternIndex&) = delete;
  ~PatternIndex();

  bool empty() const noexcept { return by_text_.empty(); }
  std::size_t size() const noexcept { return by_text_.size(); }
  Pattern* find(std::string_view text) const noexcept {
    return by_text_.find(text, hash_name(text, seed_));
  }
  /// REQUIRES: not there yet.
  Pattern& add(std::string_view text);
  void drop(Pattern& pattern) noexcept;

  /// Calls `f(const PatternGroup&)` with all that can match, as long as it returns true.
  template <class F>
  void for_each_candidate(std::string_view name, F&& f) const {
    for (const Length& length : lengths_) {
      if (length.prefix > name.size()) return;
      const std::string_view prefix = name.substr(0, length.prefix);
      const PatternGroup* group = groups_.find(prefix, hash_name(prefix, seed_));
      if (group != nullptr && !f(*group)) return;
    }
  }
  template <class F>
  void for_each(F&& f) const {
    by_text_.for_each(f);
  }

 private:
  struct Length {
    std::size_t prefix;
    std::size_t groups;
  };
  void join_group(Pattern& pattern);
  void leave_group(Pattern& pattern) noexcept;

  std::uint64_t seed_;
  std::uint64_t next_serial_ = 0;
  NameTable<Pattern> by_text_;
  NameTable<PatternGroup> groups_;
  std::vector<Length> lengths_;  // ascending
};

}  // namespace webshocket::shards
