// wsc: a WebSocket client for the command line.

#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "commands.hpp"
#include "console.hpp"
#include "failure.hpp"
#include "interrupts.hpp"
#include "options.hpp"
#include "session.hpp"
#include "words.hpp"

namespace wsc {
namespace {

/// The one command of the command line, if there is one.
std::optional<Command> given_command(const Options& options) {
  if (options.command.empty()) return std::nullopt;
  std::vector<Word> words;
  for (const std::string& word : options.command) words.push_back(Word::plain(word));
  Command command = command_of(words);
  if (auto* const stream = std::get_if<CallStream>(&command)) {
    if (!stream->count) stream->count = options.count;
  } else if (auto* const wait = std::get_if<Wait>(&command)) {
    if (!wait->packets) wait->packets = options.count;
  }
  return command;
}

class Program {
 public:
  Program(const Options& options, std::optional<Command> command)
      : options_(options),
        command_(std::move(command)),
        prompts_(!command_ && isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1),
        packets_(prompts_ || holds<CallStream>() ? std::nullopt : options.count),
        console_(prompts_),
        session_(options, console_, prompts_ || options.verbose || options.client.reconnect,
                 packets_) {}

  Status run() {
    auto stop = interrupts_.next();
    Status status = attempt([&] { session_.connect(stop); });
    if (status != Status::fine) return status;
    if (prompts_) return converse();

    status = command_ ? attempt([&] { session_.run(*command_, stop); }) : run_script(stop);
    const bool listens = packets_ || holds<Subscribe>();
    if (status == Status::fine && listens) {
      status = attempt([&] { session_.wait(packets_, stop); });
    }
    return status;
  }

 private:
  template <class Kind>
  bool holds() const {
    return command_ && std::holds_alternative<Kind>(*command_);
  }

  /// Ends at the first failure, unless it is told to go on; then the first one counts.
  Status run_script(const std::stop_token& stop) {
    Status result = Status::fine;
    for (;;) {
      bool goes_on = true;
      const Status status = attempt([&] {
        std::string line;
        switch (console_.read(line, stop)) {
          case Console::Read::line:
            if (const auto command = command_of(line)) goes_on = session_.run(*command, stop);
            break;
          case Console::Read::end:
            goes_on = false;
            break;
          case Console::Read::woken:
            goes_on = !session_.is_lost();
            if (!goes_on) session_.throw_lost();
        }
        if (stop.stop_requested()) throw webshocket::Cancelled();
      });
      if (result == Status::fine) result = status;
      const bool ends =
          status != Status::fine && (!options_.keep_going || status == Status::interrupted);
      if (!goes_on || ends) return ends ? status : result;
    }
  }

  /// With a person: what fails has been told, and there is a next line.
  Status converse() {
    console_.complain(session_.messages().note("help shows the commands, Ctrl-D leaves"));
    while (!session_.is_lost()) {
      const auto stop = interrupts_.next();
      std::string line;
      bool goes_on = true;
      Status status = Status::fine;
      switch (console_.read(line, stop)) {
        case Console::Read::line:
          session_.forget_packets();
          status = attempt([&] {
            if (const auto command = command_of(line)) goes_on = session_.run(*command, stop);
          });
          // Behind the ^C that the terminal has written by itself.
          if (status == Status::interrupted) console_.complain("\n");
          break;
        case Console::Read::end:
          console_.complain("\n");
          goes_on = false;
          break;
        case Console::Read::woken:
          console_.complain(stop.stop_requested() ? "^C\n" : "\n");
      }
      if (!goes_on) return Status::fine;
      if (status == Status::lost && !options_.client.reconnect) return status;
    }
    return attempt([&] { session_.throw_lost(); });
  }

  template <class Action>
  Status attempt(Action action) {
    try {
      action();
      return Status::fine;
    } catch (...) {
      const auto& printer = options_.json ? session_.results() : session_.messages();
      const Failure failure = failure_of_exception(printer);
      if (options_.json) {
        console_.print(failure.text);
      } else {
        console_.complain(failure.text);
      }
      return failure.status;
    }
  }

  const Options& options_;
  std::optional<Command> command_;
  const bool prompts_;
  const std::optional<std::size_t> packets_;  ///< to print, and to wait for at the end
  Interrupts interrupts_;
  Console console_;
  Session session_;
};

}  // namespace
}  // namespace wsc

int main(int argc, char** argv) {
  const auto parsed = wsc::parse_options(argc, argv);
  if (const int* status = std::get_if<int>(&parsed)) return *status;
  const auto& options = std::get<wsc::Options>(parsed);
  try {
    wsc::Program program(options, wsc::given_command(options));
    return static_cast<int>(program.run());
  } catch (...) {
    try {
      const auto failure = wsc::failure_of_exception(wsc::Printer({}));
      std::cerr << failure.text;
      return static_cast<int>(failure.status);
    } catch (const std::exception& error) {
      std::cerr << "wsc: " << error.what() << '\n';
      return EXIT_FAILURE;
    }
  }
}
