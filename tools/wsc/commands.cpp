#include "commands.hpp"

#include <webshocket/packet.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>
#include <utility>

namespace wsc {
namespace {

namespace ws = webshocket;
using Words = std::span<const Word>;

std::size_t number_of(const Word& word) {
  const std::string_view text = word.text;
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw SyntaxError(word.text + " is no whole number");
  }
  return number;
}

std::chrono::milliseconds time_of(const Word& word) {
  const std::string_view text = word.text;
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  // A day, so that no sum of times overflows.
  if (error != std::errc() || end != text.data() + text.size() || !(seconds >= 0) ||
      seconds > 86'400) {
    throw SyntaxError(word.text + " is no number of seconds");
  }
  return std::chrono::round<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

std::vector<std::string> channels_of(Words words) {
  std::vector<std::string> channels;
  for (const Word& word : words) {
    if (word.text.starts_with("--")) {
      throw SyntaxError(word.text + " is no channel; options stand before the URI");
    }
    channels.push_back(word.text);
  }
  return channels;
}

Command call(Words words) { return Call{words[0].text, arguments_of(words.subspan(1))}; }

Command call_stream(Words words) {
  CallStream stream;
  if (words[0].text == "-n") {
    if (words.size() < 3) throw SyntaxError("-n wants a number, and then the method");
    stream.count = number_of(words[1]);
    words = words.subspan(2);
  }
  stream.method = words[0].text;
  stream.arguments = arguments_of(words.subspan(1));
  return stream;
}

Command subscribe(Words words) { return Subscribe{channels_of(words)}; }
Command unsubscribe(Words words) { return Unsubscribe{channels_of(words)}; }
Command publish(Words words) { return Publish{words[0].text, value_of(words.subspan(1))}; }
Command send(Words words) { return Send{value_of(words)}; }
Command sleep(Words words) { return Sleep{time_of(words[0])}; }
Command show_state(Words) { return ShowState{}; }
Command show_help(Words) { return ShowHelp{}; }
Command quit(Words) { return Quit{}; }

Command wait(Words words) {
  if (words.empty()) return Wait{};
  return Wait{number_of(words[0])};
}

struct Entry {
  std::string_view name;
  std::string_view words;  ///< that follow
  std::string_view what;
  std::size_t least;  ///< words that must follow
  std::size_t most;
  Command (*command)(Words);

  std::string usage() const {
    return std::string(name) + (words.empty() ? "" : " ") + std::string(words);
  }
};

constexpr std::size_t kUsageWidth = 40;
constexpr std::size_t kMany = static_cast<std::size_t>(-1);

constexpr std::array kEntries{
    Entry{"call", "METHOD ARGUMENT...", "call a method, print its result", 1, kMany, call},
    Entry{"stream", "[-n COUNT] METHOD ARGUMENT...", "call a streaming method, print its chunks", 1,
          kMany, call_stream},
    Entry{"sub", "CHANNEL...", "subscribe; what comes is printed", 1, kMany, subscribe},
    Entry{"unsub", "CHANNEL...", "end subscriptions", 1, kMany, unsubscribe},
    Entry{"pub", "CHANNEL DATA", "publish", 2, kMany, publish},
    Entry{"send", "DATA", "send what is no call; a line of JSON does so, too", 1, kMany, send},
    Entry{"wait", "[COUNT]", "until so many packets more have come, or Ctrl-C", 0, 1, wait},
    Entry{"sleep", "SECONDS", "let time pass", 1, 1, sleep},
    Entry{"state", "", "show the connection", 0, 0, show_state},
    Entry{"help", "", "show this", 0, 0, show_help},
    Entry{"quit", "", "leave, as Ctrl-D does", 0, 0, quit},
};

constexpr std::string_view kHelpOnValues = R"(
Values: what is JSON is its value (5, true, null, "5", [1, 2], {"a": 1}), hex:0001ff
is bytes, all else is text; name=value is a keyword argument. As in a shell, '...' holds
spaces and quotes together, and \ takes the next character as it is; "..." is a JSON
string, and always text. What follows # at a line's start is a comment.
)";

bool begins_as_json(char c) noexcept {
  return c == '{' || c == '[' || c == '"' || (c >= '0' && c <= '9');
}

}  // namespace

Command command_of(Words words) {
  const std::string& name = words.front().text;
  const auto* const entry = std::ranges::find(kEntries, std::string_view(name), &Entry::name);
  if (entry == kEntries.end()) throw SyntaxError("there is no command " + name + "; try help");
  words = words.subspan(1);
  if (words.size() < entry->least || words.size() > entry->most) {
    throw SyntaxError("usage: " + entry->usage());
  }
  return entry->command(words);
}

std::optional<Command> command_of(std::string_view line) {
  const std::size_t begin = line.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos || line[begin] == '#') return std::nullopt;
  if (begins_as_json(line[begin])) {
    try {
      return Send{ws::from_json(line)};
    } catch (const ws::PacketValidationError& error) {
      throw SyntaxError(std::string("neither a command nor JSON: ") + error.what());
    }
  }
  return command_of(split(line));
}

std::string help_on_commands() {
  std::string help = "Commands:\n";
  for (const Entry& entry : kEntries) {
    std::string line = "  " + entry.usage();
    line.resize(std::max(line.size(), kUsageWidth), ' ');
    help += line.append(entry.what).append("\n");
  }
  return help.append(kHelpOnValues);
}

}  // namespace wsc
