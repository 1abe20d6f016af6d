#include "progress.hpp"

#include <unistd.h>

#include <iostream>
#include <utility>

#include "clock.hpp"

namespace wsbench {

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (shown_) std::cerr << "\r\x1b[K" << std::flush;
}

void Progress::set_prefix(std::string prefix) { prefix_ = std::move(prefix); }

bool Progress::is_due() const noexcept { return !quiet_ && now_ns() >= next_ns_; }

void Progress::tell(std::string_view text) {
  if (!is_due()) return;
  next_ns_ = now_ns() + (terminal_ ? kSecond / 5 : 3 * kSecond);
  if (terminal_) {
    std::cerr << '\r' << prefix_ << text << "\x1b[K" << std::flush;
    shown_ = true;
  } else {
    std::cerr << prefix_ << text << std::endl;
  }
}

}  // namespace wsbench
