/// A line typed on a terminal, with libedit's keys and a history that lasts.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace wsc {

/// One thread at a time; `wait` is where others get their turn.
class LineEditor {
 public:
  /// `wait` returns true when there is a key to read, and false to leave the line.
  LineEditor(std::string_view prompt, std::function<bool()> wait);
  /// Keeps the history.
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  /// Nothing when the line was left, by Ctrl-D or by `wait`.
  std::optional<std::string> read();
  /// Whether it was Ctrl-D.
  bool was_left() const noexcept;

  /// Clears the line from the screen, and draws it again. While `read` waits only.
  void hide();
  void show();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace wsc
