#include "line_editor.hpp"

#include <histedit.h>
#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <system_error>
#include <utility>

namespace wsc {
namespace {

constexpr int kHistory = 1000;

void choose_utf8() {
  const bool own = std::setlocale(LC_CTYPE, "") != nullptr;
  if (!own || std::string_view(nl_langinfo(CODESET)) != "UTF-8") {
    (void)std::setlocale(LC_CTYPE, "C.UTF-8");
  }
}

std::string utf8(std::wstring_view text) {
  std::string out;
  std::mbstate_t state{};
  std::array<char, MB_LEN_MAX> bytes{};
  for (const wchar_t c : text) {
    const std::size_t size = std::wcrtomb(bytes.data(), c, &state);
    if (size <= bytes.size()) out.append(bytes.data(), size);
  }
  return out;
}

std::size_t columns_of(std::wstring_view text) noexcept {
  std::size_t columns = 0;
  for (const wchar_t c : text) {
    const int width = wcwidth(c);
    columns += width < 0 ? 2 : static_cast<std::size_t>(width);  // a control character is shown ^X
  }
  return columns;
}

std::size_t terminal_width() noexcept {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

/// Empty: there is no place for it.
std::filesystem::path history_file() {
  if (const char* const state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') {
    return std::filesystem::path(state) / "wsc_history";
  }
  const char* const home = std::getenv("HOME");
  if (home == nullptr || *home != '/') return {};
  return std::filesystem::path(home) / ".local/state/wsc_history";
}

}  // namespace

struct LineEditor::State {
  std::wstring prompt;
  std::function<bool()> wait;
  std::filesystem::path file;
  std::unique_ptr<HistoryW, void (*)(HistoryW*)> history{history_winit(), history_wend};
  std::unique_ptr<EditLine, void (*)(EditLine*)> editor{el_init("wsc", stdin, stdout, stderr),
                                                        el_end};
  bool was_left = false;

  static State& of(EditLine* editor) noexcept {
    void* state = nullptr;
    el_wget(editor, EL_CLIENTDATA, &state);
    return *static_cast<State*>(state);
  }

  static wchar_t* show_prompt(EditLine* editor) { return of(editor).prompt.data(); }

  /// As libedit wants it: 1 and a character, or 0 at the end.
  static int read_key(EditLine* editor, wchar_t* key) {
    State& state = of(editor);
    std::mbstate_t conversion{};
    for (;;) {
      if (!state.wait()) {
        state.was_left = false;
        return 0;
      }
      char byte = 0;
      const ssize_t size = ::read(STDIN_FILENO, &byte, 1);
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) return 0;
      const std::size_t converted = std::mbrtowc(key, &byte, 1, &conversion);
      if (converted <= 1) return 1;
      if (converted == static_cast<std::size_t>(-1)) conversion = {};
    }
  }
};

LineEditor::LineEditor(std::string_view prompt, std::function<bool()> wait) {
  choose_utf8();
  state_ = std::make_unique<State>();
  State& state = *state_;
  state.prompt.assign(prompt.begin(), prompt.end());
  state.wait = std::move(wait);
  state.file = history_file();
  if (!state.editor || !state.history) {
    throw std::system_error(ENOTTY, std::generic_category(), "this terminal has no line editor");
  }

  HistEventW event{};
  history_w(state.history.get(), &event, H_SETSIZE, kHistory);
  history_w(state.history.get(), &event, H_SETUNIQUE, 1);
  if (!state.file.empty()) history_w(state.history.get(), &event, H_LOAD, state.file.c_str());

  EditLine* const editor = state.editor.get();
  el_wset(editor, EL_CLIENTDATA, &state);
  el_wset(editor, EL_PROMPT, &State::show_prompt);
  el_wset(editor, EL_EDITOR, L"emacs");
  el_wset(editor, EL_SIGNAL, 1);
  el_wset(editor, EL_HIST, history_w, state.history.get());
  el_wset(editor, EL_BIND, L"^R", L"em-inc-search-prev", nullptr);
  el_wset(editor, EL_GETCFN, &State::read_key);
}

LineEditor::~LineEditor() {
  if (state_->file.empty()) return;
  std::error_code ignored;  // a history that cannot be kept is no reason to complain
  std::filesystem::create_directories(state_->file.parent_path(), ignored);
  HistEventW event{};
  history_w(state_->history.get(), &event, H_SAVE, state_->file.c_str());
}

std::optional<std::string> LineEditor::read() {
  State& state = *state_;
  state.was_left = true;
  int size = 0;
  const wchar_t* const typed = el_wgets(state.editor.get(), &size);
  if (typed == nullptr || size <= 0) return std::nullopt;
  std::wstring_view line(typed, static_cast<std::size_t>(size));
  if (line.ends_with(L'\n')) line.remove_suffix(1);
  if (!line.empty()) {
    HistEventW event{};
    history_w(state.history.get(), &event, H_ENTER, std::wstring(line).c_str());
  }
  return utf8(line);
}

bool LineEditor::was_left() const noexcept { return state_->was_left; }

void LineEditor::hide() {
  const LineInfoW* const line = el_wline(state_->editor.get());
  const std::size_t columns =
      columns_of(state_->prompt) +
      columns_of({line->buffer, static_cast<std::size_t>(line->cursor - line->buffer)});
  const std::size_t rows = columns / terminal_width();
  std::string text = "\r";
  if (rows > 0) text += "\x1b[" + std::to_string(rows) + "A";
  text += "\x1b[J";
  (void)std::fwrite(text.data(), 1, text.size(), stdout);
  (void)std::fflush(stdout);
}

void LineEditor::show() { el_wset(state_->editor.get(), EL_REFRESH); }

}  // namespace wsc
