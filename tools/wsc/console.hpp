/// Lines in, text out: a terminal with a prompt, or pipes and files.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>

namespace wsc {

class LineEditor;

class Console {
 public:
  enum class Read : std::uint8_t { line, end, woken };

  /// With a prompt and a line editor, or without. Throws `std::system_error`.
  explicit Console(bool prompts);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  /// The next line of standard input, without its end. What can be read is read before `woken` is
  /// returned. One thread.
  Read read(std::string& line, const std::stop_token& stop);
  /// Ends a `read` that waits, or the next one that would. Any thread.
  void wake() noexcept;

  /// Whole lines to standard output: above the line that is being typed, if one is. Any thread.
  void print(std::string_view text);
  /// The same, to standard error.
  void complain(std::string_view text);

 private:
  Read read_piped(std::string& line);
  Read read_typed(std::string& line);
  /// False when something else than input has come.
  bool wait_for_input();
  void take_wake() noexcept;
  void write(int descriptor, std::string_view text);

  std::mutex mutex_;  ///< of the output and the editor, but not while input is waited for
  int wake_ = -1;
  std::string piped_;  ///< what has been read behind the last line
  bool piped_ends_ = false;
  std::unique_ptr<LineEditor> editor_;
  bool editing_ = false;
};

}  // namespace wsc
