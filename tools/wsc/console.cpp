#include "console.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <system_error>
#include <utility>

#include "line_editor.hpp"

namespace wsc {

Console::Console(bool prompts) : wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (wake_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  if (!prompts) return;
  editor_ = std::make_unique<LineEditor>("> ", [this] {
    mutex_.unlock();
    const bool input = wait_for_input();
    mutex_.lock();
    return input;
  });
}

Console::~Console() { close(wake_); }

Console::Read Console::read(std::string& line, const std::stop_token& stop) {
  Read result = Read::end;
  {
    const std::stop_callback waker(stop, [this] { wake(); });
    result = editor_ ? read_typed(line) : read_piped(line);
  }
  // Who stops has been heard, also if a line has come first.
  if (stop.stop_requested()) take_wake();
  return result;
}

void Console::wake() noexcept {
  // It fails only when it is woken already.
  (void)eventfd_write(wake_, 1);
}

void Console::print(std::string_view text) { write(STDOUT_FILENO, text); }

void Console::complain(std::string_view text) { write(STDERR_FILENO, text); }

Console::Read Console::read_piped(std::string& line) {
  for (;;) {
    const std::size_t end = piped_.find('\n');
    if (end != std::string::npos) {
      line = piped_.substr(0, end);
      piped_.erase(0, end + 1);
      return Read::line;
    }
    if (piped_ends_) {
      line = std::exchange(piped_, {});
      return line.empty() ? Read::end : Read::line;
    }
    if (!wait_for_input()) return Read::woken;
    std::array<char, 4096> bytes{};
    const ssize_t size = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (size > 0) {
      piped_.append(bytes.data(), static_cast<std::size_t>(size));
    } else if (size == 0 || errno != EINTR) {
      piped_ends_ = true;
    }
  }
}

Console::Read Console::read_typed(std::string& line) {
  const std::lock_guard lock(mutex_);
  editing_ = true;
  std::optional<std::string> typed = editor_->read();
  editing_ = false;
  if (typed) {
    line = std::move(*typed);
    return Read::line;
  }
  return editor_->was_left() ? Read::end : Read::woken;
}

bool Console::wait_for_input() {
  std::array<pollfd, 2> waited{pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{wake_, POLLIN, 0}};
  while (poll(waited.data(), waited.size(), -1) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "poll");
  }
  if (waited[0].revents != 0) return true;
  take_wake();
  return false;
}

void Console::take_wake() noexcept {
  eventfd_t count = 0;
  (void)eventfd_read(wake_, &count);
}

void Console::write(int descriptor, std::string_view text) {
  const std::lock_guard lock(mutex_);
  if (editing_) editor_->hide();
  while (!text.empty()) {
    const ssize_t size = ::write(descriptor, text.data(), text.size());
    if (size < 0 && errno != EINTR) break;  // nobody reads it any more
    if (size > 0) text.remove_prefix(static_cast<std::size_t>(size));
  }
  if (editing_) editor_->show();
}

}  // namespace wsc
