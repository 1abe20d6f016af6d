/// What is going on, on standard error: one line that changes on a terminal, now and then a line
/// elsewhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace wsbench {

class Progress {
 public:
  explicit Progress(bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Stands before what is told from now on: which run of how many.
  void set_prefix(std::string prefix);
  /// Whether `tell` would show something: asks the clock and nothing else.
  bool is_due() const noexcept;
  /// Shown at once if it is due; forgotten else.
  void tell(std::string_view text);

 private:
  const bool quiet_;
  const bool terminal_;
  bool shown_ = false;  ///< the terminal's line holds something
  std::uint64_t next_ns_ = 0;
  std::string prefix_;
};

}  // namespace wsbench
