/// What wsc is told by its command line.
#pragma once

#include <webshocket/client_config.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace wsc {

/// Of the process; `--help` tells them.
enum class Status : std::uint8_t {
  fine = 0,
  refused = 1,  ///< by the server's answer
  usage = 2,
  not_connected = 3,
  lost = 4,
  timeout = 5,
  interrupted = 130,
};

struct Options {
  enum class Color : std::uint8_t { automatic, always, never };

  std::string uri;
  std::vector<std::string> command;  ///< empty: lines are read
  webshocket::ClientConfig client;
  std::size_t tries = 1;  ///< of a connection; 0: no end
  /// For each answer; and, but only if it is given, for what is waited for without asking.
  std::optional<std::chrono::milliseconds> timeout;
  std::optional<std::size_t> count;  ///< chunks, or packets to wait for at the end

  std::string subscribe_method = "join";
  std::string unsubscribe_method = "leave";
  std::string publish_method = "publish";

  bool json = false;
  Color color = Color::automatic;
  bool keep_going = false;
  bool verbose = false;
};

/// The options; or the exit status, once help or a complaint has been printed.
std::variant<Options, int> parse_options(int argc, const char* const* argv);

}  // namespace wsc
