/// What wsc can be told to do.
#pragma once

#include <webshocket/value.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "arguments.hpp"
#include "words.hpp"

namespace wsc {

struct Call {
  std::string method;
  Arguments arguments;
};

struct CallStream {
  std::string method;
  Arguments arguments;
  std::optional<std::size_t> count;  ///< chunks; empty: all
};

struct Subscribe {
  std::vector<std::string> channels;
};

struct Unsubscribe {
  std::vector<std::string> channels;
};

struct Publish {
  std::string channel;
  webshocket::Document data;
};

struct Send {
  webshocket::Document data;
};

struct Wait {
  std::optional<std::size_t> packets;  ///< empty: until somebody ends it
};

struct Sleep {
  std::chrono::milliseconds time;
};

struct ShowState {};
struct ShowHelp {};
struct Quit {};

using Command = std::variant<Call, CallStream, Subscribe, Unsubscribe, Publish, Send, Wait, Sleep,
                             ShowState, ShowHelp, Quit>;

/// REQUIRES: there is a word. Throws `SyntaxError`.
Command command_of(std::span<const Word> words);

/// Nothing for an empty line and for a comment (#). A line that begins as JSON does is sent as it
/// is. Throws `SyntaxError`.
std::optional<Command> command_of(std::string_view line);

/// A line for each command, and how values are written.
std::string help_on_commands();

}  // namespace wsc
